import test from 'node:test';
import assert from 'node:assert/strict';
import { ReplyFilterTrouble } from './reply.ts';
import { Player, options, transaction } from './testing.ts';

const host = 'host mx.example[192.0.2.1]';
const ehlo = '250-mx.example\n250-PIPELINING\n250-SIZE 1000000\n250-8BITMIME\n250-DSN\n250 SMTPUTF8\n';
const plainEhlo = '250-mx.example\n250 8BITMIME\n';
const content = 'Subject: x\n\nhello\n.\n';

function play(player: Player, replies: readonly string[]): Player {
  for (const reply of replies) player.hear(reply);
  return player;
}

test('with pipelining a message is four writes: EHLO, envelope, content with dot and QUIT', () => {
  const player = play(new Player(options(), [transaction(2)]), ['220 mx ESMTP\n', ehlo, '250 ok\n250 ok\n250 ok\n354 go\n', '250 2.0.0 queued as 1\n']);
  assert.deepEqual(player.played.writes, [
    'EHLO client.example\n',
    'MAIL FROM:<s@example.com> SIZE=10 BODY=7BIT\nRCPT TO:<r0@example.org>\nRCPT TO:<r1@example.org>\nDATA\n',
    `${content}QUIT\n`,
  ]);
  assert.deepEqual(player.outcomes(), ['0: 2.0.0 250 2.0.0 queued as 1', '1: 2.0.0 250 2.0.0 queued as 1']);
  assert.deepEqual(player.kinds(), ['ready', 'content', 'delivered', 'done', 'close']);
});

test('without pipelining every command waits for its reply', () => {
  const player = new Player(options(), [transaction(2)]);
  const seen: string[] = [];
  for (const reply of ['220 mx\n', plainEhlo, '250 ok\n', '250 ok\n', '250 ok\n', '354 go\n', '250 done\n']) {
    player.hear(reply);
    seen.push(player.played.writes.splice(0).join('|'));
  }
  assert.deepEqual(seen, ['EHLO client.example\n', 'MAIL FROM:<s@example.com> BODY=7BIT\n', 'RCPT TO:<r0@example.org>\n', 'RCPT TO:<r1@example.org>\n', 'DATA\n', content, 'QUIT\n']);
});

for (const [name, change, greeting, replies, want] of [
  ['ESMTP in the greeting', { alwaysSendEhlo: false }, '220 mx ESMTP x\n', [ehlo], 'EHLO client.example\n'],
  ['no ESMTP in the greeting', { alwaysSendEhlo: false }, '220 mx ready\n', ['250 hi\n'], 'HELO client.example\n'],
  ['ESMTP in a later line', { alwaysSendEhlo: false }, '220-mx x\n220 ESMTP\n', [ehlo], 'EHLO client.example\n'],
  ['never', { neverSendEhlo: true }, '220 mx ESMTP\n', ['250 hi\n'], 'HELO client.example\n'],
  ['EHLO refused', {}, '220 mx\n', ['502 no\n', '250 hi\n'], 'EHLO client.example\nHELO client.example\n'],
  ['LMTP', { dialect: 'lmtp' as const }, '220 mx\n', [ehlo], 'LHLO client.example\n'],
] as const) test(`hello: ${name}`, () => {
  const player = play(new Player(options(change), []), [greeting, ...replies]);
  assert.equal(player.played.sent, `${want}QUIT\n`);
});

for (const [name, replies, want] of [
  ['4xx greeting', ['421 4.3.2 busy\n'], `unusable: 4.3.2 ${host} refused to talk to me: 421 4.3.2 busy`],
  ['5xx greeting is temporary', ['554-go\n554 5.7.1 away\n'], `unusable: 4.7.1 ${host} refused to talk to me: 554-go 554 5.7.1 away`],
  ['3xx greeting', ['354 what\n'], `unusable: 5.5.0 Protocol error: ${host} refused to talk to me: 354 what`.replace('Protocol error: ', '')],
  ['421 to EHLO', ['220 mx\n', '421 bye\n'], `unusable: 4.0.0 ${host} refused to talk to me: 421 bye`],
  ['HELO refused', ['220 mx\n', '500 what\n', '550 5.7.1 no\n'], `unusable: 5.7.1 ${host} refused to talk to me: 550 5.7.1 no`],
  ['our own name', ['220 mx\n', '250 client.EXAMPLE\n'], 'unusable: 5.4.6 mail for example.org loops back to myself'],
] as const) test(`handshake: ${name}`, () => {
  const player = play(new Player(options(), [transaction()]), replies);
  assert.deepEqual(player.outcomes(), [want]);
  assert.equal(player.kinds().at(-1), 'close');
  assert.match(player.played.sent, /QUIT\n$/);
});

