/** Every dialogue with our own daemon, from connect to queue. */
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { readDialogues } from './format.ts';
import { playAll } from './play-socket.ts';
import { ourRelease, startInstance } from './private-postfix.ts';
import { needsLogins, needsNames, noLogins, noNames, surround } from './surroundings.ts';

const needed = ['master/master.ts', 'smtpd/smtpd.ts', 'cleanup/cleanup.ts', 'trivial-rewrite/trivial-rewrite.ts'];
const missing = needed.filter((name) => !existsSync(new URL(`../../src/daemons/${name}`, import.meta.url)));
const skip = missing.length > 0 ? `not there yet: ${missing.join(', ')}` : false;

test('the dialogues with our daemon', { skip }, async (context) => {
  const all = readDialogues(new URL('./', import.meta.url)).filter(({ alone }) => !alone);
  const withoutNames = noNames('ours');
  const dialogues = all.filter((dialogue) => !(withoutNames && needsNames(dialogue)) && !(noLogins && needsLogins(dialogue)));
  if (noLogins) await context.test('dialogues in which somebody logs in', { skip: noLogins }, () => undefined);
  if (withoutNames) await context.test('dialogues that ask the name service', { skip: withoutNames }, () => undefined);
  const around = await surround('ours');
  const instance = await startInstance(ourRelease(), dialogues, around);
  try {
    const mistakes = await playAll(dialogues, (dialogue) => ({ host: '127.0.0.1', port: instance.portFor(dialogue), role: 'ours' }));
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
