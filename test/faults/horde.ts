/** Many clients that want nothing, or never come to an end, in one process: see horde-clients.ts. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually, type Instance } from '../instance.ts';
import { submit } from '../submit.ts';
import type { HordeReport } from './horde-clients.ts';

const script = fileURLToPath(new URL('./horde-clients.ts', import.meta.url));

export type HordeKind = 'idle' | 'trickle' | 'data' | 'unread' | 'handshake' | 'churn';

export interface HordeOptions {
  readonly port: number;
  readonly kind: HordeKind;
  readonly count: number;
  /** Addresses that they come from. */
  readonly sources?: number;
}

export class Horde {
  readonly #child: ChildProcess;
  #report: HordeReport = { stuck: 0, refused: 0, dropped: 0 };

  constructor({ port, kind, count, sources = 10 }: HordeOptions) {
    this.#child = fork(script, [port, count, kind, sources].map(String), { execArgv: [] });
    this.#child.on('message', (report) => { this.#report = report as HordeReport; });
  }

  get report(): HordeReport {
    return this.#report;
  }

  /** So many got as far as they wanted, at one time or another. */
  stuck(count: number): Promise<unknown> {
    return eventually(`${count} clients are there`, () => this.#report.stuck >= count);
  }

  async leave(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

const patience = 15_000;

/** How many of `count` messages, one after another, the mail system takes while each is given 15 seconds. */
export async function served(port: number, count: number, recipient = 'joe@example.test'): Promise<number> {
  let taken = 0;
  for (let at = 0; at < count; at++) {
    const given = submit({ port, sender: 'ann@example.test', recipients: [recipient], text: `Subject: ${at}\n\nhello\n` });
    if (await Promise.race([given.then(() => true, () => false), later(false, patience)])) taken++;
  }
  return taken;
}

function later<T>(value: T, milliseconds: number): Promise<T> {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds, value).unref(); });
}

/** Kilobytes that all processes of the mail system take (proportional set size). */
export function treeSize(instance: Instance): number {
  return [instance.pid, ...instance.children().keys()].reduce((sum, pid) => sum + Number(/^Pss:\s+([0-9]+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0), 0);
}

export function processNamed(instance: Instance, title: string): number {
  const found = [...instance.children()].find(([, name]) => name === title);
  if (found === undefined) throw new Error(`no process ${title}`);
  return found[0];
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
