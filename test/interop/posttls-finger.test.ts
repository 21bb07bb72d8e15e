/**
 * posttls-finger beside Debian's, on the same servers: one of Node's tls, and Debian's smtpd. What is older in Debian's words is made
 * alike. Keys and certificates are made by openssl(1) for the test.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { freePort } from '../ports.ts';

/** Another build of Postfix's commands, for those who have one. */
const commands = process.env['POSTFIX_COMMANDS'] ?? '/usr/sbin';
const run = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const noOpenssl = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';
const noTheirs = noOpenssl || (existsSync(`${commands}/posttls-finger`) ? false : "Debian's postfix is not installed");

const place = mkdtempSync(`${tmpdir()}/postern-finger-`);
chmodSync(place, 0o777);
after(() => rmSync(place, { recursive: true }));
const file = (name: string): string => `${place}/${name}`;

const extensions: { readonly [name: string]: string } = {
  ca: 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n', server: 'subjectAltName=DNS:mail.example.test,DNS:*.wild.example.test\n', client: 'extendedKeyUsage=clientAuth\n',
};

function openssl(...words: readonly string[]): void {
  execFileSync('openssl', [...words], { stdio: 'pipe' });
}

/** NAME.key and NAME.pem, signed by itself or by another. */
function certificate(name: string, subject: string, key: readonly string[], by?: string): void {
  openssl('genpkey', ...key, '-out', file(`${name}.key`));
  openssl('req', '-new', '-key', file(`${name}.key`), '-subj', subject, '-out', file(`${name}.csr`));
  writeFileSync(file(`${name}.ext`), extensions[name] ?? '');
  const signer = by === undefined ? ['-signkey', file(`${name}.key`)] : ['-CA', file(`${by}.pem`), '-CAkey', file(`${by}.key`), '-CAcreateserial'];
  openssl('x509', '-req', '-in', file(`${name}.csr`), ...signer, '-days', '30', '-extfile', file(`${name}.ext`), '-out', file(`${name}.pem`));
}

const rsa = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'];
const ec = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];

interface Server { readonly port: number; close(): void }

/** Speaks as much SMTP as it takes. */
async function startServer(name: string, options: tls.TlsOptions & { wrapper?: boolean; plain?: boolean; refuse?: boolean } = {}): Promise<Server> {
  const secure = tls.createServer({ cert: readFileSync(file(`${name}.chain`)), key: readFileSync(file(`${name}.key`)), ...options });
  const talk = (socket: net.Socket, greet: boolean): void => {
    const hear = (bytes: Buffer): void => {
      const command = bytes.toString('latin1').split(/[ \r]/)[0]!;
      if (command === 'EHLO' || command === 'LHLO') socket.write(`250-mail.example.test\r\n250-PIPELINING\r\n${options.plain ? '' : '250-STARTTLS\r\n'}250 8BITMIME\r\n`);
      else if (command === 'STARTTLS' && options.refuse) socket.write('454 4.7.0 Not now\r\n');
      else if (command === 'STARTTLS') {
        socket.off('data', hear);
        socket.write('220 2.0.0 Ready\r\n');
        secure.emit('connection', socket);
      } else if (command === 'QUIT') socket.end('221 2.0.0 Bye\r\n');
      else socket.write('502 5.5.1 No\r\n');
    };
    socket.on('error', () => {}).on('data', hear);
    if (greet) socket.write('220 mail.example.test ESMTP\r\n');
  };
  secure.on('secureConnection', (socket) => talk(socket, options.wrapper === true)).on('tlsClientError', () => {});
  const server = options.wrapper ? secure : net.createServer((socket) => talk(socket, true));
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { port: (server.address() as net.AddressInfo).port, close: () => { server.close(); secure.close(); } };
}

interface Answer { readonly status: number | null; readonly stdout: string; readonly stderr: string }

function finger(side: 'ours' | 'theirs', words: readonly string[], cwd = place): Promise<Answer> {
  const [program, args] = side === 'ours' ? [process.execPath, [run, 'posttls-finger', ...words]] : [`${commands}/posttls-finger`, [...words]];
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], MAIL_CONFIG: place } });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('close', (status) => resolve({ status, stdout: Buffer.concat(out).toString('latin1'), stderr: Buffer.concat(err).toString('latin1') }));
  });
}

