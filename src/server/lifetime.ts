/**
 * When a process of the mail system ends by itself: after enough clients (max_use per slot), or after being idle (max_idle).
 *
 * A pure state machine: it is told what happens and asked when to look again. Times are milliseconds of a monotonic clock.
 */
export interface LifetimeLimits {
  /** max_idle in milliseconds; 0: never for want of work. */
  readonly idle: number;
  /** Clients after which the process is replaced; 0: never. */
  readonly uses: number;
}

export class Lifetime {
  readonly #limits: LifetimeLimits;
  #uses = 0;
  #lastUse: number;

  constructor(limits: LifetimeLimits, now: number) {
    this.#limits = limits;
    this.#lastUse = now;
  }

  /** Something came or ended. */
  active(now: number): void {
    this.#lastUse = now;
  }

  used(now: number): void {
    this.#uses++;
    this.#lastUse = now;
  }

  get wornOut(): boolean {
    return this.#limits.uses > 0 && this.#uses >= this.#limits.uses;
  }

  /** Milliseconds until the idle process should end; 0: now; undefined: it never does. */
  idleLeft(now: number): number | undefined {
    if (this.#limits.idle <= 0) return undefined;
    return Math.max(0, this.#lastUse + this.#limits.idle - now);
  }
}

/** How many clients a process may serve in all: max_use for each slot of each service. */
export function totalUses(maxUse: number, limits: readonly number[], defaultLimit: number): number {
  return limits.reduce((sum, limit) => sum + maxUse * (limit || defaultLimit), 0);
}
