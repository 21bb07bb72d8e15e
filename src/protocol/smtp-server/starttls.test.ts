import assert from 'node:assert/strict';
import test from 'node:test';
import { reply } from './reply.ts';
import type { Question, Verdict } from './steps.ts';
import { Rehearsal, yes } from './testing.ts';

const tls = { smtpd_use_tls: true } as const;
const hello = 'EHLO client.test\r\n';

function begun(more: string = ''): Rehearsal {
  return new Rehearsal(tls).drain().say(hello, `STARTTLS\r\n${more}`);
}

test('the reply goes out before the handshake begins, and nothing after it', () => {
  const rehearsal = begun('MAIL FROM:<mallory@evil.test>\r\n');
  assert.deepEqual(rehearsal.steps.slice(-2).map(({ kind }) => kind), ['send', 'start-tls']);
  assert.equal(rehearsal.session.deadline(), undefined);
  rehearsal.say('RCPT TO:<b@two.test>\r\n');
  assert.equal(rehearsal.codes, '220 250 220');
});

test('what came before the end of the handshake is dropped; hello and mail are forgotten', () => {
  const rehearsal = new Rehearsal(tls).drain().say(hello, 'MAIL FROM:<a@one.test>\r\n', 'STARTTLS\r\nNOOP\r\n', 'NOOP\r\n');
  assert.equal(rehearsal.aborts, 1);
  rehearsal.session.secured();
  rehearsal.say('RCPT TO:<b@two.test>\r\n');
  assert.equal(rehearsal.codes, '220 250 250 220 503');
  assert.equal(rehearsal.session.helo, undefined);
  assert.equal(rehearsal.session.statistics(), 'ehlo=1 starttls=1 mail=1 rcpt=0/1 commands=3/4');
});

test('a handshake that failed ends the session without a word', () => {
  const rehearsal = begun();
  rehearsal.session.unsecured();
  rehearsal.drain();
  assert.equal(rehearsal.closed, 'lost connection');
  assert.equal(rehearsal.codes, '220 250 220');
  assert.deepEqual(rehearsal.logs.at(-1), { event: 'ended', reason: 'lost connection', after: 'STARTTLS', bytes: undefined });
  assert.equal(rehearsal.session.statistics(), 'ehlo=1 starttls=0/1 commands=1/2');
});

test('a client may be sent away at once, or at its next command', () => {
  for (const [atOnce, before, after] of [[true, '220 250 220 421', '220 250 220 421'], [false, '220 250 220', '220 250 220 421']] as const) {
    const rehearsal = begun();
    rehearsal.session.secured();
    rehearsal.session.expel(reply(421, '4.7.1', 'go'), atOnce);
    rehearsal.drain();
    assert.equal(rehearsal.codes, before);
    rehearsal.say('QUIT\r\n');
    assert.equal(rehearsal.codes, after);
    assert.equal(rehearsal.closed, 'hang-up');
  }
});

test('a refused STARTTLS changes nothing', () => {
  const refuse = (question: Question): Verdict => (question.verb === 'STARTTLS' ? { accept: false, reply: reply(454, '4.7.0', 'later') } : yes(question));
  const rehearsal = new Rehearsal(tls, refuse).drain().say(hello, 'STARTTLS\r\nMAIL FROM:<a@one.test>\r\n');
  assert.equal(rehearsal.codes, '220 250 454 250');
});

test('where TLS is required, what is served in plain text is little', () => {
  const rehearsal = new Rehearsal({ ...tls, smtpd_enforce_tls: true }).drain().say('EHLO x\r\n', 'MAIL FROM:<>\r\n', 'DATA\r\n', 'BDAT 1 LAST\r\n', 'AUTH PLAIN\r\n', 'XFORWARD\r\n', 'HELP\r\n', 'NOOP\r\n', 'HELO x\r\n', 'QUIT\r\n');
  assert.equal(rehearsal.codes, '220 250 530 530 530 530 530 214 250 250 221');
});

test('an end of a handshake that nobody asked for is a mistake of the caller', () => {
  assert.throws(() => new Rehearsal(tls).drain().session.secured(), /none was asked for/);
});