/** Debian's words as they are in 3.12; what differs from library to library, and from run to run, is left out. */
function alike({ status, stdout, stderr }: Answer): Answer {
  const lines = stdout.split('\n').filter((line) => !/: depth=|save session|TLS library problem/.test(line)).map((line) => line
    .replace('issuer_CN=', 'issuer=').replace(', fingerprint=', ', cert fingerprint=').replace('pkey_fingerprint=', 'pkey fingerprint=').replace('key-exchange X', 'key-exchange x')
    .replace(/&[0-9A-F]{64}/, '&ID').replace('untrusted certificate', 'untrusted peer credential').replace(/ via (\S+):[0-9]+: /, ' via $1: ').replace(/(cipher list ").*(:![ae]NULL")/, '$1$2'));
  // Since 3.8 a certificate with the wrong name is Trusted where everything else is well.
  const wrongName = lines.some((line) => line.endsWith('num=62:hostname mismatch'));
  return { status, stderr: stderr.replaceAll(`${commands}/`, ''), stdout: lines.map((line) => (wrongName ? line.replace(': Untrusted TLS', ': Trusted TLS') : line)).join('\n').replace(/(Reusing old session\n.* key-exchange \S+) server-signature.*/, '$1') };
}

type Name = 'rsa' | 'ec' | 'older' | 'wrapper' | 'plain' | 'refusing' | 'asking';
const servers = new Map<Name, Server>();

before(async () => {
  if (noOpenssl) return;
  certificate('ca', '/O=Test Org/CN=Test CA', rsa);
  certificate('server', '/O=Mail/CN=mail.example.test', rsa, 'ca');
  certificate('self', '/CN=self.example.test', ec);
  certificate('client', '/CN=client.example.test', ec, 'ca');
  writeFileSync(file('server.chain'), readFileSync(file('server.pem'), 'utf8') + readFileSync(file('ca.pem'), 'utf8'));
  writeFileSync(file('self.chain'), readFileSync(file('self.pem')));
  writeFileSync(file('client.all'), readFileSync(file('client.key'), 'utf8') + readFileSync(file('client.pem'), 'utf8'));
  openssl('pkey', '-in', file('self.key'), '-pubout', '-out', file('self.pub'));
  for (const name of readdirSync(place)) chmodSync(file(name), 0o644);
  writeFileSync(file('main.cf'), 'compatibility_level = 3.6\nmyhostname = client.example.test\nmail_owner = mail\nqueue_directory = /nonexistent\n');
  for (const [name, server, options] of [
    ['rsa', 'server', {}], ['ec', 'self', {}], ['older', 'server', { maxVersion: 'TLSv1.2' }], ['wrapper', 'server', { wrapper: true }], ['plain', 'server', { plain: true }],
    ['refusing', 'server', { refuse: true }], ['asking', 'server', { requestCert: true, rejectUnauthorized: false }],
  ] as const) servers.set(name, await startServer(server, options));
});
after(() => { for (const server of servers.values()) server.close(); });

const at = (name: Name): string => `[127.0.0.1]:${servers.get(name)!.port}`;
const withPorts = (words: readonly string[]): string[] => words.map((word) => word.replace(/^@(\w+)$/, (_, name: string) => at(name as Name)).replaceAll('DIR', place));
const digest = (name: string, what: 'cert' | 'key'): string => {
  const der = what === 'cert' ? execFileSync('openssl', ['x509', '-in', file(`${name}.pem`), '-outform', 'DER']) : execFileSync('openssl', ['pkey', '-in', file(`${name}.key`), '-pubout', '-outform', 'DER']);
  return execFileSync('openssl', ['dgst', '-sha256', '-r'], { input: der }).toString().slice(0, 64).replace(/..(?=.)/g, '$&:');
};

