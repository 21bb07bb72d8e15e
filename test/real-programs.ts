/**
 * Programs of Debian's that stand around a mail system, each private to one test: started in the foreground, on loopback, and ended by
 * their process id. `directory` is theirs to write in, and gone afterwards.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { eventually } from './instance.ts';
import { accepts } from './ports.ts';

/** Which of these files are not there; false: all are. */
export function missing(...files: readonly string[]): string | false {
  return files.filter((file) => !existsSync(file)).map((file) => `${file} is not installed`).join(', ') || false;
}

export class RealPrograms {
  readonly directory: string;
  readonly #children: ChildProcess[] = [];

  constructor(name: string) {
    this.directory = mkdtempSync(`${tmpdir()}/${name}-`);
    chmodSync(this.directory, 0o755);
  }

  /** Resolves when it listens at the port; rejects when it ends before. */
  async start(port: number, command: string, ...words: readonly string[]): Promise<void> {
    const child = spawn(command, words, { stdio: 'ignore', cwd: this.directory });
    this.#children.push(child);
    await eventually(`${command} answers`, () => {
      if (child.exitCode !== null) throw new Error(`${command} ended with status ${child.exitCode}`);
      return accepts(port);
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map(ended));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.on('exit', resolve));
  child.kill();
  await exit;
}