const ready = ['220 mx ESMTP\n', ehlo];
for (const [name, replies, want, kinds] of [
  ['sender refused', [...ready, '550 5.1.8 no\n503 x\n503 x\n503 y\n', '250 rset\n'], ['0: 5.1.8/message HOST said: 550 5.1.8 no (in reply to MAIL FROM command)', '1: 5.1.8/message HOST said: 550 5.1.8 no (in reply to MAIL FROM command)'], 'ready failed done close'],
  ['one recipient refused', [...ready, '250 ok\n550 5.1.1 who\n250 ok\n354 go\n', '250 done\n'], ['0: 5.1.1/recipient HOST said: 550 5.1.1 who (in reply to RCPT TO command)', '1: 2.0.0 250 done'], 'ready failed content delivered done close'],
  ['all refused, DATA refused', [...ready, '250 ok\n550 a\n450 b\n554 none\n', '250 rset\n'], ['0: 5.0.0/recipient HOST said: 550 a (in reply to RCPT TO command)', '1: 4.0.0/recipient HOST said: 450 b (in reply to RCPT TO command)'], 'ready failed failed done close'],
  ['all refused, DATA taken: a lone dot', [...ready, '250 ok\n550 a\n550 b\n354 go\n', '554 nothing\n'], ['0: 5.0.0/recipient HOST said: 550 a (in reply to RCPT TO command)', '1: 5.0.0/recipient HOST said: 550 b (in reply to RCPT TO command)'], 'ready failed failed done close'],
  ['DATA refused', [...ready, '250 ok\n250 ok\n250 ok\n451 4.3.0 later\n', '250 rset\n'], ['0: 4.3.0/message HOST said: 451 4.3.0 later (in reply to DATA command)', '1: 4.3.0/message HOST said: 451 4.3.0 later (in reply to DATA command)'], 'ready failed done close'],
  ['content refused', [...ready, '250 ok\n250 ok\n250 ok\n354 go\n', '554-5.6.0 bad\n554 5.6.0 content\n'], ['0: 5.6.0/message HOST said: 554-5.6.0 bad 554 5.6.0 content (in reply to end of DATA command)', '1: 5.6.0/message HOST said: 554-5.6.0 bad 554 5.6.0 content (in reply to end of DATA command)'], 'ready content failed done close'],
  ['2xx to DATA is a protocol error', [...ready, '250 ok\n250 ok\n250 ok\n250 what\n', '250 rset\n'], ['0: 5.5.0/message Protocol error: HOST said: 250 what (in reply to DATA command)', '1: 5.5.0/message Protocol error: HOST said: 250 what (in reply to DATA command)'], 'ready failed done close'],
] as const) test(`exchange: ${name}`, () => {
  const player = play(new Player(options(), [transaction(2)]), replies);
  assert.deepEqual(player.outcomes(), want.map((text) => text.replace('HOST', host)));
  assert.equal(player.kinds().join(' '), kinds);
});

test('LMTP: one reply per accepted recipient after the dot', () => {
  const player = play(new Player(options({ dialect: 'lmtp', skipQuitResponse: false }), [transaction(3)]),
    ['220 lm\n', ehlo, '250 ok\n250 a\n550 b\n250 c\n354 go\n', '250 2.1.5 a done\n', '452 4.2.2 c full\n221 bye\n']);
  assert.deepEqual(player.outcomes(), [
    `1: 5.0.0/recipient ${host} said: 550 b (in reply to RCPT TO command)`,
    '0: 2.1.5 250 2.1.5 a done',
    `2: 4.2.2/recipient ${host} said: 452 4.2.2 c full (in reply to end of DATA command)`,
  ]);
  assert.equal(player.kinds().join(' '), 'ready failed content delivered failed done close');
});

