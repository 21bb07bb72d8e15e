/**
 * The same commands given to Debian's Postfix and to ours, each in a mount namespace of its own where /etc/postfix is a private directory.
 *
 * Needs root, unshare(1) and the package postfix; `missing` says what is not there.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';

const run = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

/** How a command of ours is started. */
export const ourCommand = `${process.execPath} ${run}`;

function reason(): string | false {
  if (process.getuid!() !== 0) return 'needs root';
  if (!existsSync('/usr/lib/postfix/sbin/postfix-script')) return 'needs the package postfix';
  return spawnSync('unshare', ['-m', '--propagation', 'slave', 'true']).status === 0 ? false : 'needs mount namespaces';
}

export const missing = reason();

export interface Answer {
  readonly command: string;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Scene {
  readonly answers: readonly Answer[];
  /** A file below the scene's directory; '' when there is none. */
  readonly file: (name: string) => string;
}

/** `@` in a command stands for the scene's directory; in answers it stands there again. What begins with `sh:` is done by the shell alone. */
export function play(whose: 'postfix' | 'ours', commands: readonly string[], prepare: (directory: string) => void = () => undefined): Scene {
  const directory = mkdtempSync(`${tmpdir()}/postern-scene-`);
  chmodSync(directory, 0o755);
  try {
    furnish(directory);
    prepare(directory);
    writeFileSync(`${directory}/play`, script(whose, commands, directory));
    const { status, stderr } = spawnSync('unshare', ['-m', '--propagation', 'slave', 'sh', `${directory}/play`], { encoding: 'latin1', timeout: 170_000 });
    if (status !== 0) throw new Error(`the scene ended early: ${stderr}`);
    const text = (name: string): string => (existsSync(`${directory}/${name}`) ? readFileSync(`${directory}/${name}`, 'latin1').replaceAll(directory, '@') : '');
    const answers = commands.map((command, at) => ({ command, status: Number(text(`${at}.status`)), stdout: text(`${at}.out`), stderr: text(`${at}.err`) }));
    const files = new Map(spawnSync('find', [directory, '-type', 'f'], { encoding: 'latin1' }).stdout.split('\n').filter((path) => path !== '').map((path) => [path.slice(directory.length + 1), text(path.slice(directory.length + 1))] as const));
    return { answers, file: (name) => files.get(name) ?? '' };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function furnish(directory: string): void {
  for (const name of ['etc', 'spool/postfix/pid', 'lib/postfix']) mkdirSync(`${directory}/${name}`, { recursive: true });
  const { owner, group } = instanceAccounts();
  writeFileSync(`${directory}/etc/main.cf`, `compatibility_level = 3.11
queue_directory = ${directory}/spool/postfix
data_directory = ${directory}/lib/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = ${owner}
setgid_group = ${group}
maillog_file = ${directory}/maillog
maillog_file_prefixes = ${directory}
myhostname = mail.example.test
inet_protocols = ipv4
`);
  copyFileSync('/etc/postfix/master.cf', `${directory}/etc/master.cf`);
  for (const name of ['main.cf.proto', 'master.cf.proto', 'postfix-files', 'dynamicmaps.cf', 'makedefs.out', 'post-install', 'postfix-script'])
    if (existsSync(`/etc/postfix/${name}`)) copyFileSync(`/etc/postfix/${name}`, `${directory}/etc/${name}`);
}

function script(whose: 'postfix' | 'ours', commands: readonly string[], directory: string): string {
  const start = whose === 'ours' ? `${ourCommand} ` : '/usr/sbin/';
  const lines = commands.map((command, at) => {
    const said = command.replaceAll('@', directory);
    return `{ ${said.startsWith('sh:') ? said.slice(3) : `${start}${said}`}; } >${directory}/${at}.out 2>${directory}/${at}.err </dev/null; echo $? >${directory}/${at}.status`;
  });
  // A shell of the host has no business in here, and its environment neither.
  return `mount --bind ${directory}/etc /etc/postfix || exit 1\nunset MAIL_CONFIG\n${lines.join('\n')}\nexit 0\n`;
}

/**
 * What can be compared: Postfix names its programs with the path that they were started by, and of 3.7 some say what they have to say
 * in the log only, unless a terminal listens.
 */
export function comparable({ status, stdout, stderr }: Answer, logged: RegExp): Omit<Answer, 'command'> {
  const kept = stderr.replaceAll('/usr/sbin/', '').split('\n').filter((line) => !logged.test(line) && !/postconf: warning: /.test(line));
  return { status, stdout: stdout.replace(/^(?:play|[0-9]+\.(?:out|err|status))\n/gm, ''), stderr: kept.join('\n') };
}

/** A log without times and process ids; a tag with or without the name of the mail system. */
export function anonymous(log: string): string {
  return log.replace(/^[A-Z][a-z]{2} [0-9 ]{2} [0-9:]{8} (\S+) (?:postfix\/)?/gm, '$1 ').replace(/\[[0-9]+\]/g, '[]');
}
