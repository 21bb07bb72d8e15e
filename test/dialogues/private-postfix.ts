/**
 * A Postfix of its own for the dialogues: own configuration, queue and data directories, one smtpd row (and port) per set of
 * settings that dialogues ask for. Works for Debian's Postfix and for ours, since both read the same files.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { freePort } from '../ports.ts';
import type { Dialogue } from './format.ts';
import { mainCf } from './stage.ts';

export interface Release {
  readonly commandDirectory: string;
  readonly daemonDirectory: string;
  /** Where Postfix keeps its shared libraries; undefined: it has none. */
  readonly libraryDirectory: string | undefined;
  readonly mailOwner: string;
  readonly setgidGroup: string;
  /** The command that runs master(8) in the foreground. */
  readonly master: readonly string[];
}

export const debianPostfix: Release = {
  commandDirectory: '/usr/sbin',
  daemonDirectory: '/usr/lib/postfix/sbin',
  libraryDirectory: '/usr/lib/postfix',
  mailOwner: 'postfix',
  setgidGroup: 'postdrop',
  master: ['/usr/lib/postfix/sbin/master', '-d'],
};

/** Ours, run by the sources as they are. */
export function ourRelease(): Release {
  const file = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
  const { owner, group } = instanceAccounts();
  return {
    commandDirectory: file('bin'),
    daemonDirectory: file('libexec'),
    libraryDirectory: undefined,
    mailOwner: owner,
    setgidGroup: group,
    master: [process.execPath, '--disable-sigusr1', file('src/daemons/start.ts'), 'master', '-s'],
  };
}

export interface Instance {
  readonly directory: string;
  portFor(dialogue: Dialogue): number;
  stop(): Promise<void>;
}

/** What stands around a Postfix: further settings, and a command that runs its master in other surroundings. */
export interface Around {
  readonly mainCf: ReadonlyMap<string, string>;
  readonly command: readonly string[];
}

const nothingAround: Around = { mainCf: new Map(), command: [] };

const settingsKey = (dialogue: Dialogue): string => JSON.stringify([...dialogue.settings].sort());

/** Starts an instance that can play these dialogues; rejects when it does not answer in time. */
export async function startInstance(release: Release, dialogues: readonly Dialogue[], around: Around = nothingAround): Promise<Instance> {
  const directory = mkdtempSync(join(tmpdir(), 'dialogues-'));
  const settings = new Map(dialogues.map((dialogue) => [settingsKey(dialogue), dialogue.settings]));
  const ports = new Map<string, number>();
  for (const key of settings.keys()) ports.set(key, await freePort());
  layOut(directory, release);
  writeFileSync(join(directory, 'etc/main.cf'), renderMainCf(directory, release, around.mainCf));
  writeFileSync(join(directory, 'etc/master.cf'), renderMasterCf(settings, ports));
  const [command, ...words] = [...around.command, ...release.master, '-c', join(directory, 'etc')];
  const master = spawn(command!, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  const instance: Instance = {
    directory,
    portFor: (dialogue) => ports.get(settingsKey(dialogue))!,
    stop: async () => {
      await ended(master);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  await Promise.all([...ports.values()].map((port) => answering(port, master))).catch(async (error) => {
    await instance.stop();
    throw error;
  });
  return instance;
}

function layOut(directory: string, { mailOwner, setgidGroup }: Release): void {
  const owner = numberOf('passwd', mailOwner);
  const group = numberOf('group', setgidGroup);
  chmodSync(directory, 0o755);
  const make = (name: string, mode: number, groupId = 0): void => {
    mkdirSync(join(directory, name));
    chmodSync(join(directory, name), mode);
    if (process.getuid?.() === 0 && mode !== 0o755) chownSync(join(directory, name), owner, groupId);
  };
  for (const name of ['etc', 'queue', 'queue/pid']) make(name, 0o755);
  copyFileSync(new URL('tls.pem', import.meta.url), join(directory, 'etc/tls.pem'));
  make('data', 0o700);
  for (const name of queueDirectories) make(`queue/${name}`, 0o700);
  make('queue/maildrop', 0o730, group);
  make('queue/public', 0o710, group);
}

const queueDirectories = ['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'journal', 'private', 'saved', 'trace'];

function numberOf(database: 'passwd' | 'group', name: string): number {
  return Number(execFileSync('getent', [database, name], { encoding: 'latin1' }).split(':')[2]);
}

function renderMainCf(directory: string, release: Release, more: ReadonlyMap<string, string>): string {
  const lines = [
    ['queue_directory', `${directory}/queue`],
    ['data_directory', `${directory}/data`],
    ['command_directory', release.commandDirectory],
    ['daemon_directory', release.daemonDirectory],
    ...(release.libraryDirectory === undefined ? [] : [['shlib_directory', release.libraryDirectory]]),
    ['mail_owner', release.mailOwner],
    ['setgid_group', release.setgidGroup],
    ['maillog_file', `${directory}/log`],
    ['maillog_file_prefixes', directory],
    ...new Map([...mainCf, ...more]),
  ];
  return lines.map(([name, value]) => `${name} = ${value}\n`).join('');
}

const otherRows = `
cleanup    unix  n - n - 0 cleanup
qmgr       unix  n - n 300 1 qmgr
rewrite    unix  - - n - - trivial-rewrite
bounce     unix  - - n - 0 bounce
defer      unix  - - n - 0 bounce
trace      unix  - - n - 0 bounce
verify     unix  - - n - 1 verify
flush      unix  n - n 1000? 0 flush
proxymap   unix  - - n - - proxymap
error      unix  - - n - - error
retry      unix  - - n - - error
discard    unix  - - n - - discard
anvil      unix  - - n - 1 anvil
tlsmgr     unix  - - n 1000? 1 tlsmgr
postlog    unix-dgram n - n - 1 postlogd
`;

function renderMasterCf(settings: ReadonlyMap<string, ReadonlyMap<string, string>>, ports: ReadonlyMap<string, number>): string {
  const rows = [...settings].map(([key, own]) => {
    const options = [...own].map(([name, value]) => `  -o { ${name} = ${value} }\n`).join('');
    return `127.0.0.1:${ports.get(key)} inet n - n - 20 smtpd\n${options}`;
  });
  return rows.join('') + otherRows.slice(1);
}

async function answering(port: number, master: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200 && master.exitCode === null; attempt++) {
    if (await accepts(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing answers at port ${port}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('close', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.on('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
