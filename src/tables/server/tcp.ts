/**
 * tcp_table(5): `tcp:host:port`, a line out, a line back, both with %XX for what is not plain.
 */
import type { TableKind, Treatment } from '../driver.ts';
import type { TableContext, TableOptions } from '../table.ts';
import { driverOf, sharedPool } from './common.ts';
import { inetEndpoint } from './endpoint.ts';
import { Refused } from './pool.ts';
import { connectStream, type Exchange, type StreamHost } from './stream-link.ts';

/** Bytes of one reply, and milliseconds to wait for it. */
const replyLimit = 4096;
const limits = { links: 8, perLink: 1, waiting: 10_000, timeout: 100_000, retry: 0, idle: 100_000 };

/** Undefined: 5xx, there is no such key. */
type Reply = string | undefined;

export function tcpKind(name: string, _treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const label = `tcp:${name}`;
  const open = () => {
    if (options.sensitive) throw new Error(`${label} map is not allowed for security sensitive data`);
    const host = inetEndpoint(label, name, context);
    const pool = sharedPool<StreamHost, Exchange<Reply>, Reply>(context, label, {
      hosts: [host], limits, connect: (to) => connectStream<Reply>(to),
      failed: (_host, error, connecting) => context.warn(connecting ? `connect to TCP map ${name}: ${error.message}` : `read TCP map reply from ${name}: ${error.message}`),
    });
    return driverOf(label, context, { find: (key) => pool.ask(question(key)), close: () => pool.close() });
  };
  return { open, fixed: false, owner: { trusted: false, uid: undefined } };
}

function question(key: string): Exchange<Reply> {
  return { bytes: Buffer.from(`get ${quoted(key)}\n`, 'latin1'), parse };
}

/** White space, % and what cannot be printed. */
function quoted(text: string): string {
  return text.replace(/[^!-$&-~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function parse(received: Buffer): { answer: Reply; length: number } | undefined {
  const end = received.indexOf(10);
  if (end < 0 ? received.length > replyLimit : end > replyLimit) throw new Error(`text longer than ${replyLimit}`);
  if (end < 0) return undefined;
  const line = received.toString('latin1', 0, end);
  const [, code, text = ''] = /^([0-9])[0-9][0-9][ \t\n\v\f\r]([^]*)$/.exec(line) ?? [];
  const value = code === undefined ? undefined : unquoted(text);
  if (value === undefined) throw new Error(`malformed reply: ${line.slice(0, 100)}`);
  if (code === '2') return { answer: value, length: end + 1 };
  if (code === '5') return { answer: undefined, length: end + 1 };
  if (code === '4') throw new Refused(value);
  throw new Error(`bad status code: ${line.slice(0, 100)}`);
}

function unquoted(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return text.replace(/%(..)/g, (_all, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}
