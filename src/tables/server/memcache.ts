/**
 * memcache_table(5): a memcached in front of another table, or alone; asked and written in its text protocol.
 */
import { createHash, getHashes } from 'node:crypto';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import type { TableKind, Treatment } from '../driver.ts';
import { openTable } from '../open.ts';
import type { LookupTable, TableContext, TableOptions } from '../table.ts';
import { settingsKind, sharedPool, type Answers, type Parts } from './common.ts';
import { endpoint } from './endpoint.ts';
import type { Template } from './expansion.ts';
import { connectStream, type Exchange, type StreamHost } from './stream-link.ts';

interface Memcache {
  readonly parts: Parts;
  readonly format: Template;
  readonly digest: string;
  readonly flags: number;
  readonly ttl: number;
  readonly lineLimit: number;
  readonly sizeLimit: number;
  readonly backup: LookupTable | undefined;
  ask<A>(exchange: Exchange<A>): Promise<A>;
}

export function memcacheKind(name: string, _treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const kind = settingsKind('memcache', name, context, (parts) => memcacheAnswers(parts, options));
  return { ...kind, owner: { trusted: false, uid: undefined } };
}

function memcacheAnswers(parts: Parts, options: TableOptions): Answers {
  const { label, settings, context, expansion } = parts;
  if (options.sensitive) throw new Error(`${label} map is not allowed for security-sensitive data`);
  const host = endpoint(settings.text('memcache', 'inet:localhost:11211'), context);
  const tries = settings.number('max_try', 2, { min: 1 });
  const pause = settings.number('retry_pause', 1, { min: 1 }) * 1000;
  const timeout = settings.number('timeout', 2) * 1000 || 100_000;
  const limits = { links: settings.number('connection_limit', 5, { min: 1 }), perLink: 1, waiting: settings.number('pending_limit', 10_000, { min: 1 }), timeout, retry: 0, idle: 100_000 };
  const pool = sharedPool<StreamHost, Exchange<unknown>, unknown>(context, JSON.stringify(['memcache', host, limits]), {
    hosts: [host], limits, connect: (to) => connectStream<unknown>(to),
    failed: (_host, error) => context.warn(`database ${label}: ${error.message}`),
  });
  const backup = settings.given('backup');
  const memcache: Memcache = {
    parts,
    format: expansion.parse(settings.text('key_format', '%s') || '%s', 'query'),
    digest: digestOf(settings.name, settings.text('key_digest')),
    flags: settings.number('flags', 0),
    ttl: settings.number('ttl', 3600),
    lineLimit: settings.number('line_size_limit', 1024, { min: 1 }),
    sizeLimit: settings.number('data_size_limit', 10_240, { min: 1 }),
    backup: backup === undefined ? undefined : openTable(backup, context, options),
    ask: <A>(exchange: Exchange<A>) => several(tries, pause, () => pool.ask(exchange as Exchange<unknown>) as Promise<A>),
  };
  return {
    find: (key) => find(memcache, key),
    update: (key, value) => update(memcache, key, value),
    remove: (key) => remove(memcache, key),
    // memcached does not tell its keys.
    ...(memcache.backup ? { entries: () => memcache.backup!.entries!() } : {}),
    close: () => {
      memcache.backup?.close();
      pool.close();
    },
  };
}

function digestOf(name: string, digest: string): string {
  if (digest !== '' && !getHashes().includes(digest)) throw new Error(`open ${name}: key digest ${digest} is not available`);
  return digest;
}

