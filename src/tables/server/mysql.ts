/**
 * mysql_table(5): MySQL and MariaDB, by way of mysql2.
 *
 * Nothing is decoded: the query leaves and the values come as bytes, in the table's own character set.
 */
import { readFileSync } from 'node:fs';
import type mysql2 from 'mysql2';
import { lowerAscii } from '../../text/ascii.ts';
import { decodeUtf8 } from '../../text/utf8.ts';
import type { TableKind, Treatment } from '../driver.ts';
import type { TableContext } from '../table.ts';
import { library, limitsOf, settingsKind, sharedPool, type Answers, type Parts } from './common.ts';
import { mysqlHost, type MysqlHost } from './mysql-host.ts';
import { optionFile } from './mysql-options.ts';
import { Refused, type Link } from './pool.ts';
import type { Settings } from './settings.ts';
import { builtQuery, sqlResult, sqlTable, type Rows, type SqlTable } from './sql.ts';
import { certificates } from './tls.ts';

type Mysql = typeof mysql2;

/** A query for a connection whose way to quote is known. */
interface Question {
  query(quote: (text: string) => string): string;
  readonly needsRows: boolean;
}

export function mysqlKind(name: string, _treatment: Treatment, context: TableContext): TableKind {
  return settingsKind('mysql', name, context, mysqlAnswers);
}

function mysqlAnswers(parts: Parts): Answers {
  const { label, settings, context } = parts;
  const table = sqlTable(parts, settings.given('query') ?? builtQuery(settings));
  const needsRows = settings.flag('require_result_set', true);
  const charset = charsetOf(settings);
  const options = optionFile(settings.given('option_file'), settings.text('option_group', 'client'));
  const login = loginOf(settings, options);
  const hosts = (settings.list('hosts').length > 0 ? settings.list('hosts') : ['localhost']).map((host) => mysqlHost(host, options));
  const limits = limitsOf(settings, 30);
  const mysql = library<Mysql>('mysql2', label);
  const pool = sharedPool<MysqlHost, Question, Rows>(context, JSON.stringify(['mysql', hosts, login.key, charset, limits]), {
    hosts, limits,
    connect: (host, timeout) => connect(mysql, host, login, charset, timeout),
    failed: (host, error, connecting) => context.warn(connecting ? `connect to mysql server ${host.label}: ${error.message}` : `${label}: query failed: ${error.message}`),
  });
  return { find: (key) => find(table, pool, needsRows, key, (text) => context.warn(`${label}: query failed: ${text}`)), close: () => pool.close() };
}

async function find(table: SqlTable, pool: { ask(question: Question): Promise<Rows> }, needsRows: boolean, key: string, warn: (text: string) => void): Promise<string | undefined> {
  const { expansion, query } = table;
  if (expansion.query(query, key) === undefined) return undefined;
  try {
    return sqlResult(table, await pool.ask({ query: (quote) => expansion.query(query, key, quote)!, needsRows }), key);
  } catch (error) {
    if (error instanceof Refused) warn(error.message);
    throw error;
  }
}

/** Character sets in which a backslash may be half of a character: quoting byte by byte would not be safe. */
const unsafe = new Set(['big5', 'cp932', 'gb18030', 'gbk', 'sjis']);

function charsetOf(settings: Settings): string {
  const charset = settings.text('charset', 'utf8mb4', 1);
  if (!/^[A-Za-z0-9_]+$/.test(charset) || unsafe.has(lowerAscii(charset))) throw new Error(`${settings.name}: charset ${charset} is not supported (use utf8mb4)`);
  return charset;
}

interface Login {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl: mysql2.SslOptions | undefined;
  readonly key: readonly unknown[];
}

function loginOf(settings: Settings, options: ReadonlyMap<string, string>): Login {
  const user = settings.text('user') || options.get('user') || '';
  const password = settings.text('password') || options.get('password') || '';
  const database = settings.text('dbname', '', 1);
  const pick = (name: string, option: string): string | undefined => settings.given(name) ?? options.get(option);
  const [keyFile, certificate, file, path, ciphers] = [
    pick('tls_key_file', 'ssl-key'), pick('tls_cert_file', 'ssl-cert'), pick('tls_CAfile', 'ssl-ca'), pick('tls_CApath', 'ssl-capath'), pick('tls_ciphers', 'ssl-cipher'),
  ];
  const verifies = settings.flag('tls_verify_cert', undefined) ?? (options.has('ssl-verify-server-cert') && options.get('ssl-verify-server-cert') !== '0');
  const wanted = [keyFile, certificate, file, path, ciphers].some((each) => each !== undefined) || verifies;
  const ssl = wanted ? {
    ...(keyFile === undefined ? {} : { key: readFileSync(Buffer.from(keyFile, 'latin1'), 'utf8') }),
    ...(certificate === undefined ? {} : { cert: readFileSync(Buffer.from(certificate, 'latin1'), 'utf8') }),
    ...certificates(file, path),
    ...(ciphers === undefined ? {} : { ciphers }),
    rejectUnauthorized: verifies, verifyIdentity: verifies,
  } : undefined;
  return { user, password, database, ssl, key: [user, password, database, keyFile, certificate, file, path, ciphers, verifies] };
}