for (const [name, happens] of [
  ['the server leaves', (player: Player) => player.machine.end()],
  ['the time is over', (player: Player) => player.machine.expire(player.now + 10_000_000)],
] as const) test(`LMTP: what was answered while a step took its time is an outcome, also when ${name} meanwhile`, () => {
  const player = play(new Player(options({ dialect: 'lmtp', skipQuitResponse: false }), [transaction(3)]), ['220 lm\n', ehlo, '250 ok\n250 a\n250 b\n250 c\n354 go\n']);
  player.run(() => {
    player.machine.receive(Buffer.from('450 4.2.1 a later\r\n250 2.1.5 b done\r\n', 'latin1'));
    happens(player);
    if (name === 'the time is over') player.machine.end();
  });
  assert.deepEqual(player.outcomes(), [
    `0: 4.2.1/recipient ${host} said: 450 4.2.1 a later (in reply to end of DATA command)`,
    '1: 2.1.5 250 2.1.5 b done',
    '2: 4.4.2/site lost connection with mx.example[192.0.2.1] while sending end of data -- message may be sent more than once',
  ]);
});

test('a connection that is kept takes the next message after a RSET probe in the same write', () => {
  const player = play(new Player(options(), [transaction(1, { keep: true }), transaction(1)]),
    [...ready, '250 ok\n250 ok\n354 go\n', '250 one\n', '250 rset\n250 ok\n250 ok\n354 go\n', '250 two\n']);
  assert.deepEqual(player.played.writes.slice(2), [content, 'RSET\nMAIL FROM:<s@example.com> SIZE=10 BODY=7BIT\nRCPT TO:<r0@example.org>\nDATA\n', `${content}QUIT\n`]);
  assert.deepEqual(player.outcomes(), ['0: 2.0.0 250 one', '0: 2.0.0 250 two']);
});

for (const [name, event] of [
  ['closed', (player: Player) => player.run(() => player.machine.end())],
  ['refuses RSET', (player: Player) => player.hear('421 timeout\n')],
  ['silent for the RSET time', (player: Player) => { player.now += 20_000; player.run(() => {}); }],
] as const) test(`a kept connection that the server gave up (${name}) costs the message nothing`, () => {
  const player = play(new Player(options(), [transaction(1, { keep: true }), transaction(1)]), [...ready, '250 ok\n250 ok\n354 go\n', '250 one\n']);
  event(player);
  assert.deepEqual(player.kinds().slice(-2), ['stale', 'close']);
  assert.deepEqual(player.outcomes(), ['0: 2.0.0 250 one']);
});

const firstSaid = [...ready, '250 ok\n250 ok\n354 go\n'];
const envelope = 'MAIL FROM:<s@example.com> SIZE=10 BODY=7BIT\nRCPT TO:<r0@example.org>\nDATA\n';

/** Two messages, the second said behind the dot of the first. */
const behind = (replies: readonly string[], first = transaction(1, { keep: true })): Player =>
  play(new Player(options(), [first, transaction(1)], { behind: true }), [...firstSaid, ...replies]);

test('the next message goes out behind the dot, in one write with the content', () => {
  const player = behind(['250 one\n250 ok\n250 ok\n354 go\n', '250 two\n']);
  assert.deepEqual(player.played.writes.slice(2), [`${content}${envelope}`, `${content}QUIT\n`]);
  assert.equal(player.kinds().join(' '), 'ready content delivered done content delivered done close');
  assert.deepEqual(player.outcomes(), ['0: 2.0.0 250 one', '0: 2.0.0 250 two']);
});

test('nothing is said behind a dot that is followed by QUIT, without pipelining, or twice', () => {
  const cases = [[transaction(1), ready], [transaction(1, { keep: true }), ['220 mx\n', plainEhlo, '250 ok\n', '250 ok\n', '354 go\n']]] as const;
  for (const [first, replies] of cases) {
    const player = play(new Player(options(), [first, transaction(1)], { behind: true }), [...replies, ...(replies === ready ? ['250 ok\n250 ok\n354 go\n'] : [])]);
    assert.match(player.played.writes.at(-1)!, /\.\n(?:QUIT\n)?$/);
  }
  const player = behind([]);
  assert.equal(player.machine.deliverBehind(transaction(1)), false);
});

test('a message that this server cannot take is not said behind another', () => {
  const player = play(new Player(options(), [transaction(1, { keep: true }), transaction(1, { size: 1_000_001 })], { behind: true }), [...firstSaid, '250 one\n']);
  assert.deepEqual(player.outcomes(), ['0: 2.0.0 250 one', '0: 5.3.4 message size 1000001 exceeds size limit 1000000 of server mx.example[192.0.2.1]'.replace('5.3.4 ', '5.3.4/message ')]);
});

