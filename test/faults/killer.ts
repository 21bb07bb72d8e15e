/**
 * Kills the processes of a mail system with signal 9, one kind after the other; after master, a new master is started.
 *
 * Only processes that the given instance started are ever killed. A kind that does not run at the moment is passed over, so that the
 * count is of kills that hit.
 */
import { readFileSync } from 'node:fs';
import type { Instance } from '../instance.ts';

export class Killer {
  readonly kills = new Map<string, number>();
  readonly #instance: Instance;
  readonly #kinds: readonly string[];
  #turn = 0;
  #busy: Promise<void> = Promise.resolve();

  /** `kinds`: process titles, and 'master'. */
  constructor(instance: Instance, kinds: readonly string[]) {
    this.#instance = instance;
    this.#kinds = kinds;
  }

  get count(): number {
    return [...this.kills.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The next one, after the one before has had its consequences. */
  strike(): void {
    this.#busy = this.#busy.then(() => this.#strike());
  }

  /** Resolves when every strike has been carried out. */
  rest(): Promise<void> {
    return this.#busy;
  }

  async #strike(): Promise<void> {
    for (let tries = 0; tries < this.#kinds.length; tries++) {
      const kind = this.#kinds[this.#turn++ % this.#kinds.length]!;
      if (kind === 'master') await this.#killMaster();
      else if (!this.#killOne(kind)) continue;
      this.kills.set(kind, (this.kills.get(kind) ?? 0) + 1);
      return;
    }
  }

  async #killMaster(): Promise<void> {
    this.#instance.signal('SIGKILL');
    await this.#instance.end();
    await this.#instance.start();
  }

  #killOne(kind: string): boolean {
    const [victim] = [...this.#instance.children()].filter(([pid, title]) => title === kind && isAlive(pid));
    if (victim === undefined) return false;
    process.kill(victim[0], 'SIGKILL');
    return true;
  }
}

/** A process that has ended and waits to be reaped is no target. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
