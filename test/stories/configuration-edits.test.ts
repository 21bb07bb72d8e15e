/** Configuration management: tools that ask with postconf -h and edit with -e, -M, -F, -P, -# and -X, again and again, and all at once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { main } from '../../src/commands/postconf/postconf.ts';

const program = fileURLToPath(new URL('../../bin/postconf', import.meta.url));

const mainCf = `# See /usr/share/postfix/main.cf.dist for a commented, more complete version

# Debian specific: a file name here makes its first line the name.
#myorigin = /etc/mailname

smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no

# appending .domain is the MUA's job.
append_dot_mydomain = no
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104
  # the office
  192.0.2.0/24

# TLS parameters
smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem
relayhost =
`;

const masterCf = `# ==========================================================================
# service type  private unpriv  chroot  wakeup  maxproc command + args
# ==========================================================================
smtp      inet  n       -       y       -       -       smtpd
#smtp      inet  n       -       y       -       1       postscreen
#submission inet n       -       y       -       -       smtpd
#  -o syslog_name=postfix/submission
pickup    unix  n       -       y       60      1       pickup
# the end of the stock
uucp      unix  -       n       n       -       -       pipe
  flags=Fqhu user=uucp argv=uux -r -n -z -a$sender - $nexthop!rmail ($recipient)
`;

class Host {
  readonly directory = mkdtempSync(`${tmpdir()}/configuration-edits-`);

  constructor(context: TestContext) {
    context.after(() => rmSync(this.directory, { recursive: true }));
    writeFileSync(`${this.directory}/main.cf`, mainCf);
    writeFileSync(`${this.directory}/master.cf`, masterCf);
  }

  read(file: string): string {
    return readFileSync(`${this.directory}/${file}`, 'latin1');
  }

  async postconf(...argv: string[]): Promise<string> {
    const written = { stdout: '', stderr: '' };
    const writer = (name: 'stdout' | 'stderr') => ({ write: (chunk: Uint8Array) => void (written[name] += Buffer.from(chunk).toString('latin1')) });
    const status = await main(['-c', this.directory, ...argv], {}, { stdout: writer('stdout'), stderr: writer('stderr') });
    assert.equal(status, 0, written.stderr);
    return argv[0] === '-v' ? written.stderr : written.stdout;
  }

  /** What tells an unchanged file from one that was written anew with the same bytes. */
  state(): readonly (readonly [string, number, bigint])[] {
    return ['main.cf', 'master.cf'].map((file) => {
      const { ino, mtimeNs } = statSync(`${this.directory}/${file}`, { bigint: true });
      return [this.read(file), Number(ino), mtimeNs] as const;
    });
  }
}

/** A task: ask, and edit where the answer is another. Did it have to? */
async function ensure(host: Host, name: string, value: string): Promise<boolean> {
  if (await host.postconf('-qh', name) === `${value}\n`) return false;
  await host.postconf('-e', `${name}=${value}`);
  return true;
}

const tasks = [
  (host: Host) => ensure(host, 'myhostname', 'mail.example.org'),
  (host: Host) => ensure(host, 'relayhost', '[smtp.example.org]:587'),
  (host: Host) => ensure(host, 'mynetworks', '127.0.0.0/8, 192.0.2.0/24'),
  (host: Host) => ensure(host, 'smtpd_tls_cert_file', '/etc/ssl/own.pem'),
  (host: Host) => ensure(host, 'biff', 'no'),
];

