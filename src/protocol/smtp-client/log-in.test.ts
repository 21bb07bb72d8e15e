import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mechanisms } from '../sasl-client/choose.ts';
import type { ClientSettings } from './steps.ts';
import { options, Player, transaction } from './testing.ts';

const hello = '250-mx.example\n250-PIPELINING\n250 AUTH PLAIN LOGIN SCRAM-SHA-1\n';
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

function greeted(change: Partial<ClientSettings> = {}, reply = hello): Player {
  const player = new Player(options({ logIn: true, ...change }), [transaction()]);
  player.hear('220 mx.example ESMTP\n');
  player.hear(reply);
  return player;
}

function loggingIn(name: string, { change = {}, username = 'joe', password = 'secret' }: { change?: Partial<ClientSettings>; username?: string; password?: string } = {}): Player {
  const player = greeted(change);
  const mechanism = mechanisms.find((each) => each.name === name)!;
  const login = mechanism.login(mechanism.forToken ? { username, token: password } : { username, password }, { service: 'smtp', host: 'mx.example', port: 25, nonce: () => 'fyko+d2lbbFgONRv9qkxdawL' });
  player.played.sent = '';
  player.run(() => player.machine.logIn({ mechanism: name, login }));
  return player;
}

test('where AUTH is offered a login is asked for, once', () => {
  const player = greeted();
  assert.deepEqual(player.played.steps, [{ kind: 'log-in', mechanisms: ['PLAIN', 'LOGIN', 'SCRAM-SHA-1'] }]);
  player.run(() => player.machine.logIn(undefined));
  assert.match(player.played.sent, /^EHLO client\.example\nMAIL FROM/);
});

for (const [what, change, reply] of [
  ['logins are not wanted', { logIn: false }, hello],
  ['AUTH is not offered', {}, '250-mx.example\n250 PIPELINING\n'],
] as const) test(`no login: ${what}`, () => {
  assert.ok(!greeted(change, reply).kinds().includes('log-in'));
});

test('AUTH that the operator ignores is not offered', () => {
  const player = new Player(options({ logIn: true }, { discard: new Set(['AUTH']) }), [transaction()]);
  player.hear('220 mx.example ESMTP\n');
  player.hear(hello);
  assert.ok(!player.kinds().includes('log-in'));
});

test('two lines of AUTH are one offer', () => {
  const player = greeted({}, '250-mx.example\n250-AUTH PLAIN LOGIN\n250 AUTH=LOGIN GSSAPI\n');
  assert.deepEqual(player.played.steps, [{ kind: 'log-in', mechanisms: ['PLAIN', 'LOGIN', 'GSSAPI'] }]);
});

test('before TLS nothing is asked for; what was offered in the clear is forgotten', () => {
  const player = new Player(options({ logIn: true }, { tls: 'may' }), [transaction()]);
  player.hear('220 mx.example ESMTP\n');
  player.hear('250-mx.example\n250-STARTTLS\n250 AUTH LOGIN\n');
  player.hear('220 go\n250 injected\n');
  assert.deepEqual(player.kinds(), ['start-tls']);
  player.run(() => player.machine.tlsStarted());
  player.hear('250-mx.example\n250 AUTH PLAIN\n');
  assert.deepEqual(player.played.steps.at(-1), { kind: 'log-in', mechanisms: ['PLAIN'] });
  assert.equal(player.machine.isSecure, true);
});

for (const [name, dialogue] of [
  ['PLAIN', [[`AUTH PLAIN ${base64('\0joe\0secret')}\n`, '235 2.7.0 ok\n']]],
  ['LOGIN', [['AUTH LOGIN\n', `334 ${base64('Username:')}\n`], [`${base64('joe')}\n`, `334 ${base64('Password:')}\n`], [`${base64('secret')}\n`, '235 2.7.0 ok\n']]],
  ['CRAM-MD5', [['AUTH CRAM-MD5\n', `334 ${base64('<1@x>')}\n`], [base64('joe 4453c3d0fd168792d565c728b4df6739'), '235 ok\n']]],
] as const) test(`a login by ${name}`, () => {
  const player = loggingIn(name);
  for (const [said, reply] of dialogue) {
    assert.ok(player.played.sent.startsWith(said), player.played.sent);
    player.played.sent = '';
    player.hear(reply);
  }
  assert.equal(player.kinds().at(-1), 'ready');
  assert.match(player.played.sent, /^MAIL FROM/);
});

test('a first message too long for the command waits until it is asked for', () => {
  const player = loggingIn('PLAIN', { password: 'x'.repeat(400) });
  assert.equal(player.played.sent, 'AUTH PLAIN\n');
  player.hear('334 \n');
  assert.equal(player.played.sent, `AUTH PLAIN\n${base64(`\0joe\0${'x'.repeat(400)}`)}\n`);
  player.hear('235 ok\n');
  assert.equal(player.kinds().at(-1), 'ready');
});

