/**
 * socketmap_table(5): `socketmap:inet:host:port:name` or `socketmap:unix:path:name`, netstrings of Sendmail's making.
 */
import type { TableKind, Treatment } from '../driver.ts';
import { TableTrouble, type TableContext, type TableOptions } from '../table.ts';
import { driverOf, sharedPool } from './common.ts';
import { endpoint } from './endpoint.ts';
import { connectStream, type Exchange, type StreamHost } from './stream-link.ts';

const limits = { links: 8, perLink: 1, waiting: 10_000, timeout: 100_000, retry: 0, idle: 10_000 };

export function socketmapKind(name: string, _treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const label = `socketmap:${name}`;
  const open = () => {
    if (options.sensitive) throw new Error(`${label} map is not allowed for security-sensitive data`);
    const colon = name.lastIndexOf(':');
    if (colon < 0) throw new Error('socketmap requires server:socketmap argument');
    const host = endpoint(name.slice(0, colon), context);
    const map = name.slice(colon + 1);
    const [queryLimit, replyLimit] = [sizeOf(context, 'socketmap_max_query_size', 10_000), sizeOf(context, 'socketmap_max_reply_size', 100_000)];
    const pool = sharedPool<StreamHost, Exchange<string>, string>(context, `socketmap:${host.label}`, {
      hosts: [host], limits, connect: (to) => connectStream<string>(to),
      failed: (_host, error) => context.warn(`table ${label} lookup error: ${error.message}`),
    });
    const find = async (key: string): Promise<string | undefined> => {
      if (key.length > queryLimit) {
        context.warn(`table ${label} query too large: '${key.slice(0, 100)}', returning 'not found'`);
        return undefined;
      }
      return resultOf(label, context, await pool.ask(exchange(`${map} ${key}`, replyLimit)));
    };
    return driverOf(label, context, { find, close: () => pool.close() });
  };
  return { open, fixed: false, owner: { trusted: false, uid: undefined } };
}

function sizeOf(context: TableContext, parameter: string, fallback: number): number {
  return Number(context.parameter(parameter)) || fallback;
}

function exchange(query: string, limit: number): Exchange<string> {
  return { bytes: Buffer.from(`${query.length}:${query},`, 'latin1'), parse: (received) => netstring(received, limit) };
}

function netstring(received: Buffer, limit: number): { answer: string; length: number } | undefined {
  const colon = received.indexOf(58);
  const digits = received.toString('latin1', 0, colon < 0 ? Math.min(received.length, 20) : colon);
  if (!/^[0-9]{0,10}$/.test(digits) || (colon === 0)) throw new Error('netstring format error while receiving length');
  if (colon < 0) return undefined;
  const length = Number(digits);
  if (length > limit) throw new Error('netstring size limit exceeded');
  const end = colon + 1 + length;
  if (received.length <= end) return undefined;
  if (received[end] !== 44) throw new Error('netstring format error while receiving terminator');
  return { answer: received.toString('latin1', colon + 1, end), length: end + 1 };
}

const classes = new Map([['TEMP', 'temporary'], ['TIMEOUT', 'timeout'], ['PERM', 'permanent']]);

function resultOf(label: string, context: TableContext, reply: string): string | undefined {
  const space = reply.indexOf(' ');
  const [word, rest] = space < 0 ? [reply, ''] : [reply.slice(0, space), reply.slice(space + 1)];
  if (word === 'OK') return rest;
  if (word === 'NOTFOUND') return undefined;
  const reason = rest.replace(/^[ \t\r\n]+/, '').slice(0, 200);
  const text = `${label} socketmap server ${classes.get(word) ?? 'unknown'} error${reason === '' ? '' : `: ${reason}`}`;
  context.warn(text);
  throw new TableTrouble(label, text, word === 'PERM' ? 'config' : 'retry');
}
