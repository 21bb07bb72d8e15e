/**
 * pgsql_table(5): PostgreSQL, by way of pg.
 *
 * The library speaks UTF-8 with the server, which converts; `encoding` says what the bytes of keys and values are.
 */
import type * as pg from 'pg';
import { decodeUtf8, encodeUtf8 } from '../../text/utf8.ts';
import type { TableKind, Treatment } from '../driver.ts';
import type { TableContext } from '../table.ts';
import { library, limitsOf, settingsKind, sharedPool, type Answers, type Parts } from './common.ts';
import { pgsqlHosts, type PgsqlHost } from './pgsql-host.ts';
import { Refused, type Link } from './pool.ts';
import type { Settings } from './settings.ts';
import { builtQuery, sqlResult, sqlTable, type Rows, type SqlTable } from './sql.ts';

type Pg = typeof pg;

interface Question { query(quote: (text: string) => string): string }

/** Between our bytes and the library's characters. */
interface Encoding { read(bytes: string): string; write(characters: string): string }

const utf8: Encoding = { read: (bytes) => decodeUtf8(bytes) ?? bytes, write: encodeUtf8 };
const latin1: Encoding = { read: (bytes) => bytes, write: (characters) => characters.replace(/[^\0-\xff]/g, '?') };
const encodings = new Map([['UTF8', utf8], ['UTF-8', utf8], ['UNICODE', utf8], ['SQL_ASCII', utf8], ['LATIN1', latin1], ['ISO88591', latin1]]);

interface Login { readonly user: string; readonly password: string; readonly database: string }

export function pgsqlKind(name: string, _treatment: Treatment, context: TableContext): TableKind {
  return settingsKind('pgsql', name, context, pgsqlAnswers);
}

function pgsqlAnswers(parts: Parts): Answers {
  const { label, settings, context } = parts;
  const table = sqlTable(parts, settings.given('query') ?? functionQuery(settings) ?? builtQuery(settings));
  const encoding = encodingOf(settings);
  const [user, password, database] = ['user', 'password', 'dbname'].map((name) => utf8.read(settings.text(name)));
  const login: Login = { user: user!, password: password!, database: database! };
  const hosts = pgsqlHosts(settings.list('hosts', 'localhost'));
  const needsName = hosts.find(({ uri }) => uri === undefined);
  if (needsName && login.database === '') throw new Error(`${label} host target '${needsName.name}' requires dbname setting`);
  const limits = limitsOf(settings, 30);
  const library_ = library<Pg>('pg', label);
  const warn = (text: string): void => context.warn(`${label}: query failed: ${text}`);
  const pool = sharedPool<PgsqlHost, Question, Rows>(context, JSON.stringify(['pgsql', hosts, login, limits]), {
    hosts, limits,
    connect: (host, timeout) => connect(library_, host, login, timeout),
    failed: (host, error, connecting) => (connecting ? context.warn(`connect to pgsql server ${host.label}: ${error.message}`) : warn(error.message)),
  });
  return { find: (key) => find(table, pool, encoding, key, warn), close: () => pool.close() };
}

function functionQuery(settings: Settings): string | undefined {
  const name = settings.given('select_function');
  return name === undefined ? undefined : `SELECT ${name}('%s')`;
}

function encodingOf(settings: Settings): Encoding {
  const name = settings.text('encoding', 'UTF8', 1);
  const encoding = encodings.get(name.toUpperCase());
  if (!encoding) throw new Error(`${settings.name}: encoding ${name} is not supported (use UTF8 or LATIN1)`);
  return encoding;
}

async function find(table: SqlTable, pool: { ask(question: Question): Promise<Rows> }, encoding: Encoding, key: string, warn: (text: string) => void): Promise<string | undefined> {
  const { expansion, query } = table;
  if (expansion.query(query, key) === undefined) return undefined;
  try {
    const rows = await pool.ask({ query: (quote) => encoding.read(expansion.query(query, key, quote)!) });
    return sqlResult(table, rows.map((row) => row.map((value) => (value === null ? null : encoding.write(value)))), key);
  } catch (error) {
    if (error instanceof Refused) warn(error.message);
    throw error;
  }
}

/** Values come as the server wrote them. */
const asText = { getTypeParser: () => (value: string) => value };

async function connect(library_: Pg, host: PgsqlHost, login: Login, timeout: number): Promise<Link<Question, Rows>> {
  try {
    return await connectWith(library_, host, login, timeout, host.prefersTls);
  } catch (error) {
    // What libpq calls "prefer".
    if (!host.prefersTls || !/does not support SSL/.test((error as Error).message)) throw error;
    return await connectWith(library_, host, login, timeout, false);
  }
}

async function connectWith(library_: Pg, host: PgsqlHost, login: Login, timeout: number, tls: boolean): Promise<Link<Question, Rows>> {
  const where = host.uri !== undefined ? { connectionString: host.uri }
    : { host: host.name, port: host.port, database: login.database, ...(login.user === '' ? {} : { user: login.user }), ...(login.password === '' ? {} : { password: login.password }) };
  const client = new library_.Client({ ...where, connectionTimeoutMillis: timeout, ...(tls ? { ssl: { rejectUnauthorized: false } } : {}) });
  const state = { lost: undefined as Error | undefined, standard: true };
  client.on('error', (error: Error) => { state.lost ??= error; });
  client.on('end', () => { state.lost ??= new Error('the connection has ended'); });
  // Whether a backslash means anything in a text is the server's to say, now and later.
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
  connection.on('parameterStatus', ({ parameterName, parameterValue }: { parameterName: string; parameterValue: string }) => {
    if (parameterName === 'standard_conforming_strings') state.standard = parameterValue === 'on';
  });
  try {
    await client.connect();
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
  return linkOf(client, state);
}

function linkOf(client: pg.Client, state: { lost: Error | undefined; standard: boolean }): Link<Question, Rows> {
  const quote = (text: string): string => {
    const quoted = text.replaceAll("'", "''");
    return state.standard ? quoted : quoted.replaceAll('\\', '\\\\');
  };
  return {
    ask: async ({ query }) => {
      if (state.lost) throw state.lost;
      try {
        const answer = await client.query({ text: query(quote), rowMode: 'array', types: asText });
        // Of several statements the last one counts, as with libpq.
        const last = Array.isArray(answer) ? answer.at(-1)! : answer;
        return last.rows as Rows;
      } catch (error) {
        throw isServers(error as { code?: string }) ? new Refused((error as Error).message) : error;
      }
    },
    close: () => void client.end().catch(() => undefined),
  };
}

/** A complaint about the query; classes 08 (connection), 53 (resources), 57 (shutdown), 58 (system) are about the server. */
function isServers({ code, severity }: { code?: string; severity?: string }): boolean {
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && severity !== 'FATAL' && severity !== 'PANIC' && !/^(?:08|53|57|58)/.test(code);
}
