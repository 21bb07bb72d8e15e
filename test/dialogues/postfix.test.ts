/** Every dialogue with a real Postfix from Debian: what we call right is what Postfix says, or the dialogue tells why not. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { readDialogues } from './format.ts';
import { playAll } from './play-socket.ts';
import { debianPostfix, startInstance } from './private-postfix.ts';
import { needsLogins, needsNames, noLogins, noNames, surround } from './surroundings.ts';

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'only root can start a Postfix';
  return existsSync(`${debianPostfix.daemonDirectory}/master`) ? false : "Debian's postfix is not installed";
}

function isOld(): boolean {
  const version = execFileSync(`${debianPostfix.commandDirectory}/postconf`, ['-dh', 'mail_version'], { encoding: 'latin1' });
  const [major, minor] = version.split('.').map((part) => parseInt(part, 10));
  return major! < 3 || (major === 3 && minor! < 8);
}

test("the dialogues with Debian's Postfix", { skip: whyNot() }, async (context) => {
  const old = isOld();
  const role = old ? 'old postfix' : 'postfix';
  const withoutNames = noNames('postfix');
  const dialogues = readDialogues(new URL('./', import.meta.url))
    .filter((dialogue) => !dialogue.alone && !(old && dialogue.differs === 'new') && !(withoutNames && needsNames(dialogue)) && !(noLogins && needsLogins(dialogue)));
  if (noLogins) await context.test('dialogues in which somebody logs in', { skip: noLogins }, () => undefined);
  if (withoutNames) await context.test('dialogues that ask the name service', { skip: withoutNames }, () => undefined);
  const around = await surround('postfix');
  const instance = await startInstance(debianPostfix, dialogues, around);
  try {
    const stageOf = (dialogue: (typeof dialogues)[number]) => ({ host: '127.0.0.1', port: instance.portFor(dialogue), role }) as const;
    const mistakes = await playAll(dialogues, stageOf);
    for (const dialogue of dialogues) {
      await context.test(`${dialogue.file}: ${dialogue.title}`, () => {
        const mistake = mistakes.get(dialogue);
        if (mistake !== undefined) throw mistake;
      });
    }
  } finally {
    await instance.stop();
    await around.stop();
  }
});
