/**
 * What tables behind a server have in common: their settings, which keys are asked for at all, shared connections, and how trouble is told.
 *
 * A key that the server cannot hold (not UTF-8, a NUL in it, a domain that `domain` does not list) is not found without asking. Everything
 * that goes wrong is TableTrouble of kind 'retry', told to the log where it happens.
 */
import { createRequire } from 'node:module';
import { stringList } from '../../text/match-list.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { isUtf8 } from '../../text/utf8.ts';
import type { TableDriver, TableKind } from '../driver.ts';
import { listed, matchSources } from '../lists.ts';
import { TableTrouble, type TableContext } from '../table.ts';
import { Expansion, ExpansionLimit } from './expansion.ts';
import { HostPool, type Host, type PoolLimits, type PoolOptions } from './pool.ts';
import { readSettings, settingsFile, type Settings } from './settings.ts';

const requireHere = createRequire(import.meta.url);

/** What a library loads at its first use, which may come too late: by name of the library, a module of its own and what makes that one complete. */
const lateParts: ReadonlyMap<string, readonly [module: string, load: (module: never) => unknown]> = new Map([
  ['mysql2', ['iconv-lite', (module: { encodingExists(name: string): boolean }) => module.encodingExists('latin1')]],
]);

/** A client library, loaded when the first table that needs it is opened: in a jail it would be too late. Throws an Error that says what to do. */
export function library<T>(name: string, table: string): T {
  try {
    const loaded = requireHere(name) as T;
    const late = lateParts.get(name);
    if (late) late[1](createRequire(requireHere.resolve(name))(late[0]) as never);
    return loaded;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error(`${table}: the client library "${name}" is not installed`);
  }
}

/** What a table is made from. */
export interface Parts {
  /** type:name */
  readonly label: string;
  readonly settings: Settings;
  readonly expansion: Expansion;
  readonly context: TableContext;
}

/** How one type answers. Both may reject; the error's message is for the log. */
export interface Answers {
  find(key: string): MaybePromise<string | undefined>;
  update?(key: string, value: string): MaybePromise<void>;
  remove?(key: string): MaybePromise<boolean>;
  entries?(): Iterable<readonly [string, string]>;
  close(): void;
}

export function settingsKind(type: string, name: string, context: TableContext, make: (parts: Parts) => Answers): TableKind {
  const label = `${type}:${name}`;
  const open = (): TableDriver => {
    const settings = readSettings(name, context);
    const expansion = new Expansion(label, context.warn);
    return driverOf(label, context, make({ label, settings, expansion, context }), inDomains(settings, context));
  };
  const file = settingsFile(name);
  return { open, fixed: true, ...(file === undefined ? {} : { file, changes: 'half written' as const }) };
}

type Suits = (key: string) => MaybePromise<boolean>;

/** `domain`: only addresses of these domains are in the table. */
function inDomains(settings: Settings, context: TableContext): Suits {
  const domains = settings.text('domain');
  if (domains === '') return () => true;
  const list = stringList(settings.name, domains, matchSources(context));
  return (key) => {
    const at = key.lastIndexOf('@');
    return at >= 0 && at < key.length - 1 && listed(list, key.slice(at + 1));
  };
}

export function driverOf(label: string, context: TableContext, answers: Answers, suits: Suits = () => true): TableDriver {
  const guarded = <T>(key: string, otherwise: T, ask: () => MaybePromise<T>): MaybePromise<T> =>
    key.includes('\0') || !isUtf8(key) ? otherwise : troubled(label, context, () => chain(suits(key), (suited) => (suited ? ask() : otherwise)));
  return {
    find: (key) => guarded<string | undefined>(key, undefined, () => answers.find(key)),
    ...(answers.update ? { update: (key: string, value: string) => guarded<void>(key, undefined, () => answers.update!(key, value)) } : {}),
    ...(answers.remove ? { remove: (key: string) => guarded(key, false, () => answers.remove!(key)) } : {}),
    ...(answers.entries ? { entries: () => answers.entries!() } : {}),
    close: () => answers.close(),
  };
}

function troubled<T>(label: string, context: TableContext, ask: () => MaybePromise<T>): MaybePromise<T> {
  const trouble = (error: unknown): never => {
    if (error instanceof TableTrouble) throw error;
    const text = (error as Error).message;
    if (error instanceof ExpansionLimit) context.warn(`${label}: ${text}`);
    throw new TableTrouble(label, text);
  };
  try {
    const answer = ask();
    return isPending(answer) ? answer.catch(trouble) : answer;
  } catch (error) {
    return trouble(error);
  }
}

interface SharedPool { readonly pool: HostPool<never, never, never>; holders: number }

const pools = new WeakMap<TableContext, Map<string, SharedPool>>();

/** Connections that equal tables of one context share: `key` says all that makes one connection different from another. */
export function sharedPool<H extends Host, Q, A>(context: TableContext, key: string, options: Omit<PoolOptions<H, Q, A>, 'now' | 'random'>): { ask(question: Q): Promise<A>; close(): void } {
  let known = pools.get(context);
  if (!known) pools.set(context, (known = new Map()));
  let shared = known.get(key);
  if (!shared) {
    const clock = { ...(context.now ? { now: () => context.now!() } : {}), ...(context.random ? { random: (limit: number) => context.random!(limit) } : {}) };
    shared = { pool: new HostPool<H, Q, A>({ ...options, ...clock }) as unknown as SharedPool['pool'], holders: 0 };
    known.set(key, shared);
  }
  const mine = shared;
  mine.holders++;
  const pool = mine.pool as unknown as HostPool<H, Q, A>;
  return {
    ask: (question) => pool.ask(question),
    close: () => {
      if (--mine.holders > 0) return;
      known.delete(key);
      pool.close();
    },
  };
}

/** Limits that every type with settings takes; `connection_limit`, `pending_limit` and `timeout` are ours for SQL. */
export function limitsOf(settings: Settings, timeout: number, perLink = 1): PoolLimits {
  return {
    links: settings.number('connection_limit', 5, { min: 1 }),
    perLink,
    waiting: settings.number('pending_limit', 10_000, { min: 1 }),
    timeout: settings.number('timeout', timeout, { min: 1 }) * 1000,
    retry: settings.number('retry_interval', 60, { min: 1 }) * 1000,
    idle: settings.number('idle_interval', 60, { min: 1 }) * 1000,
  };
}
