/**
 * The surroundings of a delivery: accounts, home directories and mail spool that only one mail system sees, and the files that are there
 * before mail comes. The system runs in a mount namespace of its own, where /etc/passwd, /etc/group, /home and /var/mail are those of
 * the scene, and sendmail(1), for programs that answer, writes down what it is given. Only root can do that.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { noDebianPostfix } from './debian-postfix.ts';

/** Accounts that exist in both: name and number; `ann` is of a group of her own too. */
export const accounts = { joe: 4001, ann: 4002, bob: 4003, list: 4004, store: 4005, away: 4006, collect: 4009 } as const;

/** Mail for nobody here goes to this Maildir. */
export const collected = '/home/collected/';

/** A file, made before the mail is sent. Paths are those that the mail system sees, below /home or /var/mail. */
export interface GivenFile {
  /** In a DeliveryCase @PORT@ stands for the port of smtpd. */
  readonly text?: string;
  readonly mode?: number;
  /** Name of an account; root when absent. */
  readonly owner?: string;
  /** A directory, a named pipe, a symbolic link or a second name instead of a file. */
  readonly kind?: 'directory' | 'fifo' | 'link' | 'second-name';
  readonly to?: string;
}

/** Why there can be none on this machine; false: there can. */
export function noScene(): string | false {
  const missing = noDebianPostfix();
  if (missing !== false) return missing;
  const tried = spawnSync('unshare', ['-m', '--propagation', 'slave', 'mount', '--bind', '/tmp', '/mnt']);
  return tried.status === 0 ? false : 'mount namespaces are not allowed here';
}

/** The root of one system's private directories, with home, mail, passwd and group in it. */
function makeDirectories(): string {
  const scene = fs.mkdtempSync(`${os.tmpdir()}/delivery-scene-`);
  fs.chmodSync(scene, 0o755);
  for (const name of ['home', 'mail']) fs.mkdirSync(`${scene}/${name}`);
  const names = new Set(Object.keys(accounts));
  const others = (file: string): string => fs.readFileSync(file, 'latin1').split('\n').filter((line) => line !== '' && !names.has(line.split(':')[0]!)).join('\n');
  const all = Object.entries(accounts);
  fs.writeFileSync(`${scene}/passwd`, `${others('/etc/passwd').replace(':/root:', ':/home/root:')}\n${all.map(([name, id]) => `${name}:x:${id}:${id}:${name}:/home/${name}:/bin/sh\n`).join('')}nohome:x:4010:4010::/home/none:/bin/sh\n`);
  fs.writeFileSync(`${scene}/group`, `${others('/etc/group')}\n${all.map(([name, id]) => `${name}:x:${id}:\n`).join('')}others:x:4100:ann,joe\n`);
  fs.writeFileSync(`${scene}/sendmail`, '#!/bin/sh\n{ echo "sendmail $*"; cat; } >> /home/out/sendmail\n', { mode: 0o755 });
  return scene;
}

/** Words that run what follows where the scene's files are those of the system. */
function within(scene: string): readonly string[] {
  const mounts = [['passwd', '/etc/passwd'], ['group', '/etc/group'], ['home', '/home'], ['mail', '/var/mail'], ['sendmail', '/usr/sbin/sendmail']]
    .map(([from, to]) => `mount --bind ${scene}/${from} ${to}`);
  return ['unshare', '-m', '--propagation', 'slave', 'sh', '-c', `${mounts.join(' && ')} && exec "$@"`, 'sh'];
}

/** A command that writes down how it was called and what it was given. */
const record = `#!/bin/sh
{ echo "directory $(pwd)"; id; echo "umask $(umask)"; grep '^SigBlk' /proc/self/status
  echo "session $(test "$(cut -d ' ' -f 6 /proc/$$/stat)" = "$(cut -d ' ' -f 5 /proc/$$/stat)" && echo own)"
  for each; do echo "argument <$each>"; done; env | sort; echo; cat; echo "end of input"; } >> /home/out/record 2>&1
`;

const usualFiles: Readonly<Record<string, GivenFile | string>> = {
  '/home/bin': { kind: 'directory' }, '/home/bin/record': { text: record, mode: 0o755 },
  '/home/out': { kind: 'directory', mode: 0o1777 }, '/home/boxes': { kind: 'directory', owner: 'store' },
  '/home/root': { kind: 'directory' }, '/home/collected': { kind: 'directory', owner: 'collect' },
};

export class Scene {
  readonly #directory = makeDirectories();

  /** Words that run what follows in this scene. */
  get within(): readonly string[] {
    return within(this.#directory);
  }

  /** Nothing but these files and the usual ones, and what is in /home/etc. */
  prepare(files: Readonly<Record<string, GivenFile | string>>): void {
    const scene = this.#directory;
    for (const name of fs.readdirSync(`${scene}/home`)) if (name !== 'etc') fs.rmSync(`${scene}/home/${name}`, { recursive: true, force: true });
    for (const name of fs.readdirSync(`${scene}/mail`)) fs.rmSync(`${scene}/mail/${name}`, { recursive: true, force: true });
    fs.chownSync(`${scene}/mail`, 0, 8);
    fs.chmodSync(`${scene}/mail`, 0o2775);
    for (const [name, id] of Object.entries(accounts)) {
      fs.mkdirSync(`${scene}/home/${name}`);
      fs.chownSync(`${scene}/home/${name}`, id, id);
    }
    for (const [path, file] of Object.entries({ ...usualFiles, ...files })) this.make(path, typeof file === 'string' ? { text: file } : file);
  }

  make(path: string, { text = '', mode, owner, kind, to = '' }: GivenFile): void {
    const place = this.#place(path);
    if (kind === 'directory') fs.mkdirSync(place, { recursive: true });
    else if (kind === 'fifo') execFileSync('mkfifo', [place]);
    else if (kind === 'link') fs.symlinkSync(to, place);
    else if (kind === 'second-name') fs.linkSync(this.#place(to), place);
    else fs.writeFileSync(place, text, 'latin1');
    const id = owner === undefined ? 0 : accounts[owner as keyof typeof accounts];
    if (kind !== 'second-name') fs.lchownSync(place, id, id);
    if (kind !== 'link' && kind !== 'second-name') fs.chmodSync(place, mode ?? (kind === 'directory' ? 0o755 : 0o644));
  }

  #place(path: string): string {
    return path.startsWith('/var/mail') ? `${this.#directory}/mail${path.slice('/var/mail'.length)}` : `${this.#directory}${path}`;
  }

  /** Where /home and /var/mail are for us. */
  get places(): { readonly home: string; readonly mail: string } {
    return { home: `${this.#directory}/home`, mail: `${this.#directory}/mail` };
  }

  remove(): void {
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}
