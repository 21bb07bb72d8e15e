import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSecurityOptions } from '../sasl/security-options.ts';
import { chooseMechanism, mechanisms } from './choose.ts';
import type { Credentials, Login } from './mechanism.ts';
import { SaslTrouble } from './mechanism.ts';

const password: Credentials = { username: 'user', password: 'pencil' };
const bearer: Credentials = { username: 'user@example.com', token: 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==' };
const login = (name: string, credentials: Credentials, nonce = 'abc', change = {}): Login =>
  mechanisms.find((each) => each.name === name)!.login(credentials, { service: 'smtp', host: 'mail.example.com', port: 587, nonce: () => nonce, ...change });
const say = (text: string): Buffer => Buffer.from(text, 'latin1');
const text = (bytes: Buffer | undefined): string | undefined => bytes?.toString('latin1');

// The examples that the RFCs print.
for (const [name, credentials, nonce, change, first, dialogue] of [
  ['PLAIN', { username: 'tim', password: 'tanstaaftanstaaf' }, '', {}, '\0tim\0tanstaaftanstaaf', []],
  ['LOGIN', password, '', {}, undefined, [['Username:', 'user'], ['Password:', 'pencil']]],
  ['CRAM-MD5', { username: 'tim', password: 'tanstaaftanstaaf' }, '', {}, undefined,
    [['<1896.697170952@postoffice.reston.mci.net>', 'tim b913a602c7eda7a495b4e6e7334d3890']]],
  ['DIGEST-MD5', { username: 'chris', password: 'secret' }, 'OA6MHXh6VqTrRk', { service: 'imap', host: 'elwood.innosoft.com' }, undefined, [
    ['realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8',
      'username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",cnonce="OA6MHXh6VqTrRk",nc=00000001,qop=auth,digest-uri="imap/elwood.innosoft.com",response=d388dad90d4bbd760a152321f2143af7,charset=utf-8'],
    ['rspauth=ea40f60335c427b5527b84dbabcdfffd', '']]],
  ['SCRAM-SHA-1', password, 'fyko+d2lbbFgONRv9qkxdawL', {}, 'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL', [
    ['r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096', 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts='],
    ['v=rmF9pqV8S7suAoZWja4dJRkFsKQ=', '']]],
  ['SCRAM-SHA-256', password, 'rOprNGfwEbeRWgbNEkqO', {}, 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO', [
    ['r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='],
    ['v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=', '']]],
  ['XOAUTH2', bearer, '', {}, 'user=user@example.com\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01', []],
  ['OAUTHBEARER', bearer, '', { host: 'server.example.com', port: 143 },
    'n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01', []],
] as const) test(`${name}: as the standard prints it`, () => {
  const each = login(name, credentials, nonce, change);
  assert.equal(text(each.first()), first);
  for (const [challenge, answer] of dialogue) assert.equal(text(each.next(say(challenge))), answer);
  assert.equal(each.proven, true);
});

// As Cyrus SASL says it.
test('for whom we act is said where it is wanted', () => {
  const say = (name: string, credentials: Credentials, nonce = 'abc') => login(name, credentials, nonce, { saysWhom: true });
  assert.equal(text(say('PLAIN', password).first()), 'user\0user\0pencil');
  for (const name of ['LOGIN', 'CRAM-MD5']) assert.deepEqual(say(name, password).next(Buffer.from('x')), login(name, password).next(Buffer.from('x')));
  const scram = say('SCRAM-SHA-1', { username: 'a,=b', password: 'x' }, 'fyko');
  assert.equal(text(scram.first()), 'n,a=a=2C=3Db,n=a=2C=3Db,r=fyko');
  const answer = text(scram.next(Buffer.from('r=fykoMORE,s=QSXCR+Q6sek8bf92,i=4096')))!;
  assert.equal(Buffer.from(/^c=([^,]*),r=fykoMORE,p=/.exec(answer)![1]!, 'base64').toString('latin1'), 'n,a=a=2C=3Db,');
});

const scramFirst = 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096';
for (const [what, name, credentials, challenges, problem] of [
  ['PLAIN is over after its first message', 'PLAIN', password, ['more'], /unexpected/],
  ['LOGIN has two answers', 'LOGIN', password, ['1', '2', '3'], /unexpected/],
  ['CRAM-MD5 digests one challenge', 'CRAM-MD5', password, ['<1@x>', '<2@x>'], /unexpected/],
  ['CRAM-MD5 digests no empty challenge', 'CRAM-MD5', password, [''], /unexpected/],
  ['SCRAM: a nonce that is not ours', 'SCRAM-SHA-1', password, ['r=other3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096'], /another login/],
  ['SCRAM: a nonce that is only ours', 'SCRAM-SHA-1', password, ['r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096'], /another login/],
  ['SCRAM: too few rounds', 'SCRAM-SHA-1', password, [scramFirst.replace('4096', '1')], /out of bounds/],
  ['SCRAM: too many rounds', 'SCRAM-SHA-1', password, [scramFirst.replace('4096', '999999999')], /out of bounds/],
  ['SCRAM: no salt', 'SCRAM-SHA-1', password, ['r=fyko+d2lbbFgONRv9qkxdawLx,i=4096'], /bad SCRAM/],
  ['SCRAM: extensions that must be known', 'SCRAM-SHA-1', password, [`m=x,${scramFirst}`], /bad SCRAM/],
  ['SCRAM: a server that only pretends', 'SCRAM-SHA-1', password, [scramFirst, 'v=AAAAAAAAAAAAAAAAAAAAAAAAAAA='], /does not know/],
  ['SCRAM: a server that says nothing', 'SCRAM-SHA-1', password, [scramFirst, ''], /does not know/],
  ['SCRAM: an error of the server', 'SCRAM-SHA-1', password, [scramFirst, 'e=invalid-proof'], /invalid-proof/],
  ['DIGEST-MD5: no nonce', 'DIGEST-MD5', password, ['realm="x",algorithm=md5-sess'], /bad DIGEST/],
  ['DIGEST-MD5: only with encryption', 'DIGEST-MD5', password, ['nonce="x",qop="auth-conf",algorithm=md5-sess'], /security layer/],
  ['DIGEST-MD5: an endless challenge', 'DIGEST-MD5', password, [`nonce="${'x'.repeat(3000)}",algorithm=md5-sess`], /too long/],
  ['DIGEST-MD5: a server that only pretends', 'DIGEST-MD5', password, ['nonce="x",algorithm=md5-sess', 'rspauth=00'], /does not know/],
] as const) test(`trouble: ${what}`, () => {
  const each = login(name, credentials, 'fyko+d2lbbFgONRv9qkxdawL');
  each.first();
  const all = challenges.map(say);
  for (const challenge of all.slice(0, -1)) each.next(challenge);
  assert.throws(() => each.next(all.at(-1)!), (error) => error instanceof SaslTrouble && problem.test(error.message));
});

test('what would change the meaning of a message is not sent', () => {
  assert.throws(() => login('PLAIN', { username: 'a\0b', password: 'x' }).first(), SaslTrouble);
  assert.throws(() => login('XOAUTH2', { username: 'a', token: 'x\x01auth=y' }), SaslTrouble);
  assert.equal(text(login('SCRAM-SHA-1', { username: 'a,=b', password: 'x' }).first()), 'n,,n=a=2C=3Db,r=abc');
  assert.equal(text(login('OAUTHBEARER', { username: 'a,b', token: 't' }, '', { port: 0 }).first()), 'n,a=a=2Cb,\x01auth=Bearer t\x01\x01');
});

test('a token that was refused: a formality follows, and no yes is believed', () => {
  for (const [name, formality] of [['XOAUTH2', ''], ['OAUTHBEARER', '\x01']] as const) {
    const each = login(name, bearer);
    each.first();
    assert.equal(text(each.next(say('{"status":"401"}'))), formality);
    assert.equal(each.proven, false);
    assert.throws(() => each.next(say('more')), SaslTrouble);
  }
});

test('passwords in other alphabets have one form', () => {
  const utf8 = (word: string): string => Buffer.from(word, 'utf8').toString('latin1');
  const proof = (word: string): string | undefined => {
    const each = login('SCRAM-SHA-1', { username: 'user', password: utf8(word) }, 'fyko+d2lbbFgONRv9qkxdawL');
    each.first();
    return text(each.next(say(scramFirst)));
  };
  assert.equal(proof('p\u00e4\u00a0ss'), proof('pa\u0308 ss'));
  assert.notEqual(proof('p\u00e4 ss'), proof('pa ss'));
});

const everything = ['LOGIN', 'plain', 'CRAM-MD5', 'DIGEST-MD5', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'XOAUTH2', 'OAUTHBEARER', 'GSSAPI', 'ANONYMOUS', 'EXTERNAL'];
for (const [offered, credentials, options, want] of [
  [everything, password, '', 'SCRAM-SHA-256'],
  [['PLAIN', 'LOGIN'], password, 'noanonymous', 'PLAIN'],
  [['login'], password, 'noanonymous', 'LOGIN'],
  [['PLAIN', 'LOGIN'], password, 'noplaintext, noanonymous', undefined],
  [['PLAIN', 'CRAM-MD5'], password, 'noplaintext, noanonymous', 'CRAM-MD5'],
  [['CRAM-MD5', 'DIGEST-MD5'], password, 'noactive', undefined],
  [['CRAM-MD5', 'DIGEST-MD5', 'SCRAM-SHA-1'], password, 'noactive', 'SCRAM-SHA-1'],
  [['CRAM-MD5', 'DIGEST-MD5'], password, 'mutual_auth', 'DIGEST-MD5'],
  [everything, password, 'nodictionary', undefined],
  [everything, password, 'forward_secrecy', undefined],
  [['ANONYMOUS', 'EXTERNAL', 'GSSAPI'], password, '', undefined],
  // A password is never tried as a token, nor a token as a password.
  [['XOAUTH2', 'OAUTHBEARER'], password, '', undefined],
  [['PLAIN', 'SCRAM-SHA-256'], bearer, '', undefined],
  [everything, bearer, '', 'OAUTHBEARER'],
  [['PLAIN', 'xoauth2'], bearer, 'noanonymous', 'XOAUTH2'],
  [everything, bearer, 'noplaintext', undefined],
  [[], password, '', undefined],
] as const) test(`of ${offered.join(' ')} with ${'token' in credentials ? 'a token' : 'a password'} and "${options}": ${want ?? 'none'}`, () => {
  const parsed = parseSecurityOptions('smtp_sasl_security_options', options);
  assert.ok('mask' in parsed);
  assert.equal(chooseMechanism(offered, credentials, parsed.mask)?.name, want);
});
