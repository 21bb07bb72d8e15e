/** postfix(1), postlog(1), postkick(1) and postlock(1) and Debian's, side by side: texts, exit statuses, files. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, linkSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { anonymous, comparable, missing, ourCommand, play, type Answer } from './postfix-command-scene.ts';

/** Of scripts and of postlog(1) Postfix 3.7 says in the log only. */
const logged = /^(?:postlog|postfix): /;

function compare(commands: readonly string[], files: readonly string[] = ['maillog'], prepare?: (directory: string) => void): void {
  const [theirs, ours] = (['postfix', 'ours'] as const).map((whose) => play(whose, commands, prepare));
  for (const [at, answer] of ours!.answers.entries()) assert.deepEqual(comparable(answer, logged), comparable(theirs!.answers[at]!, logged), answer.command);
  for (const name of files) assert.equal(anonymous(ours!.file(name)), anonymous(theirs!.file(name)), name);
}

test('postlog speaks and logs as Postfix\'s', { skip: missing, timeout: 60_000 }, () => compare([
  'postlog hello world', 'postlog -p warn -t foo hello', 'postlog -i -p ERR -t "a b" x', 'postlog -p nosuch x', 'postlog -x', 'postlog -c @/none x', 'postlog -t foo -- -p',
  "postlog -p fatal 'a\tb'",
]));

test('postlog takes lines from standard input', { skip: missing, timeout: 60_000 }, () => {
  const lines = (program: string): string => `sh:printf 'one\\ntwo\\n\\nthree' | ${program} -t foo`;
  const theirs = play('postfix', [lines('/usr/sbin/postlog')]);
  const ours = play('ours', [lines(`${ourCommand} postlog`)]);
  assert.equal(ours.answers[0]!.stderr, 'postlog: one\npostlog: two\npostlog: \npostlog: three\n');
  assert.equal(anonymous(ours.file('maillog')), anonymous(theirs.file('maillog')));
  assert.equal(ours.file('maillog').split('\n').length, 5);
});

test('postkick finds nobody, and says so as Postfix\'s does', { skip: missing, timeout: 60_000 }, () => compare([
  'postkick a b', 'postkick -x', 'postkick public pickup W', 'postkick private nosuch W', 'postkick -c @/none public pickup W',
]));

test('postlock locks, runs and ends as Postfix\'s', { skip: missing, timeout: 60_000 }, () => compare([
  'postlock @/box echo hi', "postlock @/box sh -c 'exit 7'", "postlock @/box sh -c 'kill -9 $$'", 'postlock @/box nosuchcommand', 'postlock @/box', 'postlock -l dotlock @/box test -e @/box.lock',
  'postlock -l flock @/box test -e @/box.lock', 'postlock @/none/box true', 'postlock @/etc true', "postlock -l '' @/box true", 'sh:stat -c %a:%s @/box', 'sh:flock @/box sleep 4 & sleep 0.5',
  'postlock -l flock @/box true', 'sh:touch @/box.lock', 'postlock -l dotlock @/box true', 'sh:ls @/box.lock',
], [], (directory) => writeFileSync(`${directory}/etc/main.cf`, 'deliver_lock_attempts = 2\ndeliver_lock_delay = 1s\n', { flag: 'a' })));

test('postfix says what Postfix says', { skip: missing, timeout: 100_000 }, () => compare([
  'postfix -c /etc/postfix status', 'postfix -c /etc/postfix stop', 'postfix -c /etc/postfix abort', 'postfix -c /etc/postfix reload', 'postfix -c etc status', 'postfix -x status', 'postfix -c @/none status',
  'postfix -c /etc/postfix drain', 'postfix -c /etc/postfix quick-stop', 'sh:ls @/spool/postfix/quick-start', 'postfix -c /etc/postfix logrotate x',
]));