const cases: readonly (readonly string[])[] = [
  ['-l', 'verify', '@rsa', 'mail.example.test'], ['-l', 'secure', '-F', 'DIR/ca.pem', '@rsa', 'mail.example.test'], ['-c', '-l', 'secure', '-F', 'DIR/ca.pem', '@rsa', 'x.wild.example.test', '.test'],
  ['-c', '-l', 'secure', '-F', 'DIR/ca.pem', '@rsa', 'other.test'], ['-c', '-l', 'secure', '@ec', 'self.example.test'], ['-c', '-l', 'secure', '@ec', 'other.test'],
  ['-c', '-C', '-l', 'may', '@rsa'], ['-c', '-C', '-d', 'sha1', '-l', 'encrypt', '-F', 'DIR/ca.pem', '@rsa'], ['-l', 'none', '@rsa'], ['-c', '-w', '-l', 'verify', '-F', 'DIR/ca.pem', '@wrapper', 'mail.example.test'],
  ['-w', '-l', 'may', '@wrapper'], ['-c', '-l', 'may', '@older'], ['-c', '-l', 'may', '-p', 'TLSv1.2', '@rsa'], ['-c', '-l', 'may', '-p', '>=TLSv1.3', '@older'], ['-c', '-l', 'may', '-p', 'nonsense', '@rsa'],
  ['-c', '-l', 'may', '-g', 'nonsense', '@rsa'], ['-c', '-l', 'may', '-g', 'high', '@rsa'], ['-c', '-l', 'may', '-L', '0', '@rsa'], ['-c', '-l', 'verify', '-L', 'none', '@rsa', 'mail.example.test'], ['-l', 'may', '-c', '-L', 'verbose,routine', '@rsa'],
  ['-l', 'fingerprint', '-c', '@rsa', '00:11'], ['-l', 'fingerprint', '-c', '@rsa', 'zz', '00'.repeat(32)], ['-l', 'verify', '-A', 'DIR/ca.pem', '-c', '@rsa', 'mail.example.test'],
  ['-l', 'verify', '-A', 'DIR/self.pem', '-c', '@rsa', 'mail.example.test'], ['-l', 'verify', '-A', 'DIR/self.pem', '-c', '@ec', 'self.example.test'], ['-l', 'verify', '-A', 'DIR/self.pub', '-c', '@ec', 'self.example.test'],
  ['-l', 'verify', '-A', 'DIR/nothing', '@rsa'], ['-l', 'may', '@plain'], ['-l', 'may', '@refusing'], ['-l', 'may', '-c', '-H', 'DIR/client.all', '@asking'], ['-l', 'may', '-c', '-k', 'DIR/client.pem', '-K', 'DIR/client.key', '@asking'],
  ['-l', 'may', '-c', '-k', 'DIR/client.all', '@rsa'], ['-l', 'may', '-c', '-k', 'DIR/nothing', '@rsa'], ['-l', 'may', '-c', '-s', 'sni.example.test', '@rsa'], ['-l', 'may', '-o', 'myhostname=other.example.test', '@rsa'],
  ['-l', 'may', '-S', 'inet:[127.0.0.1]:1'], ['-l', 'may', '-S', 'unix:DIR/nothing'], ['-l', 'may', '[127.0.0.1]:1'], ['-l', 'may', '[127.0.0.1]:nosuch'], ['-l', 'may', '[127.0.0.1'], ['-a', 'x', '@rsa'], ['-h', 'x', '@rsa'], ['-M', 'x', '@rsa'],
  ['-l', 'x', '@rsa'], ['-X', '-r', '1', '@rsa'], ['-H', 'a', '-k', 'b', '@rsa'], ['-l', 'may', '-c', '-d', 'nonsense', '@rsa'],
];

describe("as Debian's", { skip: noTheirs, concurrency: 4 }, () => {
  for (const words of cases) {
    test(words.join(' '), async () => {
      const [ours, theirs] = await Promise.all([finger('ours', withPorts(words)), finger('theirs', withPorts(words))]);
      assert.deepEqual(alike(ours), alike(theirs));
      assert.notEqual(ours.stdout, words.includes('0') ? 'something' : '');
    });
  }

  test('fingerprints', async () => {
    for (const what of ['cert', 'key'] as const) {
      const words = ['-c', '-l', 'fingerprint', at('rsa'), digest('server', what)];
      const [ours, theirs] = await Promise.all([finger('ours', words), finger('theirs', words)]);
      assert.deepEqual(alike(ours), alike(theirs));
      assert.match(ours.stdout, /: Matched fingerprint: [\s\S]*Verified TLS/);
    }
  });

  for (const name of ['rsa', 'older'] as const) {
    test(`the same session again: ${name}`, async () => {
      const words = ['-l', 'may', '-r', '1', '-L', 'routine,cache', at(name)];
      const [ours, theirs] = await Promise.all([finger('ours', words), finger('theirs', words)]);
      assert.deepEqual(alike(ours), alike(theirs));
      assert.match(ours.stdout, /Reusing old session[\s\S]*Found a previously used server/);
    });
  }
});

