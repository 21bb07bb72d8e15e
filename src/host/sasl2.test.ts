import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { decodeSasl2, hasSasl2, initialiseSasl2, Sasl2Connection, sasl2Message, sasl2Security, sasl2Status, Sasl2Trouble } from './sasl2.ts';

const saslpasswd = '/usr/sbin/saslpasswd2';
const skip = !hasSasl2() ? 'libsasl2 is not installed' : existsSync(saslpasswd) ? false : `${saslpasswd} is not installed`;
const folder = mkdtempSync(`${tmpdir()}/postern-sasl2-`);
const told: string[] = [];
const options = { application: 'smtpd', configPath: folder, log: (level: number, text: string) => void told.push(`${level} ${text}`) };

before(() => {
  if (skip) return;
  writeFileSync(`${folder}/smtpd.conf`, `pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: ${folder}/db\nmech_list: PLAIN CRAM-MD5 ANONYMOUS\n`);
  assert.equal(spawnSync(saslpasswd, ['-p', '-c', '-f', `${folder}/db`, '-u', 'mx.test', 'joe'], { input: 'secret' }).status, 0);
  initialiseSasl2(options);
});
after(() => rmSync(folder, { recursive: true }));

const session = { service: 'smtp', hostname: 'mx.test', realm: '', local: '127.0.0.1;25', remote: '127.0.0.1;4000', security: sasl2Security.noAnonymous };

async function plain(text: string): Promise<[status: number, username: string | undefined]> {
  const connection = await Sasl2Connection.open(session);
  const { status } = await connection.start('PLAIN', Buffer.from(text, 'latin1'));
  const username = await connection.username();
  await connection.dispose();
  return [status, username];
}

test('mechanisms, as the security options leave them', { skip }, async () => {
  for (const [security, want] of [[sasl2Security.noAnonymous, ['PLAIN', 'CRAM-MD5']], [sasl2Security.noAnonymous | sasl2Security.noPlaintext, ['CRAM-MD5']]] as const) {
    const connection = await Sasl2Connection.open({ ...session, security });
    assert.deepEqual((await connection.mechanisms()).sort(), [...want].sort());
    await connection.dispose();
  }
});

test('passwords', { skip }, async () => {
  assert.deepEqual(await plain('\0joe\0secret'), [sasl2Status.ok, 'joe']);
  assert.equal((await plain('\0joe\0wrong'))[0], sasl2Status.badLogin);
  assert.equal((await plain('\0nobody\0secret'))[0], sasl2Status.noUser);
  assert.equal((await plain('nonsense'))[0] < 0, true);
});

test('many at once, good and bad', { skip }, async () => {
  const outcomes = await Promise.all(Array.from({ length: 60 }, (_, at) => plain(at % 2 === 0 ? '\0joe\0secret' : '\0joe\0wrong')));
  assert.deepEqual(outcomes.map(([status]) => status), Array.from({ length: 60 }, (_, at) => (at % 2 === 0 ? sasl2Status.ok : sasl2Status.badLogin)));
});

test('a challenge, and its log', { skip }, async () => {
  const connection = await Sasl2Connection.open(session);
  const { status, output } = await connection.start('CRAM-MD5', undefined);
  assert.equal(status, sasl2Status.more);
  assert.match(output.toString('latin1'), /^<.*@mx\.test>$/);
  assert.equal((await connection.step(Buffer.from('joe 00000000000000000000000000000000'))).status, sasl2Status.badLogin);
  await connection.dispose();
  const other = await Sasl2Connection.open(session);
  assert.equal((await other.start('NONE', undefined)).status, sasl2Status.noMechanism);
  await other.dispose();
  assert.ok(told.includes("2 Couldn't find mech NONE"), told.join('\n'));
});

test('a second application in one process is refused, the same one is not', { skip }, () => {
  initialiseSasl2({ ...options, log: () => undefined });
  assert.throws(() => initialiseSasl2({ ...options, application: 'other' }), Sasl2Trouble);
  assert.throws(() => initialiseSasl2({ ...options, configPath: '/elsewhere' }), Sasl2Trouble);
});

test('base64', { skip }, () => {
  assert.deepEqual(decodeSasl2('YWJj'), Buffer.from('abc'));
  assert.equal(sasl2Message(decodeSasl2('!!!!') as number), 'bad protocol / cancel');
  assert.equal(typeof decodeSasl2('='), 'number');
  for (const text of ['', 'Y', 'YW', 'YWJ', 'YWJjZ', '====', 'Y===', 'x'.repeat(12_288)]) decodeSasl2(text);
});