const sentBoth = 'ready content delivered done content delivered done close';
const lostDot = '0: 4.4.2/site lost connection with mx.example[192.0.2.1] while sending end of data -- message may be sent more than once';
for (const [name, replies, want, kinds] of [
  ['one 4xx, two taken', ['451 4.3.0 later\n250 ok\n250 ok\n354 go\n', '250 two\n'], [`0: 4.3.0/message ${host} said: 451 4.3.0 later (in reply to end of DATA command)`, '0: 2.0.0 250 two'], sentBoth.replace('delivered', 'failed')],
  ['one 5xx, two taken', ['554 5.7.1 spam\n250 ok\n250 ok\n354 go\n', '250 two\n'], [`0: 5.7.1/message ${host} said: 554 5.7.1 spam (in reply to end of DATA command)`, '0: 2.0.0 250 two'], sentBoth.replace('delivered', 'failed')],
  ['one 421 and closed', ['421 4.3.2 bye\n', 'LOST'], [`0: 4.3.2/message ${host} said: 421 4.3.2 bye (in reply to end of DATA command)`], 'ready content failed done stale close'],
  ['lost at the first dot', ['LOST'], [lostDot], 'ready content failed done stale close'],
  ['silent at the first dot', ['SILENT'], [lostDot.replace('lost connection with', 'conversation with').replace(' while', ' timed out while')], 'ready content failed done stale close'],
  ['lost after the first dot', ['250 one\n', 'LOST'], ['0: 2.0.0 250 one'], 'ready content delivered done stale close'],
  ['silent after the first dot', ['250 one\n', 'SILENT'], ['0: 2.0.0 250 one'], 'ready content delivered done stale close'],
  ['421 to MAIL', ['250 one\n421 too many\n'], ['0: 2.0.0 250 one'], 'ready content delivered done stale close'],
  ['lost after MAIL', ['250 one\n250 ok\n', 'LOST'], ['0: 2.0.0 250 one'], 'ready content delivered done stale close'],
  ['lost after RCPT', ['250 one\n250 ok\n250 ok\n', 'LOST'], ['0: 2.0.0 250 one'], 'ready content delivered done stale close'],
  ['MAIL refused', ['250 one\n450 4.7.1 not now\n503 x\n503 x\n', '250 rset\n'], ['0: 2.0.0 250 one', `0: 4.7.1/message ${host} said: 450 4.7.1 not now (in reply to MAIL FROM command)`], 'ready content delivered done failed done close'],
  ['RCPT refused', ['250 one\n250 ok\n550 5.1.1 who\n554 none\n', '250 rset\n'], ['0: 2.0.0 250 one', `0: 5.1.1/recipient ${host} said: 550 5.1.1 who (in reply to RCPT TO command)`], 'ready content delivered done failed done close'],
  ['RCPT refused, then lost', ['250 one\n250 ok\n550 5.1.1 who\n', 'LOST'], ['0: 2.0.0 250 one', `0: 5.1.1/recipient ${host} said: 550 5.1.1 who (in reply to RCPT TO command)`], 'ready content delivered done failed done close'],
  ['lost at the second dot', ['250 one\n250 ok\n250 ok\n354 go\n', 'LOST'], ['0: 2.0.0 250 one', lostDot], 'ready content delivered done content failed done close'],
] as const) test(`two messages in a row: ${name}`, () => {
  const player = behind([]);
  for (const reply of replies) {
    if (reply === 'LOST') player.run(() => player.machine.end());
    else if (reply === 'SILENT') { player.now = player.machine.deadline()!; player.run(() => {}); }
    else player.hear(reply);
  }
  assert.deepEqual(player.outcomes(), want);
  assert.equal(player.kinds().join(' '), kinds);
});

test('a connection that became suspect with the first message is left after the second', () => {
  const player = play(new Player(options(), [transaction(1, { keep: true }), transaction(1, { keep: true })], { behind: true }), [...firstSaid, '500 5.5.1 what\n250 ok\n250 ok\n354 go\n', '250 two\n']);
  assert.match(player.played.sent, /\.\nQUIT\n$/);
});

