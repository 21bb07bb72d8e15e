/**
 * Real servers with tables: MariaDB, PostgreSQL, OpenLDAP, memcached and Redis of Debian, each with a folder of its own, on a private socket
 * and a port of loopback. As root they run as their own accounts. `end` ends the process and keeps the folder, `remove` takes both away.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { eventually } from './instance.ts';
import { freePort } from './ports.ts';

export interface TableServer {
  readonly folder: string;
  /** With TLS: the certificate of `localhost`, which is its own authority. */
  readonly certificate: string;
  /** Of the UNIX-domain socket; for PostgreSQL the folder that has it. */
  readonly socket: string;
  readonly port: number;
  start(): Promise<void>;
  end(): Promise<void>;
  remove(): Promise<void>;
}

interface Plan {
  readonly name: string;
  /** The account it runs as when we are root. */
  readonly account: string;
  readonly socket: (folder: string) => string;
  readonly prepare?: (folder: string, run: Run) => void;
  readonly words: (folder: string, port: number) => string[];
  /** Bytes that a server which is ready answers; a connection alone says that there is none yet. */
  readonly listens: (folder: string, port: number) => string | number;
}

type Run = (words: readonly string[], input?: string) => string;

const isRoot = process.getuid!() === 0;

function postgresProgram(name: string): string {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];
  return `/usr/lib/postgresql/${versions.at(-1) ?? 'none'}/bin/${name}`;
}

const programs = {
  mariadb: '/usr/sbin/mariadbd', postgres: postgresProgram('postgres'), slapd: '/usr/sbin/slapd', memcached: '/usr/bin/memcached', redis: '/usr/bin/redis-server',
} as const;

/** Why there is none of this kind on this machine; false: there is one. */
export function noTableServer(kind: keyof typeof programs): string | false {
  if (!existsSync(programs[kind])) return `${programs[kind]} is not installed`;
  return false;
}