function connect(mysql: Mysql, host: MysqlHost, login: Login, charset: string, timeout: number): Promise<Link<Question, Rows>> {
  return new Promise((resolve, reject) => {
    const connection = mysql.createConnection({
      ...(host.path === undefined ? { host: host.name, port: host.port } : { socketPath: host.path }),
      user: login.user, password: decodeUtf8(login.password) ?? login.password, database: login.database,
      ...(login.ssl && host.path === undefined ? { ssl: login.ssl } : {}),
      // Neither the library nor the server's columns are to change our bytes; the server learns below what they are.
      charset: 'BINARY', typeCast: (field) => field.buffer(),
      rowsAsArray: true, disableEval: true, multipleStatements: false, connectTimeout: timeout, enableKeepAlive: false,
    });
    connection.on('error', (error: Error) => {
      connection.destroy();
      reject(error);
    });
    const fail = (error: Error): void => {
      connection.destroy();
      reject(error);
    };
    connection.connect((error) => {
      if (error) return fail(error);
      connection.query(`SET NAMES ${charset}`, (refused) => {
        if (refused) return fail(refused);
        // The library has heard of the new character set, and would begin to encode.
        (connection as unknown as { config: { charsetNumber: number } }).config.charsetNumber = binary;
        connection.query('SELECT @@SESSION.sql_mode', (failed, rows) => (failed ? fail(failed) : resolve(linkOf(connection, String((rows as unknown[][])[0]?.[0])))));
      });
    });
  });
}

/** The number of the character set that is none. */
const binary = 63;

/** In this mode a backslash is an ordinary character, and only quotes are doubled. */
function quoting(mode: string): (text: string) => string {
  return mode.includes('NO_BACKSLASH_ESCAPES') ? (text) => text.replaceAll("'", "''") : (text) => text.replace(/[\0\n\r\x1a"'\\]/g, (char) => escapes.get(char)!);
}

const escapes = new Map([['\0', '\\0'], ['\n', '\\n'], ['\r', '\\r'], ['\x1a', '\\Z'], ['"', '\\"'], ["'", "\\'"], ['\\', '\\\\']]);

function linkOf(connection: mysql2.Connection, mode: string): Link<Question, Rows> {
  const quote = quoting(mode);
  let lost: Error | undefined;
  const waiting = new Set<(error: Error) => void>();
  const loses = (error: Error): void => {
    lost ??= error;
    for (const reject of waiting) reject(error);
    waiting.clear();
  };
  connection.on('error', loses);
  connection.on('end', () => loses(new Error('Lost connection to server')));
  return {
    ask: ({ query, needsRows }) => new Promise((resolve, reject) => {
      if (lost) return reject(lost);
      waiting.add(reject);
      connection.query({ sql: query(quote), rowsAsArray: true, typeCast: (field) => field.buffer() }, (error, results, fields) => {
        waiting.delete(reject);
        if (error) return reject(isServers(error) ? new Refused(error.message) : error);
        try {
          resolve(rowsOf(results, fields, needsRows));
        } catch (trouble) {
          reject(trouble as Error);
        }
      });
    }),
    close: () => connection.destroy(),
  };
}

/** An error packet of the server about the query; shutting down and the like is the end of the connection. */
function isServers(error: mysql2.QueryError & { sqlState?: string; fatal?: boolean }): boolean {
  return error.sqlState !== undefined && error.fatal !== true && !error.sqlState.startsWith('08') && error.errno !== 1053 && error.errno !== 1927 && error.errno !== 4031;
}

/** The rows of the only result set. A stored procedure has its own status behind its rows, and other result sets nobody could name. */
function rowsOf(results: unknown, fields: unknown, needsRows: boolean): Rows {
  const sets = !Array.isArray(fields) ? [] : fields.every((each) => each === undefined || Array.isArray(each))
    ? (results as unknown[]).filter((_set, at) => fields[at] !== undefined) : [results];
  if (sets.length > 1) throw new Refused('multiple result sets returning data are not supported');
  if (sets.length === 0 && needsRows) throw new Refused('query returned no result set (require_result_set = yes)');
  return ((sets[0] ?? []) as (Buffer | null)[][]).map((row) => row.map((value) => (value === null ? null : value.toString('latin1'))));
}
