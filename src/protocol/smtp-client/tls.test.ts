/** TLS as the client machine sees it: before the greeting or behind STARTTLS, refused, and required by the message. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientOptions, Transaction } from './steps.ts';
import { options, Player, transaction } from './testing.ts';

const make = (change: Partial<ClientOptions>, message: Partial<Transaction> = {}): Player => new Player(options({}, change), [transaction(1, message)]);
const offer = '250-mx.example\n250-PIPELINING\n250-DSN\n250 STARTTLS\n';
const failure = { status: '4.7.5', reason: 'Server certificate not verified', remoteMta: '', diagnostic: '', scope: 'site', softUntilLast: false } as const;

test('wrapper mode: TLS, then the greeting', () => {
  const player = make({ tls: 'encrypt', tlsWrapped: true });
  assert.deepEqual([player.kinds(), player.played.sent], [['start-tls'], '']);
  player.run(() => player.machine.tlsStarted());
  assert.equal(player.played.sent, '');
  player.hear('220 mx.example ESMTP\n');
  player.hear('250-mx.example\n250 STARTTLS\n');
  assert.match(player.played.sent, /^EHLO client\.example\nMAIL FROM:/);
});

test('a session that may not be used is left with QUIT', () => {
  const player = make({ tls: 'encrypt' });
  player.hear('220 mx.example ESMTP\n');
  player.hear(offer);
  player.hear('220 go\n250-evil\n250 ok\n');
  player.run(() => player.machine.tlsRefused(failure));
  assert.deepEqual([player.outcomes(), player.played.sent], [['unusable: 4.7.5 Server certificate not verified'], 'EHLO client.example\nSTARTTLS\nQUIT\n']);
  player.run(() => player.machine.tlsStarted());
  assert.equal(player.played.sent, 'EHLO client.example\nSTARTTLS\nQUIT\n');
});

test('without TLS of our own: in plain text where that will do, else not at all', () => {
  for (const [tls, sent, outcome] of [['may', /^EHLO client\.example\nMAIL FROM/, undefined], ['encrypt', /^EHLO client\.example\nQUIT\n$/, 'unusable: 4.7.5 TLS is required, but our TLS engine is unavailable']] as const) {
    const player = make({ tls, tlsUnavailable: true });
    player.hear('220 mx.example ESMTP\n');
    player.hear(offer);
    assert.match(player.played.sent, sent);
    assert.equal(player.outcomes()[0], outcome);
  }
});

for (const [requireTls, tls, inPlain, inTls, outcome] of [
  ['enforce', 'may', '250 mx.example', undefined, /^unusable: 5\.7\.30 Sender requested REQUIRETLS, but TLS service was not offered by host mx\.example\[192\.0\.2\.1\]$/],
  ['starttls', 'may', '250 mx.example', undefined, /^unusable: 5\.7\.30 /], ['opportunistic', 'may', '250 mx.example', undefined, undefined],
  ['enforce', 'encrypt', '250-mx.example\n250-REQUIRETLS\n250 STARTTLS', '250 mx.example', /^unusable: 5\.7\.30 .*no server was found that supports REQUIRETLS/],
  ['enforce', 'encrypt', '250-mx.example\n250 STARTTLS', '250-mx.example\n250 REQUIRETLS', undefined], ['starttls', 'may', '250-mx.example\n250 STARTTLS', '250 mx.example', undefined],
  ['opportunistic', 'none', '250-mx.example\n250-REQUIRETLS\n250 STARTTLS', undefined, undefined],
] as const) {
  test(`REQUIRETLS ${requireTls}: "${inPlain.replaceAll('\n', ' ')}" in plain text, "${inTls?.replaceAll('\n', ' ')}" behind TLS`, () => {
    const player = make({ tls, requireTls }, { requireTls: true });
    player.hear('220 mx.example ESMTP\n');
    player.hear(`${inPlain}\n`);
    if (inTls !== undefined) {
      player.hear('220 go\n');
      player.run(() => player.machine.tlsStarted());
      player.hear(`${inTls}\n`);
    }
    if (outcome !== undefined) assert.match(player.outcomes()[0]!, outcome);
    assert.equal(player.played.sent.includes('MAIL FROM'), outcome === undefined);
    // What is offered in plain text is nobody's word.
    assert.equal(player.played.sent.includes(' REQUIRETLS'), inTls?.includes('REQUIRETLS') === true);
  });
}

test('STARTTLS that is refused, where the message requires it', () => {
  const player = make({ tls: 'may', requireTls: 'starttls' });
  player.hear('220 mx.example ESMTP\n');
  player.hear(offer);
  player.hear('454 4.7.0 not now\n');
  assert.deepEqual(player.outcomes(), ['unusable: 5.7.10 Sender requested REQUIRETLS, but host mx.example[192.0.2.1] refused to start TLS: 454 4.7.0 not now']);
});

test('reports show no content behind a server that does not know REQUIRETLS', () => {
  for (const [known, want] of [['250 REQUIRETLS', / RET=FULL REQUIRETLS\n/], ['250 SIZE', / RET=HDRS\n/]] as const) {
    const player = make({ tls: 'encrypt', requireTls: 'opportunistic' }, { requireTls: true, ret: 1 });
    player.hear('220 mx.example ESMTP\n');
    player.hear(offer);
    player.hear('220 go\n');
    player.run(() => player.machine.tlsStarted());
    player.hear(`250-mx.example\n250-DSN\n${known}\n`);
    assert.match(player.played.sent, want);
  }
});

test('smtp_tls_block_early_mail_reply: who answers before it is asked is left', () => {
  for (const [blocksEarlyReply, want] of [[true, '0: 4.7.0/site unexpected server message'], [false, undefined]] as const) {
    const player = make({ tls: 'encrypt', blocksEarlyReply });
    player.hear('220 mx.example ESMTP\n');
    player.hear(offer);
    player.hear('220 go\n');
    player.run(() => player.machine.tlsStarted());
    player.hear('250-mx.example\n250 DSN\n250 2.1.0 early\n');
    assert.equal(player.outcomes()[0], want);
    assert.equal(player.logs().includes('warning: server mx.example[192.0.2.1] violates smtp_tls_block_early_mail_reply policy'), blocksEarlyReply);
  }
});
