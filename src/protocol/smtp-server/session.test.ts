import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Question, Verdict } from './steps.ts';
import { Rehearsal, untilData, yes } from './testing.ts';

const no = (code = 550): Verdict => ({ accept: false, reply: { code, status: '5.7.1', text: 'no' } });

test('a message, as steps', () => {
  const play = new Rehearsal().drain().say(...untilData).say('Hello\r\n.\r\n', 'QUIT\r\n');
  assert.deepEqual(play.steps.map((step) => (step.kind === 'ask' ? step.question.verb : step.kind)), [
    'CONNECT', 'send', 'EHLO', 'send', 'MAIL', 'RCPT', 'DATA', 'send', 'content', 'END', 'send', 'send', 'close',
  ]);
  assert.equal(play.content, 'Hello\r\n');
  assert.equal(play.session.statistics(), 'ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5');
});

test('what is asked, and with what', () => {
  const play = new Rehearsal().drain().say(
    'EHLO client.test\r\n',
    'MAIL FROM:<"joe user"@one.test> SIZE=99 BODY=8BITMIME RET=HDRS ENVID=a+2Bb\r\n',
    'RCPT TO:<b@two.test> NOTIFY=NEVER ORCPT=rfc822;c+2Bd@three.test\r\nRCPT TO:<"x y"@two.test>\r\n',
  );
  const [, , mail, first, second] = play.questions;
  assert.deepEqual(mail, {
    verb: 'MAIL', sender: 'joe user@one.test', path: '<"joe user"@one.test>',
    parameters: { encoding: '8bit', size: 99, smtputf8: false, requireTls: false, dsnRet: 2, dsnEnvid: 'a+b', auth: undefined, verp: undefined },
    forwarded: undefined, objection: undefined,
  });
  assert.deepEqual(first, { verb: 'RCPT', recipient: 'b@two.test', path: '<b@two.test>', notify: 1, orcpt: 'rfc822;c+d@three.test', objection: undefined });
  assert.deepEqual(second, { verb: 'RCPT', recipient: 'x y@two.test', path: '<"x y"@two.test>', notify: 0, orcpt: 'rfc822;"x y"@two.test', objection: undefined });
  assert.deepEqual(play.session.context(), {
    protocol: 'ESMTP', helo: 'client.test', where: 'RCPT', sender: 'joe user@one.test', recipient: 'b@two.test', recipients: 2, outOfStep: false,
  });
});

test('a group of commands is answered with one write', () => {
  const play = new Rehearsal().drain().say('EHLO client.test\r\n');
  const before = play.writes;
  play.say('MAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nNONSENSE\r\nDATA\r\n');
  assert.equal(play.writes - before, 1);
  assert.match(play.codes, /250 250 250 500 354$/);
});

test('replies are not held back while a question is open', () => {
  const play = new Rehearsal({}, (question) => (question.verb === 'RCPT' ? undefined : yes(question)));
  play.drain().say('EHLO client.test\r\n', 'MAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nRSET\r\n');
  assert.match(play.codes, /220 250 250$/);
  play.session.answer({ accept: true });
  assert.match(play.drain().codes, /220 250 250 250 250$/);
});

test('a question waits for one answer', () => {
  const play = new Rehearsal();
  assert.throws(() => play.session.answer({ accept: true }), /no question/);
});

for (const [name, end, reason] of [
  ['RSET', (play: Rehearsal) => play.say('RSET\r\n'), undefined],
  ['EHLO', (play: Rehearsal) => play.say('EHLO again.test\r\n'), undefined],
  ['QUIT', (play: Rehearsal) => play.say('QUIT\r\n'), 'quit'],
  ['a lost connection', (play: Rehearsal) => { play.session.end(); play.drain(); }, 'lost connection'],
] as const) {
  test(`an accepted MAIL that comes to nothing is called off: ${name}`, () => {
    const play = new Rehearsal().drain().say('EHLO client.test\r\n', 'MAIL FROM:<>\r\n');
    end(play);
    assert.equal(play.aborts, 1);
    assert.equal(play.closed, reason);
  });
}

test('a message that was taken or refused is not called off', () => {
  for (const verdict of [yes, (question: Question) => (question.verb === 'END' ? no() : yes(question))]) {
    const play = new Rehearsal({}, verdict).drain().say(...untilData, '.\r\n', 'QUIT\r\n');
    assert.equal(play.aborts, 0);
  }
});

test('content refused for its form is called off without asking END', () => {
  const play = new Rehearsal({ message_size_limit: 5 }).drain().say(...untilData, '123456\r\n.\r\n');
  assert.equal(play.aborts, 1);
  assert.ok(!play.questions.some((question) => question.verb === 'END'));
  assert.deepEqual(play.logs, [{ event: 'size-limit' }]);
  assert.equal(play.session.statistics(), 'ehlo=1 mail=1 rcpt=1 data=0/1 commands=3/4');
});