async function several<A>(tries: number, pause: number, ask: () => Promise<A>): Promise<A> {
  for (let left = tries; ; left--) {
    try {
      return await ask();
    } catch (error) {
      if (left <= 1) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** What the server knows the key by; undefined when it cannot. */
function keyOf({ parts: { expansion }, format, digest }: Memcache, key: string): string | undefined {
  const made = key === '' ? undefined : expansion.query(format, key);
  if (made === undefined || made === '') return undefined;
  const known = digest === '' ? made : createHash(digest).update(made, 'latin1').digest('hex');
  return /[\0- \x7f]/.test(known) || known.length > 250 ? undefined : known;
}

async function find(memcache: Memcache, key: string): Promise<string | undefined> {
  const known = keyOf(memcache, key);
  if (known === undefined) return undefined;
  const { backup } = memcache;
  if (!backup) return memcache.ask(get(memcache, known));
  // A cache that is down is no reason not to know.
  const cached = await memcache.ask(get(memcache, known)).catch(() => undefined);
  if (cached !== undefined) return cached;
  const value = await backup.find(key);
  if (value !== undefined) await set(memcache, known, value).catch(() => undefined);
  return value;
}

async function update(memcache: Memcache, key: string, value: string): Promise<void> {
  const known = keyOf(memcache, key);
  if (known === undefined) return memcache.parts.context.warn(`${memcache.parts.label}: skipping update for name "${key}": name contains space or controls, or is empty`);
  const { backup } = memcache;
  if (!backup) return set(memcache, known, value);
  await set(memcache, known, value).catch(() => undefined);
  if (!backup.update) throw new Error(`${backup.type}:${backup.name} map requires O_RDONLY access mode`);
  await backup.update(key, value);
}

async function remove(memcache: Memcache, key: string): Promise<boolean> {
  const known = keyOf(memcache, key);
  if (known === undefined) return false;
  const { backup } = memcache;
  if (!backup) return memcache.ask(del(memcache, known));
  await memcache.ask(del(memcache, known)).catch(() => undefined);
  if (!backup.remove) throw new Error(`${backup.type}:${backup.name} map requires O_RDONLY access mode`);
  return chain(backup.remove(key) as MaybePromise<boolean>, (removed) => removed);
}

async function set(memcache: Memcache, key: string, value: string): Promise<void> {
  const { sizeLimit, flags, ttl, parts: { label, context } } = memcache;
  if (value.length > sizeLimit) return context.warn(`database ${label}: data for key ${key} is too long (data_size_limit=${sizeLimit}) -- not stored`);
  const bytes = Buffer.from(`set ${key} ${flags} ${ttl} ${value.length}\r\n${value}\r\n`, 'latin1');
  await memcache.ask({ bytes, parse: (received) => word(received, memcache, ['STORED']) });
}

function del(memcache: Memcache, key: string): Exchange<boolean> {
  return {
    bytes: Buffer.from(`delete ${key}\r\n`, 'latin1'),
    parse: (received) => {
      const found = word(received, memcache, ['DELETED', 'NOT_FOUND']);
      return found && { answer: found.answer === 'DELETED', length: found.length };
    },
  };
}

function lineAt(received: Buffer, at: number, limit: number): { text: string; next: number } | undefined {
  const end = received.indexOf('\r\n', at);
  if ((end < 0 ? received.length : end) - at > limit) throw new Error('unexpected memcache server reply: line too long');
  return end < 0 ? undefined : { text: received.toString('latin1', at, end), next: end + 2 };
}

function word(received: Buffer, { lineLimit }: Memcache, wanted: readonly string[]): { answer: string; length: number } | undefined {
  const line = lineAt(received, 0, lineLimit);
  if (line && !wanted.includes(line.text)) throw new Error(`unexpected memcache server reply: ${line.text.slice(0, 30)}`);
  return line && { answer: line.text, length: line.next };
}

function get(memcache: Memcache, key: string): Exchange<string | undefined> {
  const { lineLimit, sizeLimit } = memcache;
  return {
    bytes: Buffer.from(`get ${key}\r\n`, 'latin1'),
    parse: (received) => {
      const head = lineAt(received, 0, lineLimit);
      if (head === undefined) return undefined;
      if (head.text === 'END') return { answer: undefined, length: head.next };
      const size = Number(/^VALUE [^ ]+ [0-9]+ ([0-9]+)/.exec(head.text)?.[1] ?? -1);
      if (size < 0 || size > sizeLimit) throw new Error(`unexpected memcache server reply: ${head.text.slice(0, 30)}`);
      const end = head.next + size;
      if (received.length < end + 2 + 5) return undefined;
      if (received.toString('latin1', end, end + 7) !== '\r\nEND\r\n') throw new Error('unexpected memcache server reply: no end');
      return { answer: received.toString('latin1', head.next, end), length: end + 7 };
    },
  };
}
