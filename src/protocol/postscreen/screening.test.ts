import assert from 'node:assert/strict';
import test from 'node:test';
import { parseSites, Tally } from './lists.ts';
import { outOfOrder } from './settings.ts';
import { newClient, tests } from './stamps.ts';
import { Bench, start } from './testing.ts';

const deep = tests.pipelining | tests.nonSmtp | tests.bareNewline;
const peer = '[192.0.2.1]:4711';

test('who waits its turn is let in, and remembered', () => {
  const bench = new Bench().begin();
  assert.equal(bench.heard(), '220-mx.test ESMTP\r\n');
  bench.pass(5.9);
  assert.deepEqual(bench.done, []);
  bench.pass(0.1);
  assert.deepEqual(bench.done, [`save ${start + 6 + 86_400};1;1;1;1`, 'hand-over ']);
  assert.deepEqual(bench.logged, [`PASS NEW ${peer}`]);
  assert.equal(bench.machine.deadline(), undefined);
});

test('of several sessions at the same time one is new', () => {
  const record = newClient();
  const [one, two] = [new Bench({}, record).begin(), new Bench({}, record).begin()];
  one.pass(6);
  two.pass(6);
  assert.deepEqual([one.logged, two.logged], [[`PASS NEW ${peer}`], [`PASS OLD ${peer}`]]);
});

test('what was said too early is not read on, and is passed on when that is ignored', () => {
  const bench = new Bench({ greetAction: 'ignore' }).begin();
  assert.equal(bench.machine.wantsInput, true);
  bench.pass(1.26).say('HELO x\r\n');
  assert.equal(bench.machine.wantsInput, false);
  // Nothing else is waited for.
  assert.deepEqual([bench.logged, bench.done], [[`PREGREET 8 after 1.3 from ${peer}: HELO x\\r\\n`], ['hand-over HELO x\r\n']]);
});

test('too early, and dropped', () => {
  const bench = new Bench({ greetAction: 'drop' }).begin();
  bench.heard();
  bench.say('x'.repeat(3000));
  assert.equal(bench.heard(), '521 5.5.1 Protocol error\r\n');
  assert.deepEqual(bench.logged, [`PREGREET 1023 after 0 from ${peer}: ${'x'.repeat(100)}`, `DISCONNECT ${peer}`]);
  assert.deepEqual(bench.done, ['close']);
});

test('too early, and heard out: no greeting, no recipient', () => {
  const bench = new Bench().begin();
  bench.heard();
  bench.say('HELO x\r\n');
  assert.equal(bench.heard(), '250 mx.test\r\n');
  bench.say('MAIL FROM:<a@example.org>\r\n').say('RCPT TO:<b@example.org>\r\n').say('QUIT\r\n');
  assert.equal(bench.heard(), '250 2.1.0 Ok\r\n550 5.5.1 Protocol error\r\n221 2.0.0 Bye\r\n');
  assert.deepEqual(bench.logged.slice(1), [`NOQUEUE: reject: RCPT from ${peer}: 550 5.5.1 Protocol error; from=<a@example.org>, to=<b@example.org>, proto=SMTP, helo=<x>`, `DISCONNECT ${peer}`]);
  // Nobody who has failed is remembered.
  assert.deepEqual(bench.done, ['close']);
});

test('who hangs up is told about, and no more is said', () => {
  const bench = new Bench().begin();
  bench.heard();
  bench.pass(0.5);
  bench.machine.end();
  bench.drain();
  assert.deepEqual([bench.logged, bench.heard(), bench.done], [[`HANGUP after 0.5 from ${peer} in tests before SMTP handshake`, `DISCONNECT ${peer}`], '', ['close']]);
});

/** A session that lists are asked about; `answer` is what they have said so far. */
function listedBench(own: ConstructorParameters<typeof Bench>[0], sites: string): { bench: Bench; answer: (addresses: string[], ttl: number) => void } {
  const bench = new Bench({ enabled: tests.dnsbl, ...own }).begin();
  const tally = new Tally();
  bench.machine.asked(tally);
  const [site] = parseSites(sites, () => undefined);
  return { bench, answer: (addresses, ttl) => tally.add(site!, { addresses, ttl }) };
}