test('postfix tls refuses, deploys and shows as Postfix does', { skip: missing, timeout: 100_000 }, () => compare([
  'postfix tls', 'postfix tls foo', 'postfix tls all-default-server', 'postfix tls all-default-client x', 'postfix tls enable-client x', 'postfix tls enable-server -a dsa', 'postfix tls output-server-csr',
  'sh:openssl genrsa -out @/etc/rsa.pem 2048 2>/dev/null; openssl ecparam -name prime256v1 -genkey -out @/etc/ec.pem',
  'sh:for k in rsa ec; do openssl req -x509 -new -key @/etc/$k.pem -subj /CN=x -out @/etc/$k.crt 2>/dev/null; done',
  'postfix tls deploy-server-cert rsa.crt ec.pem', 'postfix tls deploy-server-cert rsa.crt rsa.pem', 'postfix tls deploy-server-cert ec.crt ec.pem', 'postfix tls deploy-server-cert none ec.pem',
  'sh:grep smtpd_tls /etc/postfix/main.cf | sort', 'postfix tls all-default-server', 'postfix tls output-server-tlsa none',
]));

test('postfix tls new-server-key, -cert and enable-server make what openssl(1) understands', { skip: missing, timeout: 100_000 }, () => {
  const { answers } = play('ours', [
    'postfix tls enable-server one.example.test two.example.test', 'sh:openssl x509 -in /etc/postfix/cert-*.pem -noout -subject -ext subjectAltName',
    'sh:openssl pkey -in /etc/postfix/key-*.pem -pubout -outform der | sha256sum | cut -d" " -f1', 'postfix tls output-server-tlsa', 'sh:stat -c %a /etc/postfix/key-*.pem',
    'postfix tls new-server-key -a ecdsa -b secp384r1', 'sh:openssl ec -in /etc/postfix/eckey-*.pem -noout -text 2>/dev/null | grep NIST', 'sh:sleep 1.1', 'postfix tls new-server-cert',
    'sh:for k in /etc/postfix/key-*.pem; do openssl pkey -in $k -pubout; done | sort | uniq -c | grep -c " 1 "', 'postfix tls output-server-csr a.example.test', 'postfix tls enable-client', 'postfix tls all-default-client',
  ]);
  const [enabled, certificate, digest, tlsa, mode, , curve, , copied, different, request, , allDefault] = answers as [Answer, Answer, Answer, Answer, Answer, Answer, Answer, Answer, Answer, Answer, Answer, Answer, Answer];
  assert.equal(enabled.status, 0);
  assert.match(certificate.stdout, /CN = one\.example\.test\n[^]*DNS:one\.example\.test, DNS:two\.example\.test/);
  assert.match(tlsa.stdout, new RegExp(`^; /etc/postfix/key-.*\\n_25\\._tcp\\.mail\\.example\\.test\\. IN TLSA 3 1 1 ${digest.stdout}$`));
  assert.equal(mode.stdout, '600\n');
  assert.match(curve.stdout, /P-384/);
  assert.deepEqual([copied.status, different.stdout], [0, '0\n'], 'the copy is the same key');
  assert.match(request.stdout, /^-----BEGIN CERTIFICATE REQUEST-----\n/);
  assert.equal(allDefault.status, 1);
});

test('upgrade-configuration brings an old master.cf to the services of Postfix\'s, once', { skip: missing, timeout: 60_000 }, () => {
  const prepare = (directory: string): void => writeFileSync(`${directory}/etc/master.cf`, 'smtp inet n - n - - smtpd\npickup fifo n n n 60 1 pickup\ncleanup unix - - n - 0 cleanup\nqmgr fifo n - n 300 1 qmgr\nverify unix - - n - 0 verify\ntlsmgr fifo - - n 300 1 tlsmgr\n');
  const commands = ['postfix -c /etc/postfix upgrade-configuration', 'postconf -c /etc/postfix -M', 'postfix -c /etc/postfix upgrade-configuration'];
  const [theirs, ours] = (['postfix', 'ours'] as const).map((whose) => play(whose, commands, prepare));
  const edits = ({ stdout }: Answer): string[] => stdout.split('\n').filter((line) => line.startsWith('Editing'));
  assert.deepEqual(edits(ours!.answers[0]!), edits(theirs!.answers[0]!));
  assert.equal(ours!.answers[1]!.stdout, theirs!.answers[1]!.stdout);
  assert.deepEqual([ours!.answers[2]!.stdout, ours!.answers[2]!.status], ['', 0]);
});