test('limits of reuse hold for messages said behind others', () => {
  const messages = [1, 2, 3, 4].map(() => transaction(1, { keep: true }));
  const player = play(new Player(options({ reuseCount: 2 }), messages, { behind: true }), [...firstSaid, ...Array<string>(2).fill('250 done\n250 ok\n250 ok\n354 go\n')]);
  assert.match(player.played.sent, /\.\nQUIT\n$/);
  assert.equal(player.machine.uses, 3);
});

test('the content in one piece: dots doubled, the last line ended; long lines are left to the other way', () => {
  for (const [whole, want] of [['a\r\n.b\r\n', 'a\n..b\n.\n'], ['a', 'a\n.\n'], ['', '.\n'], [`${'x'.repeat(999)}\r\n`, undefined]] as const) {
    const player = streaming();
    let taken = false;
    const before = player.played.steps.length;
    player.run(() => { taken = player.machine.contentWhole(Buffer.from(whole, 'latin1')); });
    const sent = player.played.steps.slice(before).flatMap((step) => (step.kind === 'send' ? [step.bytes.toString('latin1')] : [])).join('').replaceAll('\r\n', '\n');
    assert.deepEqual([taken, sent.replace('QUIT\n', '')], [want !== undefined, want ?? '']);
  }
});

test('limits of reuse: time and count', () => {
  for (const [change, pause] of [[{ reuseCount: 1 }, 0], [{ reuseTime: 1 }, 2000]] as const) {
    const player = play(new Player(options(change), [transaction(1, { keep: true }), transaction(1, { keep: true })]), [...ready, '250 ok\n250 ok\n354 go\n']);
    player.hear('250 one\n');
    player.now += pause;
    player.hear('250 rset\n250 ok\n250 ok\n354 go\n');
    assert.match(player.played.writes.at(-1)!, /\.\nQUIT\n$/);
  }
});

const stagesLost: readonly [string, readonly string[], string][] = [
  ['receiving the initial server greeting', [], 'unusable'],
  ['performing the EHLO handshake', ['220 mx\n'], 'unusable'],
  ['performing the HELO handshake', ['220 mx\n', '500 x\n'], 'unusable'],
  ['sending MAIL FROM', ready as string[], '0'],
  ['sending RCPT TO', [...ready, '250 ok\n'], '0'],
  ['sending DATA command', [...ready, '250 ok\n250 ok\n'], '0'],
  ['sending end of data -- message may be sent more than once', [...ready, '250 ok\n250 ok\n354 go\n'], '0'],
];
for (const [where, replies, who] of stagesLost) {
  const label = who === 'unusable' ? 'unusable: 4.4.2' : '0: 4.4.2/site';
  test(`lost connection while ${where}`, () => {
    const player = play(new Player(options(), [transaction()]), replies);
    player.run(() => player.machine.end());
    assert.deepEqual(player.outcomes(), [`${label} lost connection with mx.example[192.0.2.1] while ${where}`]);
    assert.equal(player.kinds().at(-1), 'close');
  });
  test(`time out while ${where}`, () => {
    const player = play(new Player(options(), [transaction()]), replies);
    player.now = player.machine.deadline()! - 1;
    player.run(() => {});
    assert.deepEqual(player.outcomes(), []);
    player.now += 1;
    player.run(() => {});
    assert.deepEqual(player.outcomes(), [`${label} conversation with mx.example[192.0.2.1] timed out while ${where}`]);
  });
}

test('per-request deadline: bytes that come in do not buy time', () => {
  for (const [deadline, extended] of [[true, false], [false, true]]) {
    const player = new Player(options({ perRequestDeadline: deadline }), [transaction()]);
    const before = player.machine.deadline()!;
    player.now += 1000;
    player.hear('220-mx\n');
    assert.equal(player.machine.deadline()! > before, extended);
  }
});

function streaming(): Player {
  const player = new (class extends Player {})(options(), [transaction()]);
  // The content step is performed by hand here.
  (player as unknown as { perform: (step: { kind: string }) => void }).perform = (step) => {
    if (step.kind === 'ready') player.machine.deliver(transaction());
    player.played.steps.push(step as never);
  };
  return play(player, [...ready, '250 ok\n250 ok\n354 go\n']);
}