for (const [action, heard, more] of [
  ['drop', '521 5.7.1 Service unavailable; client [192.0.2.1] blocked using list.test\r\n', [`DISCONNECT ${peer}`]],
  ['enforce', '220 mx.test ESMTP\r\n', []],
  ['ignore', '', []],
] as const) test(`listed: ${action}`, () => {
  const { bench, answer } = listedBench({ dnsblAction: action, dnsblThreshold: 2 }, 'list.test*2');
  answer(['127.0.0.2'], 100);
  bench.machine.scored();
  bench.drain();
  assert.deepEqual([bench.heard(), bench.logged], [heard, [`DNSBL rank 2 for ${peer}`, ...more]]);
  assert.equal(bench.done.at(-1), action === 'drop' ? 'close' : action === 'ignore' ? 'hand-over ' : 'forget-lists');
});

test('lists that do not answer count for nothing once the wait is over', () => {
  const { bench } = listedBench({}, 'list.test');
  bench.pass(6);
  assert.deepEqual(bench.done, ['ask-lists', 'forget-lists', `save 1;${start + 6 + 60};1;1;1`, 'hand-over ']);
  bench.machine.scored();
  assert.deepEqual(bench.drain().done.length, 4);
});

test('the wait is for those who may talk too early, not for lists alone', () => {
  const { bench, answer } = listedBench({ enabled: tests.pregreet | tests.dnsbl }, 'list.test');
  answer([], 100);
  bench.machine.scored();
  bench.drain();
  assert.deepEqual(bench.done, ['ask-lists', 'forget-lists']);
  bench.pass(6);
  assert.equal(bench.done.at(-1), 'hand-over ');
});

test('enough good word stands for all tests, as long as it holds', () => {
  const { bench, answer } = listedBench({ enabled: 31, dnsblAllowThreshold: -2 }, 'list.test*-2');
  answer(['127.0.0.2'], 500);
  bench.machine.scored();
  bench.drain();
  assert.deepEqual(bench.logged, [`PASS NEW ${peer}`]);
  const until = start + 500;
  assert.deepEqual(bench.done, ['ask-lists', 'forget-lists', `save ${until};${until};${until};${until};${until}`, 'hand-over ']);
});

test('under stress everybody has less time', () => {
  let isStressed = true;
  const bench = new Bench({ isStressed: () => isStressed }).begin();
  assert.equal(bench.machine.deadline(), 2000);
  isStressed = false;
  assert.equal(new Bench({ isStressed: () => isStressed }).begin().machine.deadline(), 6000);
});

test('the deep tests are passed at RCPT, and the client has to come again', () => {
  const bench = new Bench({ enabled: deep }).begin().say('EHLO x\r\n').say('MAIL FROM:<a@b>\r\n').say('RCPT TO:<c@d>\r\n').say('QUIT\r\n');
  assert.match(bench.heard(), /450 4\.3\.2 Service currently unavailable\r\n221 2\.0\.0 Bye\r\n$/);
  assert.deepEqual(bench.done, [`save 1;1;${start + 1000};${start + 2000};${start + 3000}`, 'close']);
  assert.equal(bench.logged.at(-2), `PASS NEW ${peer}`);
});

test('whoever is let off is tested again when anything expires', () => {
  const bench = new Bench({ enabled: deep }).begin().say('EHLO x\n').say('MAIL FROM:<a@b>\r\n').say('RCPT TO:<c@d>\r\n').say('QUIT\r\n');
  assert.equal(bench.logged[0], `BARE NEWLINE from ${peer} after EHLO x`);
  assert.equal(bench.done[0], `save 1;1;${start + 1000};${start + 2000};${start + 60}`);
});

test('one offence is told once, however often it is repeated', () => {
  const bench = new Bench({ enabled: deep, commandCountLimit: 99 }).begin().say('NOOP\nNOOP\nNOOP\n'.repeat(3));
  assert.deepEqual(bench.logged.map((line) => line.replace(/ from.*/, '')), ['BARE NEWLINE', 'COMMAND PIPELINING']);
});

test('no command comes in time', () => {
  const bench = new Bench({ enabled: deep }).begin().say('NOOP\r\n');
  bench.heard();
  bench.pass(299).say('NOO').pass(1);
  assert.equal(bench.heard(), '421 4.4.2 mx.test Error: timeout exceeded\r\n');
  assert.deepEqual(bench.logged, [`COMMAND TIME LIMIT from ${peer} after NOOP`, `DISCONNECT ${peer}`]);
});

test('bytes in any pieces are the same commands', () => {
  const text = 'EHLO x\r\nSubject: y\r\nMAIL FROM:<a@b>\r\n';
  const whole = new Bench({ enabled: tests.nonSmtp, nonSmtpAction: 'enforce' }).begin().say(text);
  for (const size of [1, 2, 7]) {
    const cut = new Bench({ enabled: tests.nonSmtp, nonSmtpAction: 'enforce' }).begin();
    for (let at = 0; at < text.length; at += size) cut.say(text.slice(at, at + size));
    assert.deepEqual([cut.sent, cut.logged], [whole.sent, whole.logged]);
  }
});