const refusal = (text: string): string => `unusable: ${text}`;
for (const [what, name, change, replies, outcome, last] of [
  ['refused', 'PLAIN', {}, ['535 5.7.8 no'], '4.7.8 SASL authentication failed; server mx.example[192.0.2.1] said: 535 5.7.8 no', 'QUIT\n'],
  ['refused, and mail goes back', 'PLAIN', { softLogIn: false }, ['535 5.7.8 no'], '5.7.8 SASL authentication failed; server mx.example[192.0.2.1] said: 535 5.7.8 no', 'QUIT\n'],
  ['refused in two lines', 'PLAIN', {}, ['535-5.7.8 no\n535 5.7.8 never'], '4.7.8 SASL authentication failed; server mx.example[192.0.2.1] said: 535-5.7.8 no?535 5.7.8 never', 'QUIT\n'],
  ['later', 'PLAIN', {}, ['454 4.7.0 later'], '4.7.0 SASL authentication failed; server mx.example[192.0.2.1] said: 454 4.7.0 later', 'QUIT\n'],
  ['nonsense', 'PLAIN', {}, ['999 what'], '4.5.0 SASL authentication failed; server mx.example[192.0.2.1] said: 999 what', 'QUIT\n'],
  ['one question too many', 'PLAIN', {}, ['334 '], '4.7.0 SASL authentication failed; cannot authenticate to server mx.example[192.0.2.1]: unexpected challenge', '*\n'],
  ['a challenge that is no base64', 'LOGIN', {}, ['334 ?'], '4.7.0 SASL authentication failed; cannot authenticate to server mx.example[192.0.2.1]: bad protocol / cancel', '*\n'],
  ['yes, without the proof', 'SCRAM-SHA-1', {}, ['235 welcome'],
    '4.7.0 SASL authentication failed; cannot authenticate to server mx.example[192.0.2.1]: server did not prove that it knows the password', 'QUIT\n'],
  ['yes after a proof that is wrong', 'SCRAM-SHA-1', {},
    [`334 ${base64('r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096')}`, `334 ${base64('v=AAAA')}`],
    '4.7.0 SASL authentication failed; cannot authenticate to server mx.example[192.0.2.1]: server does not know the password', '*\n'],
  ['a token that is refused', 'XOAUTH2', {}, [`334 ${base64('{"status":"400"}')}`, '535 5.7.8 no'],
    '4.7.8 SASL authentication failed; server mx.example[192.0.2.1] said: 535 5.7.8 no', '\nQUIT\n'],
  ['a token that is refused, and then a yes', 'XOAUTH2', {}, [`334 ${base64('{"status":"400"}')}`, '235 fine'],
    '4.7.0 SASL authentication failed; cannot authenticate to server mx.example[192.0.2.1]: server did not prove that it knows the password', '\nQUIT\n'],
] as const) test(`the login fails: ${what}`, () => {
  const player = loggingIn(name, { change });
  for (const reply of replies) player.hear(`${reply}\n`);
  assert.deepEqual(player.outcomes(), [refusal(outcome)]);
  assert.ok(player.played.sent.endsWith(last), player.played.sent);
  assert.equal(player.kinds().at(-1), 'close');
  assert.ok(!player.played.sent.includes('MAIL'));
});

test('a first message that waits is not said to a server that asks something', () => {
  const player = loggingIn('PLAIN', { password: 'x'.repeat(400) });
  player.hear(`334 ${base64('why?')}\n`);
  assert.match(player.outcomes()[0]!, /4\.7\.0 SASL authentication failed; non-empty initial PLAIN challenge/);
  assert.equal(player.played.sent, 'AUTH PLAIN\n*\n');
});

for (const [what, event] of [
  ['the server hangs up', (player: Player) => player.run(() => player.machine.end())],
  ['the server says nothing', (player: Player) => { player.now += 300_000; player.run(() => {}); }],
] as const) test(`in the middle of a login ${what}`, () => {
  const player = loggingIn('LOGIN');
  event(player);
  assert.match(player.outcomes()[0]!, /^unusable: 4\.4\.2 .* while performing the EHLO handshake$/);
});

test('the server hangs up while we look for a password: what comes of that is too late', () => {
  const player = greeted();
  player.run(() => player.machine.end());
  player.run(() => player.machine.logIn(undefined));
  player.run(() => player.machine.logInFailed('too late'));
  assert.deepEqual(player.kinds(), ['log-in', 'unusable', 'close']);
});

test('AUTH=<> goes with the sender where we have logged in, and only there', () => {
  const player = loggingIn('PLAIN', { change: { dummyMailAuth: true } });
  player.hear('235 ok\n');
  assert.match(player.played.sent, /MAIL FROM:<s@example\.com> AUTH=<>\n/);
  const stranger = greeted({ dummyMailAuth: true });
  stranger.run(() => stranger.machine.logIn(undefined));
  assert.match(stranger.played.sent, /MAIL FROM:<s@example\.com>\n/);
});

test('every challenge has an end', () => {
  const player = greeted();
  const login = { proven: true, first: () => undefined, next: () => Buffer.from('x') };
  player.run(() => player.machine.logIn({ mechanism: 'X', login }));
  for (let step = 0; step < 101 && player.outcomes().length === 0; step++) player.hear('334 \n');
  assert.deepEqual(player.outcomes(), [refusal('4.3.0 SASL authentication failed; authentication protocol loop with server mx.example[192.0.2.1]')]);
});