describe("Debian's smtpd", { skip: noOpenssl || noDebianPostfix() || noTheirs }, () => {
  test('what it has to show', async () => {
    const port = await freePort();
    const mainCf = `myhostname = mail.example.test\nlocal_recipient_maps =\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = ${file('both.all')}\nsmtpd_tls_ask_ccert = yes\n`;
    writeFileSync(file('both.all'), ['server.key', 'server.chain', 'self.key', 'self.pem'].map((name) => readFileSync(file(name), 'utf8')).join(''));
    const postfix = await DebianPostfix.create({ mainCf, masterCf: `127.0.0.1:${port} inet n - n - - smtpd\nanvil unix - - n - 1 anvil\nrewrite unix - - n - - trivial-rewrite\ntlsmgr unix - - n 1000? 1 tlsmgr\n` });
    try {
      await postfix.start();
      for (const words of [['-l', 'may'], ['-l', 'may', '-c', '-C', '-H', file('client.all')], ['-l', 'verify', '-c', '-F', file('ca.pem')], ['-l', 'may', '-c', '-p', 'TLSv1.2'], ['-l', 'may', '-r', '1', '-L', 'routine,cache']]) {
        const all = [...words, `[127.0.0.1]:${port}`, ...(words.includes('verify') ? ['mail.example.test'] : [])];
        const [ours, theirs] = await Promise.all([finger('ours', all), finger('theirs', all)]);
        assert.deepEqual(alike(ours), alike(theirs), words.join(' '));
        assert.match(ours.stdout, /TLS connection established/);
      }
    } finally {
      await postfix.stop();
    }
  });
});

describe('by itself', { skip: noOpenssl }, () => {
  test('the address of a server is a name like any other', async () => {
    const { stdout } = await finger('ours', ['-c', '-l', 'secure', '-F', file('ca.pem'), at('rsa')]);
    assert.match(stdout, /^posttls-finger: server certificate verification failed for .*: num=64:IP address mismatch\n.*\n.*: Untrusted TLS connection established/);
  });

  test('authorities in a directory', async () => {
    mkdirSync(file('authorities'));
    const hash = execFileSync('openssl', ['x509', '-hash', '-noout', '-in', file('ca.pem')]).toString().trim();
    writeFileSync(file(`authorities/${hash}.0`), readFileSync(file('ca.pem')));
    chmodSync(file('authorities'), 0o755);
    const { stdout } = await finger('ours', ['-c', '-l', 'secure', '-P', file('authorities'), at('rsa'), 'mail.example.test']);
    assert.match(stdout, /Verified TLS connection established/);
  });

  test('a trace of the handshake, one file for all sessions', async () => {
    const cwd = file('traces');
    mkdirSync(cwd);
    chmodSync(cwd, 0o777);
    const { stdout } = await finger('ours', ['-c', '-l', 'may', '-L', 'trace', '-r', '1', at('rsa')], cwd);
    const [, name = ''] = /^posttls-finger: TLS protocol trace saved to (posttls-finger-[0-9]{14}\.[0-9]{6}-127\.0\.0\.1-[A-Za-z0-9]{6})\n/.exec(stdout) ?? [];
    assert.deepEqual(readdirSync(cwd), [name]);
    const parts = readFileSync(`${cwd}/${name}`, 'latin1').split('\n=== posttls-finger reconnect ===\n\n');
    assert.equal(parts.length, 2);
    for (const part of parts) assert.match(part, /^Sent TLS Record\n[^]*ClientHello/);
  });

  test('usage', async () => {
    const { status, stdout, stderr } = await finger('ours', []);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^usage: posttls-finger \[-acCfRSvwx\]/);
  });

  test('a server that hangs up, and one that says nothing', async () => {
    const server = net.createServer((socket) => { socket.on('error', () => {}); socket.end(); });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const gone = await finger('ours', ['-l', 'may', `[127.0.0.1]:${(server.address() as net.AddressInfo).port}`]);
    server.close();
    assert.match(gone.stdout, /\nposttls-finger: lost connection while reading server greeting\n$/);
    const silent = await finger('ours', ['-l', 'may', '-t', '1', at('wrapper')]);
    assert.match(silent.stdout, /\nposttls-finger: timeout while reading server greeting\n$/);
  });
});