async function tableServer(plan: Plan): Promise<TableServer> {
  const folder = mkdtempSync(`${tmpdir()}/${plan.name}-`);
  chmodSync(folder, 0o755);
  if (isRoot) chownSync(folder, ...numbersOf(plan.account));
  const as = isRoot ? ['setpriv', '--reuid', plan.account, '--regid', String(numbersOf(plan.account)[1]), '--clear-groups'] : [];
  const run: Run = (words, input = '') => {
    const [program = '', ...rest] = [...as, ...words];
    const { status, stdout, stderr } = spawnSync(program, rest, { input, encoding: 'utf8', cwd: folder, timeout: 60_000 });
    if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const port = await freePort();
  let child: ChildProcess | undefined;
  const server: TableServer = {
    folder, port, socket: plan.socket(folder), certificate: `${folder}/cert.pem`,
    start: async () => {
      const [program = '', ...rest] = [...as, ...plan.words(folder, port)];
      const mine = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
      child = mine;
      let said = '';
      for (const stream of [mine.stdout, mine.stderr]) stream.on('data', (chunk: Buffer) => { said = `${said}${chunk.toString()}`.slice(-4000); });
      await eventually(`${plan.name} answers`, async () => {
        if (mine.exitCode !== null) throw new Error(`${plan.name} ended: ${said}`);
        return takesConnections(plan.listens(folder, port));
      });
    },
    end: async () => {
      const mine = child;
      child = undefined;
      if (!mine || mine.exitCode !== null || mine.signalCode !== null) return;
      const gone = new Promise((resolve) => mine.once('exit', resolve));
      mine.kill(plan.name === 'postgres' ? 'SIGINT' : 'SIGTERM');
      await gone;
    },
    remove: async () => {
      await server.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${folder}/key.pem`, '-out', `${folder}/cert.pem`, '-days', '2',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']);
    plan.prepare?.(folder, run);
    await server.start();
  } catch (error) {
    await server.remove();
    throw error;
  }
  return server;
}

function numbersOf(account: string): [number, number] {
  const fields = execFileSync('getent', ['passwd', account], { encoding: 'latin1' }).split(':');
  return [Number(fields[2]), Number(fields[3])];
}

function takesConnections(where: string | number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof where === 'string' ? net.connect(where) : net.connect(where, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** User `root` without a password on the socket; `sql` runs statements as it. */
export async function startMariaDb({ tls = false } = {}): Promise<TableServer & { sql(text: string): string }> {
  const server = await tableServer({
    name: 'mariadb', account: 'mysql', socket: (folder) => `${folder}/socket`,
    prepare: (folder, run) => run(['mariadb-install-db', '--no-defaults', `--datadir=${folder}/data`, '--auth-root-authentication-method=normal', '--skip-test-db']),
    words: (folder, port) => [programs.mariadb, '--no-defaults', `--datadir=${folder}/data`, `--socket=${folder}/socket`, `--port=${port}`, '--bind-address=127.0.0.1',
      '--skip-name-resolve', '--innodb-buffer-pool-size=8M', '--innodb-log-file-size=8M', '--performance-schema=OFF', '--skip-log-bin', `--pid-file=${folder}/pid`,
      ...(tls ? [`--ssl-cert=${folder}/cert.pem`, `--ssl-key=${folder}/key.pem`, `--ssl-ca=${folder}/cert.pem`] : [])],
    listens: (_folder, port) => port,
  });
  const sql = (text: string): string => execFileSync('mariadb', ['--no-defaults', `--socket=${server.socket}`, '-uroot', '--default-character-set=utf8mb4', '-BN'], { input: text, encoding: 'utf8' });
  return { ...server, sql };
}

/** User `mail` without a password, on the socket and on the port; `sql` runs statements in its database `mail`. */
export async function startPostgres({ tls = false } = {}): Promise<TableServer & { sql(text: string): string }> {
  const server = await tableServer({
    name: 'postgres', account: 'postgres', socket: (folder) => folder,
    prepare: (folder, run) => void run([postgresProgram('initdb'), '-D', `${folder}/data`, '-U', 'mail', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']),
    words: (folder, port) => [programs.postgres, '-D', `${folder}/data`, '-k', folder, '-p', String(port), '-h', '127.0.0.1', '-F', '-c', 'shared_buffers=1MB', '-c', 'max_connections=20',
      ...(tls ? ['-c', 'ssl=on', '-c', `ssl_cert_file=${folder}/cert.pem`, '-c', `ssl_key_file=${folder}/key.pem`] : [])],
    listens: (_folder, port) => port,
  });
  const psql = (database: string, text: string): string => execFileSync(postgresProgram('psql'), ['-h', server.folder, '-p', String(server.port), '-U', 'mail', '-d', database, '-qAt', '-v', 'ON_ERROR_STOP=1'], { input: text, encoding: 'utf8' });
  await eventually('postgres takes statements', () => {
    try {
      return psql('postgres', 'SELECT 1').startsWith('1');
    } catch {
      return false;
    }
  });
  psql('postgres', 'CREATE DATABASE mail');
  return { ...server, sql: (text) => psql('mail', text) };
}

/** A directory under dc=example,dc=org; `cn=admin,dc=example,dc=org` has the password `secret`. `add` takes LDIF. */
export async function startSlapd({ tls = false } = {}): Promise<TableServer & { readonly uri: string; readonly secureUri: string; add(ldif: string): void }> {
  const secure = await freePort();
  const server = await tableServer({
    name: 'slapd', account: 'openldap', socket: (folder) => `${folder}/socket`,
    prepare: (folder) => {
      mkdirSync(`${folder}/data`);
      if (isRoot) chownSync(`${folder}/data`, ...numbersOf('openldap'));
      writeFileSync(`${folder}/slapd.conf`, slapdConfiguration(folder, tls));
    },
    words: (folder, port) => [programs.slapd, '-d', '0', '-f', `${folder}/slapd.conf`, '-h', `${tls ? `ldaps://127.0.0.1:${secure}/ ` : ''}ldap://127.0.0.1:${port}/ ldapi://${encodeURIComponent(`${folder}/socket`)}/`],
    listens: (_folder, port) => port,
  });
  const uri = `ldap://127.0.0.1:${server.port}`;
  const add = (ldif: string): void => void execFileSync('ldapadd', ['-x', '-H', uri, '-D', 'cn=admin,dc=example,dc=org', '-w', 'secret'], { input: ldif, encoding: 'utf8' });
  add('dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n');
  return { ...server, uri, secureUri: `ldaps://127.0.0.1:${secure}`, add };
}

const slapdConfiguration = (folder: string, tls: boolean): string => `${tls ? `TLSCertificateFile ${folder}/cert.pem\nTLSCertificateKeyFile ${folder}/key.pem\n` : ''}include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.99999.1 NAME 'maildrop' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.2 NAME 'mailacceptinggeneralid' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.3 NAME 'memberurl' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.99999.4 NAME 'mailUser' SUP top AUXILIARY MAY ( maildrop $ mailacceptinggeneralid $ memberurl $ member $ mail ) )
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${folder}/pid
database mdb
maxsize 16777216
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw secret
directory ${folder}/data
dbnosync
`;

export function startMemcached(): Promise<TableServer> {
  return tableServer({
    name: 'memcached', account: 'memcache', socket: () => '',
    words: (_folder, port) => [programs.memcached, '-l', '127.0.0.1', '-p', String(port), '-U', '0', '-m', '8', '-t', '1'],
    listens: (_folder, port) => port,
  });
}

/** `redis` runs one command. */
export async function startRedis({ tls = false } = {}): Promise<TableServer & { readonly securePort: number; redis(...words: string[]): string }> {
  const securePort = await freePort();
  const server = await tableServer({
    name: 'redis', account: 'redis', socket: (folder) => `${folder}/socket`,
    words: (folder, port) => [programs.redis, '--bind', '127.0.0.1', '--port', String(port), '--unixsocket', `${folder}/socket`, '--unixsocketperm', '777', '--save', '', '--dir', folder, '--requirepass', 'secret',
      ...(tls ? ['--tls-port', String(securePort), '--tls-cert-file', `${folder}/cert.pem`, '--tls-key-file', `${folder}/key.pem`, '--tls-ca-cert-file', `${folder}/cert.pem`, '--tls-auth-clients', 'no'] : [])],
    listens: (_folder, port) => port,
  });
  const redis = (...words: string[]): string => execFileSync('redis-cli', ['-p', String(server.port), '-a', 'secret', '--no-auth-warning', ...words], { encoding: 'utf8' });
  return { ...server, securePort, redis };
}