test('slices of content are not copied', () => {
  const play = new Rehearsal().drain().say(...untilData);
  const bytes = Buffer.from(`${'x'.repeat(1000)}\r\n.\r\n`);
  play.session.receive(bytes);
  play.drain();
  const chunk = play.steps.find((step) => step.kind === 'content');
  assert.ok(chunk?.kind === 'content' && chunk.chunk.buffer === bytes.buffer && chunk.chunk.length === 1002);
});

for (const [name, says, log] of [
  ['talking out of turn', ['HELO a\r\nNOOP\r\n'], { event: 'improper-pipelining', after: 'HELO', text: 'NOOP\\r\\n' }],
  ['HTTP', ['GET / HTTP/1.0\r\n'], { event: 'non-smtp-command', text: 'GET / HTTP/1.0' }],
  ['a bad address', ['MAIL FROM:<a,b\x01>\r\n'], { event: 'bad-address', verb: 'MAIL', text: '<a,b?>' }],
  ['a big mail announced', ['MAIL FROM:<a@b.test> SIZE=99999999\r\n'],
    { event: 'reject', where: 'MAIL', text: '552 5.3.4 Message size exceeds fixed limit', sender: 'a@b.test', recipient: undefined }],
  ['a long command', [`${'x'.repeat(3000)}\r\n`], { event: 'long-request', limit: 2048, text: 'x'.repeat(30) }],
  ['a bad BDAT', ['BDAT x\r\n'], { event: 'bad-bdat', text: 'BDAT x' }],
] as const) {
  test(`worth a log line: ${name}`, () => {
    const play = new Rehearsal().drain().say(...says);
    assert.deepEqual(play.logs[0], log);
  });
}

for (const [name, says, after, bytes] of [
  ['at once', [], 'CONNECT', undefined],
  ['after EHLO', ['EHLO a\r\n'], 'EHLO', undefined],
  ['after nonsense', ['NONSENSE\r\n'], 'UNKNOWN', undefined],
  ['in content', [...untilData, '12345\r\n12'], 'DATA', 9],
  ['in a chunk', [untilData[0], 'MAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nBDAT 10 LAST\r\n123'], 'BDAT', 3],
] as const) {
  test(`a client that leaves ${name}`, () => {
    const play = new Rehearsal().drain().say(...says);
    play.session.end();
    play.drain();
    assert.deepEqual(play.logs.at(-1), { event: 'ended', reason: 'lost connection', after, bytes });
    assert.equal(play.closed, 'lost connection');
  });
}

test('a client that leaves after its message is not worth a line', () => {
  const play = new Rehearsal().drain().say(...untilData, '.\r\n');
  play.session.end();
  assert.deepEqual(play.drain().logs, []);
});

test('discarded keywords are logged with each EHLO, unless silently', () => {
  const play = new Rehearsal({ discardedKeywords: new Set(['size', 'etrn']) }).drain().say('HELO a\r\n', 'EHLO a\r\n');
  assert.deepEqual(play.logs, [{ event: 'discarded-keywords', keywords: 'ETRN, SIZE' }]);
  const silent = new Rehearsal({ discardedKeywords: new Set(['size', 'silent-discard']) }).drain().say('EHLO a\r\n');
  assert.deepEqual(silent.logs, []);
});

test('a bare newline that is refused is logged with its message', () => {
  const play = new Rehearsal({ smtpd_forbid_bare_newline: 'reject' }).drain().say(...untilData, 'a\n.\r\n\r\n.\r\n');
  assert.deepEqual(play.logs, [
    { event: 'reject', where: 'END-OF-MESSAGE', text: 'bare <LF> received', sender: 'a@one.test', recipient: 'b@two.test' },
  ]);
});

test('statistics tell what succeeded, and end with notes', () => {
  assert.equal(new Rehearsal().drain().session.statistics(), 'commands=0/0');
  const play = new Rehearsal({ smtpd_forbid_bare_newline: 'note' }, (question) => (question.verb === 'RCPT' ? no() : yes(question)));
  play.drain().say('EHLO a\n', 'MAIL FROM:<>\r\n', 'RCPT TO:<a@b.test>\r\n', 'X\r\n', '\r\n', 'HELP\r\n');
  assert.equal(play.session.statistics(), 'ehlo=1 mail=1 rcpt=0/1 help=1 unknown=0/2 commands=3/6 notes=bare_lf');
});

