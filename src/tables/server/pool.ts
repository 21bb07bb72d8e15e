/**
 * Connections to the servers behind a table: kept, shared by all who ask, bounded in number and time.
 *
 * A question goes to a server that works; when that one fails, to another; a server that failed is left alone for a while. A kept
 * connection that turns out to be dead says nothing about its server: the question is asked again on a new one. `ask` rejects with
 * an Error when no server has an answer, with Refused when a server understood the question and would not have it.
 */
/** A server answers, but not this question: it is not down. */
export class Refused extends Error {}

/** One connection. `ask` rejects with Refused, or with any other error when the connection is no longer good. */
export interface Link<Q, A> {
  ask(question: Q): Promise<A>;
  close(): void;
}

export interface Host {
  /** As the operator wrote it. */
  readonly label: string;
  /** Asked before those behind a network. */
  readonly isLocal: boolean;
}

/** Times are milliseconds. */
export interface PoolLimits {
  /** Connections to one server. */
  readonly links: number;
  /** Questions under way on one connection. */
  readonly perLink: number;
  /** Questions that may wait for a connection. */
  readonly waiting: number;
  /** To connect, and for each answer. */
  readonly timeout: number;
  /** How long a server that failed is left alone. */
  readonly retry: number;
  /** After which an unused connection is closed. */
  readonly idle: number;
}

export interface PoolOptions<H extends Host, Q, A> {
  readonly hosts: readonly H[];
  readonly limits: PoolLimits;
  connect(host: H, timeout: number): Promise<Link<Q, A>>;
  /** What went wrong with a server, for the log. */
  failed(host: H, error: Error, connecting: boolean): void;
  /** Servers are tried in their order, and also when all of them failed a moment ago; else by chance, and each is left alone for a while. */
  readonly ordered?: boolean;
  readonly now?: () => number;
  readonly random?: (limit: number) => number;
}

interface Kept<Q, A> {
  readonly link: Link<Q, A>;
  busy: number;
  /** Not made for the question at hand: it may have died since. */
  old: boolean;
  idleTimer: NodeJS.Timeout | undefined;
}

interface Server<H, Q, A> {
  readonly host: H;
  readonly kept: Set<Kept<Q, A>>;
  /** Connections being made. */
  opening: number;
  readonly waiting: ((kept: Kept<Q, A> | Error) => void)[];
  downUntil: number;
}

class ConnectFailed extends Error {}

export class HostPool<H extends Host, Q, A> {
  readonly #options: PoolOptions<H, Q, A>;
  readonly #servers: Server<H, Q, A>[];
  #closed = false;
  #asking = 0;

  constructor(options: PoolOptions<H, Q, A>) {
    this.#options = options;
    this.#servers = options.hosts.map((host) => ({ host, kept: new Set(), opening: 0, waiting: [], downUntil: 0 }));
  }

  async ask(question: Q): Promise<A> {
    if (this.#closed) throw new Error('the table was closed');
    this.#asking++;
    try {
      return await this.#anywhere(question);
    } finally {
      this.#asking--;
      if (this.#closed) this.#closeIdle();
    }
  }

  /** No more questions; those under way are answered. */
  close(): void {
    this.#closed = true;
    this.#closeIdle();
  }

  #closeIdle(): void {
    for (const server of this.#servers) for (const kept of [...server.kept]) if (kept.busy === 0) this.#drop(server, kept);
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }

  async #anywhere(question: Q): Promise<A> {
    let last: Error | undefined;
    const tried = new Set<Server<H, Q, A>>();
    const only = this.#servers.length === 1 ? this.#servers[0] : undefined;
    for (let chance = 0; chance < Math.max(2, this.#servers.length); chance++) {
      // A single server gets a second chance at once; several have each other.
      const server = chance > 0 && only && !(last instanceof Refused) ? only : this.#pick(tried);
      if (server === undefined) break;
      tried.add(server);
      try {
        return await this.#askServer(server, question);
      } catch (error) {
        last = error as Error;
      }
    }
    throw last ?? new Error('all servers are down');
  }

  /** One that works, else one that may work; local ones first, then by chance. */
  #pick(tried: ReadonlySet<Server<H, Q, A>>): Server<H, Q, A> | undefined {
    const now = this.#now();
    const others = this.#servers.filter((server) => !tried.has(server));
    const rested = others.filter(({ downUntil }) => downUntil <= now);
    const able = rested.length === 0 && this.#options.ordered ? others : rested;
    const working = able.filter(({ kept, opening }) => kept.size > 0 || opening > 0);
    const candidates = working.length > 0 ? working : able;
    if (this.#options.ordered) return candidates[0];
    const local = candidates.filter(({ host }) => host.isLocal);
    const best = local.length > 0 ? local : candidates;
    return best[best.length > 1 ? this.#random(best.length) : 0];
  }

  #random(limit: number): number {
    return this.#options.random?.(limit) ?? Math.floor(Math.random() * limit);
  }

  async #askServer(server: Server<H, Q, A>, question: Q): Promise<A> {
    for (;;) {
      const kept = await this.#take(server);
      const { old } = kept;
      try {
        const answer = await this.#inTime(kept.link.ask(question), 'no answer in time');
        this.#give(server, kept);
        return answer;
      } catch (error) {
        if (error instanceof Refused) {
          this.#give(server, kept);
          throw error;
        }
        this.#drop(server, kept);
        if (old && !(error instanceof OutOfTime)) {
          this.#dropIdle(server);
          continue;
        }
        this.#down(server, error as Error, false);
        throw error;
      }
    }
  }

  /** What was kept longer than the server kept it: all such connections are as dead as the one that showed it. */
  #dropIdle(server: Server<H, Q, A>): void {
    for (const kept of [...server.kept]) if (kept.busy === 0) this.#drop(server, kept);
  }