test('a command without an end is not kept for ever', () => {
  const bench = new Bench({ enabled: deep, lineLengthLimit: 100 }).begin();
  bench.heard();
  for (let count = 0; count < 1000; count++) bench.say('x');
  assert.equal(bench.heard(), '421 mx.test Service unavailable - try again later\r\n');
  assert.deepEqual(bench.logged, [`COMMAND LENGTH LIMIT from ${peer} after CONNECT`, `DISCONNECT ${peer}`]);
  assert.deepEqual(bench.done, ['close']);
});

test('a flood of commands ends at the limit, in one piece or in many', () => {
  const bench = new Bench({ enabled: tests.bareNewline, commandCountLimit: 5 }).begin();
  bench.say(Buffer.alloc(60_000, '\n'));
  assert.equal(bench.sent.split('\r\n').length - 1, 1 + 5 + 1);
  assert.match(bench.sent, /421 mx\.test Service unavailable - try again later\r\n$/);
});

const broken = (): typeof outOfOrder => outOfOrder;
for (const [name, own] of [
  ['postscreen_command_filter', { filterCommand: broken }],
  ['postscreen_discard_ehlo_keyword_address_maps', { discardsFor: broken }],
] as const) test(`a table that cannot be asked is no reason to keep a client: ${name}`, () => {
  const bench = new Bench({ enabled: deep, ...own }).begin();
  bench.heard();
  bench.say('EHLO x\r\n');
  assert.equal(bench.heard(), '421 mx.test Service unavailable - try again later\r\n');
  assert.deepEqual(bench.done, ['close']);
});

const tls = { isUsed: true, isRequired: false, isReady: () => true, isRefused: () => false };

test('what came behind STARTTLS in plain text is forgotten, and so is all before', () => {
  const bench = new Bench({ enabled: tests.nonSmtp, tls }).begin().say('EHLO x\r\n').say('MAIL FROM:<a@b>\r\n');
  bench.heard();
  bench.say('STARTTLS\r\nRCPT TO:<injected@example.org>\r\n');
  assert.equal(bench.heard(), '220 2.0.0 Ready to start TLS\r\n');
  assert.deepEqual(bench.done, ['start-tls']);
  bench.machine.secured(true);
  bench.drain().say('RCPT TO:<a@b>\r\n');
  assert.equal(bench.heard(), '503 5.5.1 Error: need MAIL command\r\n');
  bench.say('EHLO x\r\n');
  assert.doesNotMatch(bench.heard(), /STARTTLS/);
});

test('STARTTLS that cannot be had after all leaves the session as it was', () => {
  const asked: string[] = [];
  const bench = new Bench({ enabled: tests.nonSmtp, tls: { ...tls, isRefused: (label: string) => asked.push(label) > 0 } }).begin().say('EHLO x\r\n').say('MAIL FROM:<a@b>\r\n');
  assert.match(bench.heard(), /STARTTLS/);
  bench.say('STARTTLS\r\n').say('RCPT TO:<a@b>\r\n');
  assert.match(bench.heard(), /^454 4\.7\.0 TLS not available due to local problem\r\n450 4\.3\.2 /);
  assert.deepEqual([bench.done, asked], [[], [peer]]);
});

test('a handshake that fails is the end of the client', () => {
  const bench = new Bench({ enabled: tests.nonSmtp, tls }).begin().say('STARTTLS\r\n');
  bench.machine.secured(false);
  bench.drain();
  assert.deepEqual(bench.logged, [`HANGUP after 0 from ${peer} in tests after SMTP handshake`, `DISCONNECT ${peer}`]);
});

test('the mail system stops', () => {
  const bench = new Bench().begin();
  bench.heard();
  bench.machine.shutDown();
  bench.drain();
  assert.deepEqual([bench.heard(), bench.done], ['421 4.3.2 Service currently unavailable\r\n', ['close']]);
});

test('nobody takes the client: it is told in answer to its first command', () => {
  const bench = new Bench().begin().pass(6);
  bench.heard();
  bench.machine.expel('421 4.3.2 No system resources', true);
  bench.drain();
  assert.equal(bench.heard(), '220 mx.test ESMTP\r\n');
  bench.say('EHLO x\r\n');
  assert.equal(bench.heard(), '421 4.3.2 No system resources\r\n');
  assert.deepEqual(bench.done.slice(-1), ['close']);
});
