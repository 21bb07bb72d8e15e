/**
 * Our postconf and a real one, each in a directory of its own with the same main.cf and master.cf, asked the same. The real one is
 * Debian's; POSTFIX_POSTCONF names another.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { main } from '../src/commands/postconf/postconf.ts';

const program = process.env['POSTFIX_POSTCONF'] ?? '/usr/sbin/postconf';

const directories: string[] = [];
process.on('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** The release of the real one, such as `3.7`; undefined: there is none. */
export const realRelease = existsSync(program)
  ? /^[0-9]+\.[0-9]+/.exec(spawnSync(program, ['-c', emptyDirectory(), '-dh', 'mail_version'], { encoding: 'latin1' }).stdout)?.[0]
  : undefined;

export const noRealPostconf = realRelease === undefined && "Debian's postfix is not installed";

/** Is the real one at least of this release of Postfix 3? */
export function realHas(minor: number): boolean {
  return Number(realRelease?.split('.')[1] ?? 0) >= minor;
}

function emptyDirectory(): string {
  const directory = mkdtempSync(`${tmpdir()}/postconf-pair-`);
  directories.push(directory);
  for (const file of ['main.cf', 'master.cf']) write(`${directory}/${file}`, '');
  return directory;
}

// The real one waits until a file that was just written has come to rest.
function write(file: string, text: string): void {
  writeFileSync(file, text, 'latin1');
  utimesSync(file, 1e9, 1e9);
}

export interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  /** Complaints in the order of their texts: some come in the order of a hash table. */
  readonly stderr: readonly string[];
  readonly mainCf: string;
  readonly masterCf: string;
}

export class PostconfPair {
  readonly #directories: readonly [ours: string, theirs: string] = [emptyDirectory(), emptyDirectory()];

  constructor(mainCf: string, masterCf = '', others: { readonly [file: string]: string } = {}) {
    for (const directory of this.#directories)
      for (const [file, text] of Object.entries({ 'main.cf': mainCf, 'master.cf': masterCf, ...others })) write(`${directory}/${file}`, text.replaceAll('CONFIG_DIR', directory));
  }

  async ours(...argv: string[]): Promise<Answer> {
    const [directory] = this.#directories;
    const written = { stdout: '', stderr: '' };
    const writer = (name: 'stdout' | 'stderr') => ({ write: (chunk: Uint8Array) => void (written[name] += Buffer.from(chunk).toString('latin1')) });
    const status = await main(['-c', directory, ...argv.map((word) => word.replaceAll('CONFIG_DIR', directory))], {}, { stdout: writer('stdout'), stderr: writer('stderr') });
    return answer(directory, status, written.stdout, written.stderr);
  }

  /** Several may be asked at once, each of another pair: the real one sleeps for a second before it fails. */
  async theirs(...argv: string[]): Promise<Answer> {
    const [, directory] = this.#directories;
    for (const file of ['main.cf', 'master.cf']) utimesSync(`${directory}/${file}`, 1e9, 1e9);
    return inTurn(async () => {
      const { status, stdout, stderr } = await run(['-c', directory, ...argv.map((word) => word.replaceAll('CONFIG_DIR', directory))]);
      return answer(directory, status, stdout, stderr.replaceAll(`${program}: `, 'postconf: '));
    });
  }
}

// No more than this many at a time.
const turns = Array.from({ length: 12 }, () => Promise.resolve() as Promise<unknown>);
let nextTurn = 0;

function inTurn<T>(start: () => Promise<T>): Promise<T> {
  const turn = nextTurn++ % turns.length;
  const result = turns[turn]!.then(start);
  turns[turn] = result.catch(() => {});
  return result;
}

function run(argv: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
    const written = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('latin1').on('data', (text: string) => void (written[name] += text));
    child.on('error', reject).on('close', (status) => resolve({ status, ...written }));
  });
}

// What is ours alone stands behind the words of Postfix, in parentheses, or on a line of its own.
function answer(directory: string, status: number | null, stdout: string, stderr: string): Answer {
  const general = (text: string): string => text.replaceAll(directory, 'DIR').replace(/\/postconf [0-9]+ &/, '/postconf PID &');
  const complaints = general(stderr).split('\n').slice(0, -1).filter((line) => !line.includes(': accepted, not yet used: '))
    .map((line) => line.replace(/ \((?:did you mean|write|known are|\S+ is a restriction|DIR\/\S+, line)[^]*\)$/, ''));
  const [mainCf, masterCf] = ['main.cf', 'master.cf'].map((file) => general(readFileSync(`${directory}/${file}`, 'latin1')));
  return { status, stdout: general(stdout), stderr: complaints.sort(), mainCf: mainCf!, masterCf: masterCf! };
}

/** What an earlier release says as well: since 3.9 names that will go away are warned of; 3.8 set commas between options. */
export function earlier(answer: Answer): Answer {
  if (realHas(9)) return answer;
  const stderr = answer.stderr.filter((line) => !/: support for parameter|DEPRECATION_README/.test(line));
  return { ...answer, stderr: stderr.map((line) => (/fatal: (?:specify one of|with option)/.test(line) ? line.replaceAll(',', '') : line)) };
}