  #take(server: Server<H, Q, A>): Kept<Q, A> | Promise<Kept<Q, A>> {
    const { links, perLink, waiting } = this.#options.limits;
    let best: Kept<Q, A> | undefined;
    for (const kept of server.kept) if (kept.busy < perLink && (best === undefined || kept.busy < best.busy)) best = kept;
    if (best !== undefined) return this.#claim(best, true);
    // Connections under way have room for so many of those who wait.
    if (server.kept.size + server.opening < links && server.opening * perLink <= server.waiting.length) void this.#open(server);
    if (server.waiting.length >= waiting) return Promise.reject(new Error('too many questions are waiting'));
    return new Promise((resolve, reject) => server.waiting.push((kept) => (kept instanceof Error ? reject(kept) : resolve(kept))));
  }

  #claim(kept: Kept<Q, A>, old: boolean): Kept<Q, A> {
    kept.old = old;
    kept.busy++;
    clearTimeout(kept.idleTimer);
    return kept;
  }

  async #open(server: Server<H, Q, A>): Promise<void> {
    server.opening++;
    try {
      const { timeout } = this.#options.limits;
      const connecting = this.#options.connect(server.host, timeout);
      const link = await this.#inTime(connecting, 'no connection in time').catch((error) => {
        connecting.then((late) => late.close(), () => undefined);
        throw error;
      });
      server.opening--;
      server.downUntil = 0;
      const kept = { link, busy: 0, old: false, idleTimer: undefined };
      server.kept.add(kept);
      this.#offer(server, kept, false);
    } catch (error) {
      server.opening--;
      // Not one more connection, as it seems; those that are there serve all who wait.
      if (server.kept.size + server.opening > 0) return this.#options.failed(server.host, error as Error, true);
      this.#down(server, error as Error, true);
      for (const told of server.waiting.splice(0)) told(new ConnectFailed((error as Error).message));
    }
  }

  /** Give a connection to those who wait for one. */
  #offer(server: Server<H, Q, A>, kept: Kept<Q, A>, isOld: boolean): void {
    while (kept.busy < this.#options.limits.perLink && server.waiting.length > 0) server.waiting.shift()!(this.#claim(kept, isOld));
    if (kept.busy > 0) return;
    if (this.#closed) return this.#drop(server, kept);
    clearTimeout(kept.idleTimer);
    kept.idleTimer = setTimeout(() => this.#drop(server, kept), this.#options.limits.idle);
    kept.idleTimer.unref();
  }

  #give(server: Server<H, Q, A>, kept: Kept<Q, A>): void {
    kept.busy--;
    if (server.kept.has(kept)) this.#offer(server, kept, true);
    else if (kept.busy === 0) kept.link.close();
  }

  #drop(server: Server<H, Q, A>, kept: Kept<Q, A>): void {
    clearTimeout(kept.idleTimer);
    server.kept.delete(kept);
    kept.link.close();
    // Who waits for it gets another.
    if (server.waiting.length > 0 && server.kept.size + server.opening === 0) void this.#open(server);
  }

  #down(server: Server<H, Q, A>, error: Error, connecting: boolean): void {
    server.downUntil = this.#now() + this.#options.limits.retry;
    this.#options.failed(server.host, error, connecting);
  }

  #inTime<T>(work: Promise<T>, text: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new OutOfTime(text)), this.#options.limits.timeout);
      work.then((value) => { clearTimeout(timer); resolve(value); }, (error: Error) => { clearTimeout(timer); reject(error); });
    });
  }
}

class OutOfTime extends Error {}