test('set-permissions restores owners and modes, and nothing that is not the mail system\'s', { skip: missing, timeout: 60_000 }, () => {
  let victim = 0;
  let linked = 0;
  const { answers } = play('ours', ['postfix -c /etc/postfix set-permissions', 'sh:stat -c %U:%a @/spool/postfix/active @/spool/postfix/active/a @/spool/postfix/active/d @/spool/postfix/pid @/lib/postfix /etc/postfix/main.cf', 'sh:stat -c %u @/victim @/linked', 'postfix -c /etc/postfix set-permissions'], (directory) => {
    const queue = `${directory}/spool/postfix`;
    mkdirSync(`${queue}/active/d`, { recursive: true });
    for (const [path, mode] of [[`${queue}/active/a`, 0o700], [`${directory}/victim`, 0o644], [`${directory}/linked`, 0o644]] as const) writeFileSync(path, '', { mode });
    symlinkSync(`${directory}/victim`, `${queue}/active/link`);
    linkSync(`${directory}/linked`, `${queue}/active/second`);
    for (const path of [queue, `${queue}/active`, `${directory}/etc/main.cf`]) chownSync(path, 1, 1);
    chmodSync(`${queue}/pid`, 0o777);
    chmodSync(`${queue}/active/d`, 0o755);
    [victim, linked] = [statSync(`${directory}/victim`).uid, statSync(`${directory}/linked`).uid];
  });
  assert.equal(answers[0]!.status, 0);
  assert.match(answers[0]!.stderr, /^postlog: warning: not changed, because it has 2 names: @\/spool\/postfix\/active\/second$/m);
  assert.match(answers[1]!.stdout, /^(\w+):700\n\1:700\n\1:700\nroot:755\n\1:700\nroot:644\n$/);
  assert.equal(answers[2]!.stdout, `${victim}\n${linked}\n`);
  assert.equal(answers[3]!.status, 0);
});

test('check --json says what is wrong with a main.cf that cannot be read', { skip: missing }, () => {
  const { answers } = play('ours', ['postfix -c /etc/postfix check --json'], (directory) => writeFileSync(`${directory}/etc/main.cf`, 'no setting\n'));
  const { severity, file, line } = JSON.parse(answers[0]!.stdout) as Record<string, unknown>;
  assert.deepEqual({ status: answers[0]!.status, severity, file, line }, { status: 1, severity: 'fatal', file: '/etc/postfix/main.cf', line: 1 });
});

test('check --json names file, line and fix of everything it finds', { skip: missing, timeout: 60_000 }, () => {
  const { answers } = play('ours', ['postfix -c /etc/postfix check --json', 'postfix -c /etc/postfix non-bdb migrate', 'sh:echo "x OK" > @/access', 'postfix -c /etc/postfix non-bdb migrate', 'sh:grep -h @/access /etc/postfix/main.cf /etc/postfix/master.cf', 'postfix -c /etc/postfix non-bdb migrate'], (directory) => {
    writeFileSync(`${directory}/etc/main.cf`, `smtpd_client_restriction = permit\nsmtpd_sender_restrictions = check_sender_access\n    hash:${directory}/access\ndefault_database_type = lmdb\n`, { flag: 'a' });
    writeFileSync(`${directory}/etc/master.cf`, `local unix - n y - - local\nsmtp inet n - n - - smtpd\n  -o smtpd_helo_restrictions=check_helo_access,btree:${directory}/access\n`);
  });
  const found = answers[0]!.stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(answers[0]!.status, 0);
  const one = (parameter: string) => found.find((finding) => finding['parameter'] === parameter);
  assert.deepEqual(one('smtpd_client_restriction'), { severity: 'warning', file: '/etc/postfix/main.cf', line: 12, parameter: 'smtpd_client_restriction', text: 'unused parameter: smtpd_client_restriction=permit', fix: 'did you mean smtpd_client_restrictions?' });
  assert.deepEqual({ ...one('smtpd_sender_restrictions'), text: '', fix: '' }, { severity: 'error', file: '/etc/postfix/main.cf', line: 13, parameter: 'smtpd_sender_restrictions', text: '', fix: '' });
  assert.equal(one('smtpd_helo_restrictions')?.['service'], 'smtp');
  assert.ok(found.some((finding) => finding['service'] === 'local' && finding['fix'] === 'write n in the fifth column'));
  assert.deepEqual([answers[1]!.status, answers[3]!.status], [1, 0], 'nothing is rewritten before every table is there');
  assert.equal(answers[4]!.stdout, '    lmdb:@/access\n  -o smtpd_helo_restrictions=check_helo_access,lmdb:@/access\n');
  assert.equal(answers[5]!.stdout, '0 tables, 0 settings changed\n');
});
