/** One site, its services and their conversations, on one mail system. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Dice } from '../bad-input/random-dialogue.ts';
import { debianPostfix, startInstance, type Around, type Release } from '../dialogues/private-postfix.ts';
import type { Dialogue } from '../dialogues/format.ts';
import { makeService, makeSite, type Abilities, type Configuration, type Settings } from './configurations.ts';
import { makeConversation, type Conversation } from './conversations.ts';
import { converse, logOf } from './play.ts';

export interface Scene {
  readonly seed: number;
  readonly site: Settings;
  readonly services: readonly { readonly settings: Settings; readonly conversations: readonly Conversation[] }[];
  /** Where the tables are. */
  readonly tables: string;
  end(): void;
}

export function makeScene(seed: number, services: number, conversationsEach: number, abilities: Abilities): Scene {
  const tables = mkdtempSync(`${tmpdir()}/fuzz-tables-`);
  chmodSync(tables, 0o755);
  const placed = (settings: Settings): Settings => new Map([...settings].map(([name, text]) => [name, text.replaceAll('@tables@', tables)]));
  const site = placed(makeSite(new Dice(seed)));
  const made = Array.from({ length: services }, (_, index) => {
    const configuration: Configuration = makeService(new Dice(seed * 1000 + index), `s${index}`, abilities);
    for (const [name, text] of configuration.files) writeFileSync(`${tables}/${name}`, text, { encoding: 'latin1', mode: 0o644 });
    const conversations = Array.from({ length: conversationsEach }, (_unused, turn) => makeConversation(new Dice((seed * 1000 + index) * 1000 + turn), index * conversationsEach + turn, abilities.logins));
    return { settings: placed(configuration.settings), conversations };
  });
  return { seed, site, services: made, tables, end: () => rmSync(tables, { recursive: true, force: true }) };
}

/** Debian's, or the build that POSTFIX_DAEMONS and POSTFIX_COMMANDS name. */
export function realPostfix(): Release {
  const daemonDirectory = process.env['POSTFIX_DAEMONS'] ?? debianPostfix.daemonDirectory;
  return { ...debianPostfix, daemonDirectory, commandDirectory: process.env['POSTFIX_COMMANDS'] ?? debianPostfix.commandDirectory, master: [`${daemonDirectory}/master`, '-d'] };
}

export function abilitiesOf({ commandDirectory, daemonDirectory }: Release): Abilities {
  const directory = mkdtempSync(`${tmpdir()}/fuzz-postconf-`);
  writeFileSync(`${directory}/master.cf`, '');
  writeFileSync(`${directory}/main.cf`, `daemon_directory = ${daemonDirectory}\nsetgid_group = postdrop\n`);
  const ask = (...options: string[]): string => execFileSync(`${commandDirectory}/postconf`, ['-c', directory, ...options], { encoding: 'latin1' });
  const [types, version] = [ask('-a'), ask('-dh', 'mail_version')];
  rmSync(directory, { recursive: true, force: true });
  const [major, minor] = version.split('.').map((part) => parseInt(part, 10));
  return { logins: types.includes('dovecot'), refusesAtEnd: major! > 3 || minor! >= 8 };
}

export interface Heard {
  readonly said: readonly string[];
  readonly logged: readonly string[];
}

/** Plays all conversations, some at a time. Rejects when a service does not greet or the log does not come to its end. */
export async function play(scene: Scene, release: Release, around: Around, atOnce = 12): Promise<ReadonlyMap<Conversation, Heard>> {
  const asDialogue = (settings: Settings): Dialogue => ({ settings }) as unknown as Dialogue;
  const mainCf = new Map([...scene.site, ...around.mainCf]);
  const instance = await startInstance(release, scene.services.map(({ settings }) => asDialogue(settings)), { ...around, mainCf });
  try {
    const waiting = scene.services.flatMap(({ settings, conversations }) => conversations.map((conversation) => ({ conversation, port: instance.portFor(asDialogue(settings)) })));
    const all = waiting.map(({ conversation }) => conversation);
    const said = new Map<Conversation, string[]>();
    const player = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) said.set(next.conversation, await converse(next.port, next.conversation));
    };
    await Promise.all(Array.from({ length: atOnce }, player));
    const logged = await logOf(`${instance.directory}/log`, all);
    return new Map(all.map((one) => [one, { said: said.get(one)!, logged: logged.get(one)! }]));
  } catch (error) {
    const fatal = readFileSync(`${instance.directory}/log`, 'latin1').split('\n').filter((line) => /fatal|panic/.test(line));
    throw new Error(`${release.daemonDirectory}: ${String(error)}\n${fatal.slice(0, 5).join('\n')}`);
  } finally {
    await instance.stop();
  }
}