test('ask and edit: the second run finds nothing to do', async (context) => {
  const host = new Host(context);
  const first = [];
  for (const task of tasks) first.push(await task(host));
  assert.deepEqual(first, [true, true, true, true, false]);
  assert.equal(host.read('main.cf'), mainCf
    .replace(/mynetworks = .*\n  # the office\n .*\n/, 'mynetworks = 127.0.0.0/8, 192.0.2.0/24\n  # the office\n')
    .replace(/smtpd_tls_cert_file=.*/, 'smtpd_tls_cert_file = /etc/ssl/own.pem')
    .replace('relayhost =\n', 'relayhost = [smtp.example.org]:587\nmyhostname = mail.example.org\n'));
  const before = host.state();
  for (const task of tasks) assert.equal(await task(host), false);
  assert.deepEqual(host.state(), before);
});

/** Edits without asking: they must be safe to repeat. */
const edits: readonly (readonly string[])[] = [
  ['-e', 'myhostname=mail.example.org', 'relayhost = [smtp.example.org]:587'],
  ['-#', 'smtpd_tls_cert_file'],
  ['-X', 'append_dot_mydomain'],
  ['-M', 'submission/inet=submission inet n - y - - smtpd -o syslog_name=postfix/submission -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }'],
  ['-F', 'smtp/inet/chroot=n', '*/unix/chroot=n'],
  ['-P', 'submission/inet/smtpd_tls_security_level=encrypt'],
  ['-PX', 'submission/inet/syslog_name'],
  ['-M#', 'uucp/unix'],
  ['-MX', 'pickup/unix'],
];

test('repeated edits change no byte, leave the files alone, and say so', async (context) => {
  const host = new Host(context);
  const idempotent = edits.filter(([option]) => option !== '-PX' && option !== '-M');
  for (const edit of edits) await host.postconf('-q', ...edit);
  assert.equal(host.read('master.cf'), `# ==========================================================================
# service type  private unpriv  chroot  wakeup  maxproc command + args
# ==========================================================================
smtp       inet  n       -       n       -       -       smtpd
#smtp      inet  n       -       y       -       1       postscreen
#submission inet n       -       y       -       -       smtpd
#  -o syslog_name=postfix/submission
# the end of the stock
#uucp       unix  -       n       n       -       -       pipe flags=Fqhu
#    user=uucp argv=uux -r -n -z -a$sender - $nexthop!rmail ($recipient)
submission inet  n       -       y       -       -       smtpd
    -o {smtpd_client_restrictions=permit_sasl_authenticated, reject}
    -o smtpd_tls_security_level=encrypt
`);
  const before = host.state();
  for (const edit of idempotent) assert.match(await host.postconf('-v', ...edit), /: unchanged\n$/, edit.join(' '));
  assert.deepEqual(host.state(), before);
});

test('what another tool wrote line by line is read, and edited in its place', async (context) => {
  const host = new Host(context);
  const augmented = mainCf.replace('biff = no', 'biff = no\nmessage_size_limit = 20480000').replace('relayhost =', 'relayhost = [mx.example.org]');
  writeFileSync(`${host.directory}/main.cf`, augmented);
  assert.equal(await host.postconf('-qh', 'message_size_limit', 'relayhost'), '20480000\n[mx.example.org]\n');
  await host.postconf('-e', 'message_size_limit=1024');
  assert.equal(host.read('main.cf'), augmented.replace('20480000', '1024'));
});

test('owner and mode stay, and nothing is left behind', async (context) => {
  const host = new Host(context);
  chmodSync(`${host.directory}/main.cf`, 0o640);
  if (process.getuid!() === 0) chownSync(`${host.directory}/main.cf`, 12, 34);
  const owner = (): number[] => [statSync(`${host.directory}/main.cf`)].flatMap(({ mode, uid, gid }) => [mode & 0o7777, uid, gid]);
  const before = owner();
  await host.postconf('-e', 'myhostname=a.b');
  assert.deepEqual(owner(), before);
  assert.deepEqual(readdirSync(host.directory).sort(), ['main.cf', 'master.cf']);
});

function edit(directory: string, argv: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['-c', directory, ...argv], { stdio: 'ignore' });
    child.on('error', reject).on('close', resolve);
  });
}

test('of two hundred edits by as many processes none is lost', async (context) => {
  const host = new Host(context);
  const numbers = Array.from({ length: 200 }, (_, number) => number);
  const edits = numbers.map((number) => (number % 4 === 0
    ? ['-M', `service${number}/unix=service${number} unix - - n - - smtp`]
    : ['-e', `own_${number}=${number}`]));
  const waiting = [...edits];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) assert.equal(await edit(host.directory, next), 0);
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  const [settings, rows] = [host.read('main.cf'), host.read('master.cf')];
  assert.deepEqual(numbers.filter((number) => !(number % 4 === 0 ? rows : settings).includes(number % 4 === 0 ? `\nservice${number} ` : `\nown_${number} = ${number}\n`)), []);
  assert.ok(settings.startsWith(mainCf) && rows.startsWith(masterCf));
  assert.deepEqual(readdirSync(host.directory).sort(), ['main.cf', 'master.cf']);
});
