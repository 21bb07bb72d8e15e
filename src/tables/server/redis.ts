/**
 * redis_table(5): values of Redis keys (GET), or of a field of its hashes (HGET). Postfix has no such type; it reads its settings as the others do.
 */
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { decodeUtf8 } from '../../text/utf8.ts';
import { splitList, upperAscii } from '../../text/ascii.ts';
import type { TableKind, Treatment } from '../driver.ts';
import type { TableContext } from '../table.ts';
import { library, limitsOf, settingsKind, sharedPool, type Answers, type Parts } from './common.ts';
import { endpoint } from './endpoint.ts';
import { joinResults, type Template } from './expansion.ts';
import { Refused, type Link } from './pool.ts';
import type { Settings } from './settings.ts';
import type { StreamHost } from './stream-link.ts';
import { certificates } from './tls.ts';

interface Ioredis { readonly Redis: typeof Redis }
type Words = readonly string[];
type Reply = Buffer | readonly (Buffer | null)[] | null;

export function redisKind(name: string, _treatment: Treatment, context: TableContext): TableKind {
  return settingsKind('redis', name, context, redisAnswers);
}

/** Commands that may be asked, with the number of templates behind them; for the others of Redis there are other programs. */
const commands = new Map([['GET', 1], ['HGET', 2], ['SMEMBERS', 1], ['LRANGE', 1]]);

function redisAnswers(parts: Parts): Answers {
  const { label, settings, context, expansion } = parts;
  const [command, ...rest] = splitList(settings.text('command', 'GET'));
  const name = upperAscii(command ?? '');
  const wanted = commands.get(name);
  if (wanted === undefined || rest.length !== wanted - 1) throw new Error(`${settings.name}: bad command "${settings.text('command')}" (use GET, "HGET field", SMEMBERS or LRANGE; the key is key_format's)`);
  const format = expansion.parse(settings.text('key_format', '%s', 1), 'query');
  const field = rest.map((text) => expansion.parse(text, 'query'));
  const result = expansion.parse(settings.text('result_format', '%s', 1), 'result');
  const limit = settings.number('expansion_limit', 0);
  const options = connectionOf(settings);
  const hosts = settings.list('hosts', 'inet:localhost:6379').map((host) => redisHost(host, context));
  const limits = limitsOf(settings, 10, 1000);
  const redis = library<Ioredis>('ioredis', label);
  const pool = sharedPool<StreamHost, Words, Reply>(context, JSON.stringify(['redis', hosts, options, limits]), {
    hosts, limits,
    connect: (host, timeout) => connect(redis, host, options, timeout),
    failed: (host, error, connecting) => context.warn(`${label}: ${connecting ? 'connect to' : 'lost'} redis server ${host.label}: ${error.message}`),
  });
  return {
    find: async (key) => {
      const words = wordsOf(parts, name, format, field, key);
      if (words === undefined) return undefined;
      const reply = await pool.ask(words).catch((error: Error) => {
        if (error instanceof Refused) context.warn(`${label}: query failed: ${error.message}`);
        throw error;
      });
      return joinResults(expansion, result, textsOf(reply), key, limit);
    },
    close: () => pool.close(),
  };
}

function redisHost(label: string, context: TableContext): StreamHost {
  const named = /^(?:inet|unix|local):/.test(label) ? label : `inet:${label}`;
  return endpoint(/^inet:(?:[^:]+|\[[^\]]*\])$/.test(named) ? `${named}:6379` : named, context);
}

function wordsOf({ expansion }: Parts, command: string, format: Template, field: readonly Template[], key: string): Words | undefined {
  if (key === '') return undefined;
  const templates = [format, ...field].map((template) => expansion.query(template, key));
  if (templates.includes(undefined)) return undefined;
  return [command, ...templates as string[], ...(command === 'LRANGE' ? ['0', '-1'] : [])];
}

function textsOf(reply: Reply): (string | null)[] {
  const values = reply === null ? [] : Buffer.isBuffer(reply) ? [reply] : reply;
  return values.map((value) => value && value.toString('latin1'));
}

interface Connection { readonly db: number; readonly username: string | undefined; readonly password: string | undefined; readonly tls: object | undefined }

function connectionOf(settings: Settings): Connection {
  const [ca, folder, certificate, key] = ['tls_CAfile', 'tls_CApath', 'tls_cert_file', 'tls_key_file'].map((name) => settings.given(name));
  const read = (file: string): string => readFileSync(Buffer.from(file, 'latin1'), 'latin1');
  const tls = settings.flag('tls', [ca, folder, certificate].some((each) => each !== undefined)) ? {
    ...certificates(ca, folder),
    ...(certificate === undefined ? {} : { cert: read(certificate) }),
    ...(key === undefined ? {} : { key: read(key) }),
    rejectUnauthorized: settings.flag('tls_verify_cert', true),
  } : undefined;
  const text = (name: string): string | undefined => settings.given(name) && (decodeUtf8(settings.given(name)!) ?? settings.given(name));
  return { db: settings.number('db', 0), username: text('user'), password: text('password'), tls };
}

function connect({ Redis: Client }: Ioredis, { where }: StreamHost, { tls, ...login }: Connection, timeout: number): Promise<Link<Words, Reply>> {
  return new Promise((resolve, reject) => {
    const client = new Client({
      ...where, ...(login.username === undefined ? {} : { username: login.username }), ...(login.password === undefined ? {} : { password: login.password }),
      db: login.db, ...(tls && !('path' in where) ? { tls } : {}),
      // Our pool decides about other servers and other times.
      retryStrategy: () => null, maxRetriesPerRequest: 0, enableOfflineQueue: false, connectTimeout: timeout, lazyConnect: true, enableReadyCheck: true,
    });
    let lost: Error | undefined;
    client.on('error', (error: Error) => { lost ??= error; });
    client.on('end', () => { lost ??= new Error('the connection has ended'); });
    const close = (): void => client.disconnect();
    const ask = async ([command, ...words]: Words): Promise<Reply> => {
      if (lost) throw lost;
      try {
        return await client.callBuffer(command!, ...words.map((word) => Buffer.from(word, 'latin1'))) as Reply;
      } catch (error) {
        throw (error as Error).name === 'ReplyError' && !/^(?:LOADING|MASTERDOWN|NOAUTH|READONLY)/.test((error as Error).message) ? new Refused((error as Error).message) : error;
      }
    };
    client.connect().then(() => resolve({ ask, close }), (error: Error) => {
      close();
      reject(lost ?? error);
    });
  });
}