test('after too many errors answers wait, and what was said before goes out first', () => {
  const play = new Rehearsal({ smtpd_soft_error_limit: 1, smtpd_error_sleep_time: 2 }).drain().say('NONSENSE\r\nNONSENSE\r\n');
  const kinds = play.steps.slice(2).map((step) => (step.kind === 'delay' ? step.milliseconds : step.kind));
  assert.deepEqual(kinds, ['send', 2000, 'send']);
});

test('silence: the deadline is from the last thing heard', () => {
  const play = new Rehearsal({ smtpd_timeout: 10 });
  const { session } = play;
  session.expire(1000);
  play.drain();
  assert.equal(session.deadline(), 11_000);
  session.expire(5000);
  play.say('EHLO a\r\n', 'MAI');
  assert.equal(session.deadline(), 15_000);
  session.expire(14_999);
  // Who looks does not give the client more time.
  assert.equal(play.drain().closed, undefined);
  assert.equal(session.deadline(), 15_000);
  session.expire(15_000);
  assert.equal(play.drain().closed, 'timeout');
  assert.match(play.replies, /421 4\.4\.2 mx\.test Error: timeout exceeded\r\n$/);
  assert.deepEqual(play.logs.at(-1), { event: 'ended', reason: 'timeout', after: 'EHLO', bytes: undefined });
  assert.equal(session.deadline(), undefined);
});

test('silence: with less time from now on, the client\'s present turn is over sooner', () => {
  const play = new Rehearsal({ smtpd_timeout: 300 });
  const { session } = play;
  play.drain();
  session.expire(1000);
  play.say('EHLO a\r\n');
  session.expire(5000);
  session.hurry({ smtpd_timeout: 10, smtpd_per_request_deadline: true, smtpd_min_data_rate: 500 });
  assert.equal(session.deadline(), 11_000);
  session.expire(11_000);
  assert.equal(play.drain().closed, 'timeout');
});

test('silence: none is minded while a question is open', () => {
  const play = new Rehearsal({}, (question) => (question.verb === 'EHLO' ? undefined : yes(question))).drain().say('EHLO a\r\n');
  assert.equal(play.session.deadline(), undefined);
  play.session.expire(1e9);
  assert.equal(play.drain().closed, undefined);
  play.session.answer({ accept: true });
  play.drain();
  assert.equal(play.session.deadline(), 1e9 + 300_000);
});

test('a deadline per request does not move with every byte, but content buys time', () => {
  const play = new Rehearsal({ smtpd_timeout: 10, smtpd_per_request_deadline: true, smtpd_min_data_rate: 100 });
  const { session } = play;
  play.drain();
  session.expire(4000);
  play.say('EH');
  assert.equal(session.deadline(), 10_000);
  session.expire(6000);
  play.say('LO a\r\n');
  assert.equal(session.deadline(), 16_000);
  session.expire(7000);
  play.say(untilData[1]);
  session.expire(8000);
  play.say(`${'x'.repeat(998)}\r\n`);
  assert.equal(session.deadline(), 7000 + 10_000 + 10_000);
});

test('a refusal with 421 hangs up, and so does one that says so', () => {
  for (const verdict of [no(421), { ...no(), close: true }]) {
    const play = new Rehearsal({}, (question) => (question.verb === 'MAIL' ? verdict : yes(question))).drain();
    play.say('EHLO a\r\n', 'MAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\n');
    assert.equal(play.closed, 'hang-up');
    assert.match(play.codes, /(?:421|550)$/);
  }
});

test('a reply may be given with a yes, and have several lines', () => {
  const play = new Rehearsal({}, (question) => (question.verb === 'MAIL'
    ? { accept: true, reply: { code: 250, status: '2.1.0', text: ['one', 'two'] } } : yes(question)));
  assert.match(play.drain().say('MAIL FROM:<>\r\n').replies, /250-2\.1\.0 one\r\n250 2\.1\.0 two\r\n$/);
});

test('no more is taken in than the limit while a question is open', () => {
  const play = new Rehearsal({ inputLimit: 100 }, (question) => (question.verb === 'CONNECT' ? undefined : yes(question))).drain();
  assert.ok(play.session.wantsInput);
  play.session.receive(Buffer.alloc(100, 'x'));
  assert.ok(!play.session.wantsInput);
  play.session.receive(Buffer.alloc(100, 'x'));
  assert.deepEqual(play.drain().logs, [{ event: 'input-disabled' }]);
});

test('a local program (sendmail -bs) is not policed', () => {
  const play = new Rehearsal({ standAlone: true, smtpd_forbid_bare_newline: 'reject' }).drain();
  play.say('HELO a\nMAIL FROM:<>\nRCPT TO:<b@c.test>\nDATA\nhello\n.\nQUIT\n');
  assert.equal(play.codes, '220 250 250 250 354 250 221');
  assert.equal(play.content, 'hello\n');
});