for (const [name, reply, want] of [
  ['the server says why', '552 5.3.4 too big\n', `0: 5.3.4/message ${host} said: 552 5.3.4 too big (in reply to end of DATA command)`],
  ['a yes is not believed', '250 fine\n', `0: 4.5.0/site Protocol error: ${host} said: 250 fine (in reply to end of DATA command)`],
  ['no reply', '', '0: 4.4.2/site lost connection with mx.example[192.0.2.1] while sending message body'],
] as const) test(`connection lost inside the content: ${name}`, () => {
  const player = streaming();
  player.run(() => player.machine.content(Buffer.from('half of ')));
  if (reply !== '') player.hear(reply);
  player.run(() => player.machine.end());
  assert.deepEqual(player.outcomes(), [want]);
});

test('content that cannot be read to its end never gets a dot', () => {
  const player = streaming();
  player.run(() => player.machine.content(Buffer.from('half of ')));
  player.run(() => player.machine.contentFailed());
  assert.deepEqual(player.outcomes(), ['0: 4.3.0/site local data error while talking to mx.example[192.0.2.1]']);
  const sent = player.played.steps.flatMap((step) => (step.kind === 'send' ? [step.bytes.toString('latin1')] : [])).join('');
  assert.doesNotMatch(sent, /half|\r\n\.\r\n/);
});

for (const [name, change, want] of [
  ['too big', { size: 1_000_001 }, '0: 5.3.4/message message size 1000001 exceeds size limit 1000000 of server mx.example[192.0.2.1]'],
] as const) test(`not even tried: ${name}`, () => {
  const player = play(new Player(options(), [transaction(1, change)]), ready);
  assert.deepEqual(player.outcomes(), [want]);
  assert.doesNotMatch(player.played.sent, /MAIL/);
});

test('SMTPUTF8 is needed and not offered', () => {
  const player = play(new Player(options(), [transaction(1, { smtputf8: 'required' })]), ['220 mx\n', plainEhlo]);
  assert.deepEqual(player.outcomes(), ['0: 5.6.7/message message requires SMTPUTF8, but no server was found that supports SMTPUTF8. The last attempted server was mx.example[192.0.2.1]']);
  assert.equal(player.played.sent, 'EHLO client.example\nQUIT\n');
});

test('parameters of MAIL and RCPT', () => {
  const message = {
    ...transaction(1, { encoding: '8bit', smtputf8: 'requested', envid: 'a+b=c', ret: 2 }),
    recipients: [{ address: 'r@example.org', orcpt: 'rfc822;r@example.org', notify: 6 }],
  };
  const player = play(new Player(options(), [message]), ready);
  assert.equal(player.played.writes[1], 'MAIL FROM:<s@example.com> SIZE=10 BODY=8BITMIME ENVID=a+2Bb+3Dc RET=HDRS SMTPUTF8\nRCPT TO:<r@example.org> ORCPT=rfc822;r@example.org NOTIFY=SUCCESS,FAILURE\nDATA\n');
});

test('an address probe ends with RSET after the recipients', () => {
  const player = play(new Player(options(), [transaction(2, { verify: 'rcpt' })]), [...ready, '250 ok\n250 2.1.5 a\n550 b\n250 rset\n221 bye\n']);
  assert.match(player.played.sent, /RCPT TO:<r1@example.org>\nRSET\nQUIT\n$/);
  assert.deepEqual(player.outcomes(), ['0: 2.1.5 250 2.1.5 a', `1: 5.0.0/recipient ${host} said: 550 b (in reply to RCPT TO command)`]);
});

test('the window of pipelined commands is bounded', () => {
  const player = play(new Player(options(), [transaction(500)]), ready);
  assert.ok(player.played.writes[1]!.length < 4200);
  player.hear('250 ok\n'.repeat(player.played.writes[1]!.trimEnd().split('\n').length));
  assert.equal(player.played.writes.length, 3);
});

for (const [name, line] of [['no code', 'hello there'], ['too short', '22 x'], ['too long', '2200 x']] as const)
  test(`garbage before a reply (${name}) is kept in its text and spoils the connection for reuse`, () => {
    const player = play(new Player(options(), [transaction(1, { keep: true })]), [...ready, `250 ok\n250 ok\n${line}\n354 go\n`, '250 done\n']);
    assert.deepEqual(player.logs(), [`warning: 4ABC: non-ESMTP response from mx.example[192.0.2.1]:25: ${line}`]);
    assert.match(player.played.sent, /\.\nQUIT\n$/);
  });

