/** The conversation of smtp-sink(1), without a socket: what real programs say on both sides is compared in test/interop. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MessageEnd } from './message-end.ts';
import { parseSink, unescape } from './options.ts';
import { SinkReplies, SinkSession, type SinkHost } from './session.ts';

class Stage implements SinkHost {
  said = '';
  readonly events: string[] = [];
  readonly waits: { seconds: number; run: () => void }[] = [];
  dice: number[] = [];
  capture = (): undefined => undefined;
  write(reply: Buffer): void { this.said += reply.toString('latin1'); }
  wait(seconds: number, run: () => void): void { this.waits.push({ seconds, run }); }
  hangUp(): void { this.events.push('hang up'); }
  messageReceived(): void { this.events.push('message'); }
  quit(): void { this.events.push('quit'); }
  log(text: string): void { this.events.push(`log ${text}`); }
  info(text: string): void { this.events.push(`info ${text}`); }
  warning(text: string): void { this.events.push(`warning ${text}`); }
  random(): number { return this.dice.shift() ?? 0.999; }
}

const refuse = (text: string): never => { throw new Error(text); };

function start(...options: readonly string[]): { stage: Stage; session: SinkSession } {
  const parsed = parseSink([...options, ':25', '10'], { complain: refuse, error: refuse, fatal: refuse }, false);
  const stage = new Stage();
  const session = new SinkSession(parsed, new SinkReplies(parsed), stage, '192.0.2.1');
  session.begin();
  return { stage, session };
}

function tell(session: SinkSession, text: string, step = text.length): void {
  for (let at = 0; at < text.length; at += step) {
    const bytes = Buffer.from(text.slice(at, at + step), 'latin1');
    session.receive(bytes, bytes.length);
  }
}

const transaction = 'HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n.\nnot yet\r\n..\r\n.\r\nQUIT\r\n';
const replies = '220 smtp-sink ESMTP\r\n250 smtp-sink\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Ok\r\n221 Bye\r\n';

test('a transaction, however its bytes are cut', () => {
  for (const step of [1, 2, 3, 5, 7, 1000]) {
    const { stage, session } = start();
    tell(session, transaction, step);
    assert.equal(stage.said, replies, `by ${step}`);
    assert.deepEqual(stage.events, ['message', 'quit', 'hang up']);
  }
});

test('a line ends with CR LF', () => {
  const { stage, session } = start();
  tell(session, 'NOOP\nNOOP x\r\nNOOP\r\n');
  assert.equal(stage.said, '220 smtp-sink ESMTP\r\n500 5.5.1 Error: unknown command\r\n250 2.0.0 Ok\r\n');
});

test('while a reply is delayed nothing else happens, and nothing is lost', () => {
  const { stage, session } = start('-W', 'noop:3');
  tell(session, 'NOOP\r\nHELO x\r\n');
  tell(session, 'RSET\r\n');
  assert.deepEqual([stage.said, stage.waits.map(({ seconds }) => seconds)], ['220 smtp-sink ESMTP\r\n', [3]]);
  stage.waits[0]!.run();
  assert.equal(stage.said, '220 smtp-sink ESMTP\r\n250 2.0.0 Ok\r\n250 smtp-sink\r\n250 2.1.0 Ok\r\n');
});

test('a delay by chance', () => {
  const { stage, session } = start('-W', 'noop:3:50');
  stage.dice = [0.1, 0.49, 0.5];
  tell(session, 'NOOP\r\n');
  assert.deepEqual(stage.waits.map(({ seconds }) => seconds), [6]);
});

test('DATA that is aborted', () => {
  const { stage, session } = start('-A', '5');
  tell(session, 'HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n.\r\n');
  assert.deepEqual(stage.waits.map(({ seconds }) => seconds), [5]);
  stage.waits[0]!.run();
  assert.match(stage.said, /354 .*\r\n550 This violates SMTP\r\n$/);
  assert.deepEqual(stage.events, ['hang up']);
});

test('what is logged', () => {
  const { stage, session } = start('-s', 'connect,mail,.');
  tell(session, `HELO x\r\nmail  FROM:<${'a'.repeat(200)}\x01@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n`);
  assert.deepEqual(stage.events, ['log connect ', `log mail ${` FROM:<${'a'.repeat(200)}`.slice(0, 100)}`, 'message', 'log . ']);
});

test('a line that does not end', () => {
  for (const step of [100, 5000]) {
    const { stage, session } = start();
    tell(session, 'x'.repeat(5000), step);
    assert.deepEqual(stage.events, ['warning command line too long', 'hang up']);
  }
});

describe('the end of a message', () => {
  for (const [text, end] of [
    ['.\r\n', 3], ['a\r\n.\r\n', 6], ['a\r\n.\r\nQUIT', 6], ['a\n.\n\r\n.\r\n', 9], ['\r\r\n.\r\n', 6], ['\r\n.\r\r\n.\r\n', 9], ['..\r\n.\r\n', 7], ['a\r\n..\r\n', -1], ['a.\r\n', -1], ['\r\n.', -1],
  ] as const) {
    for (const step of [1, 2, 3, 4, 100]) {
      test(`${JSON.stringify(text)} by ${step}`, () => {
        const [found, copied] = [new MessageEnd(), new MessageEnd()];
        let [a, b] = [-1, -1];
        for (let at = 0; at < text.length && a < 0; at += step) {
          const bytes = Buffer.from(text.slice(at, at + step), 'latin1');
          const here = found.find(bytes, 0, bytes.length);
          const there = copied.copy(bytes, 0, bytes.length, Buffer.alloc(bytes.length)).end;
          [a, b] = [here < 0 ? -1 : at + here, there < 0 ? -1 : at + there];
        }
        assert.deepEqual([a, b], [end, end]);
      });
    }
  }
});

test('escapes of -S', () => {
  for (const [text, want] of [['a\\nb', 'a\nb'], ['\\101\\60', 'A0'], ['\\\\n', '\\n'], ['\\q', 'q'], ['\\a\\t\\v\\f\\r\\b', '\x07\t\v\f\r\b'], ['\\1234', 'S4']] as const) assert.equal(unescape(text), want);
});