test('STARTTLS: offered, wanted, and the server is asked again', () => {
  const player = play(new Player(options({}, { tls: 'may' }), []), ['220 mx\n', '250-mx.example\n250 STARTTLS\n', '220 go\n']);
  assert.deepEqual(player.kinds(), ['start-tls']);
  player.run(() => player.machine.tlsStarted());
  player.hear('250-mx.example\n250 STARTTLS\n');
  assert.equal(player.played.sent, 'EHLO client.example\nSTARTTLS\nEHLO client.example\nQUIT\n');
});

test('STARTTLS: what came in plain text behind the answer is not heard afterwards (CVE-2021-38371)', () => {
  for (const injected of ['250-mx.example\n250 AUTH PLAIN\n', '250 ok\n250 ok\n', 'half a rep']) {
    const player = play(new Player(options({}, { tls: 'may' }), []), ['220 mx\n', '250-mx.example\n250 STARTTLS\n', `220 go\n${injected}`]);
    player.run(() => player.machine.tlsStarted());
    assert.equal(player.played.sent, 'EHLO client.example\nSTARTTLS\nEHLO client.example\n', injected);
    player.hear('250-mx.example\n250 PIPELINING\n');
    assert.equal(player.played.sent, 'EHLO client.example\nSTARTTLS\nEHLO client.example\nQUIT\n', injected);
  }
});

test('TLS is required and not offered', () => {
  const player = play(new Player(options({}, { tls: 'encrypt' }), [transaction()]), ['220 mx\n', plainEhlo]);
  assert.deepEqual(player.outcomes(), ['unusable: 4.7.4 TLS is required, but was not offered by host mx.example[192.0.2.1]']);
});

test('more replies than commands: the connection is not used again', () => {
  const messages = [transaction(1, { keep: true })];
  const player = play(new Player(options(), messages), [...ready, '250 ok\n250 ok\n354 go\n', '250 done\n250 once more\n']);
  assert.equal(player.kinds().at(-1), 'close');
  const late = new Player(options(), [transaction(1, { keep: true })]);
  (late as unknown as { proceed: () => void }).proceed = () => { if (late.machine.uses === 0) late.machine.deliver(transaction(1, { keep: true })); };
  play(late, [...ready, '250 ok\n250 ok\n354 go\n', '250 done\n']);
  assert.equal(late.kinds().at(-1), 'ready');
  late.hear('421 4.4.2 too long\n');
  assert.equal(late.kinds().at(-1), 'close');
});

test('behind a PIX the dot waits, and what follows it too', () => {
  const pix = { noEsmtp: true, dotDelay: 10, names: 'disable_esmtp delay_dotcrlf' };
  const player = new Player(options({}, { pix: () => pix, queueId: '4ABC' }), [transaction()]);
  for (const reply of ['220 ***', '250 mx.example', '250 ok', '250 ok', '354 go']) player.hear(`${reply}\n`);
  assert.deepEqual(player.logs(), ['info: 4ABC: enabling PIX workarounds: disable_esmtp delay_dotcrlf for mx.example[192.0.2.1]:25']);
  assert.match(player.played.sent, /^HELO client\.example\n/);
  const delay = player.played.steps.findIndex(({ kind }) => kind === 'delay');
  assert.deepEqual(player.played.steps[delay], { kind: 'delay', milliseconds: 10_000 });
  assert.deepEqual(player.order.slice(-3), ['Subject: x\n\nhello\n', 'delay', '.\n']);
});

test('a reply filter that fails ends the session, in the middle of a message too', () => {
  const replyFilter = (line: string): string | undefined => {
    if (line.startsWith('354')) throw new ReplyFilterTrouble('table x lookup error');
    return line === '250 odd' ? '250 even' : undefined;
  };
  const player = new Player(options({ replyFilter }), [transaction()]);
  for (const reply of ['220 mx.example ESMTP', '250 mx.example', '250 odd', '250 ok', '354 go']) player.hear(`${reply}\n`);
  assert.deepEqual(player.logs(), ['info: mx.example[192.0.2.1]:25: replacing server reply "250 odd" with "250 even"', 'warning: 4ABC: table x lookup error']);
  assert.deepEqual(player.outcomes(), ['0: 4.3.0/site local data error while talking to mx.example[192.0.2.1]']);
  assert.ok(!player.played.sent.includes('hello') && player.kinds().at(-1) === 'close');
});
