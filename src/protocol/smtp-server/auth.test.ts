import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { reply, tell } from './reply.ts';
import type { Question, Verdict } from './steps.ts';
import { Rehearsal, yes } from './testing.ts';

const enabled = { smtpd_sasl_auth_enable: true } as const;
const hello = 'EHLO client.test\r\n';
const wrong: Verdict = { accept: false, reply: tell.authFailed('no') };

/** Two challenges, then the verdict. */
function server(verdict: Verdict = { accept: true }): (question: Question) => Verdict {
  let steps = 0;
  return (question) => {
    if (question.verb === 'EHLO') return { accept: true, mechanisms: 'PLAIN LOGIN' };
    if (question.verb === 'RESPONSE' && question.response === undefined) return { accept: false, reply: reply(500, '5.5.6', 'long') };
    if (question.verb !== 'AUTH' && question.verb !== 'RESPONSE') return yes(question);
    if (question.verb === 'AUTH') steps = 0;
    return steps++ < 2 ? { accept: true, challenge: `c${steps}` } : verdict;
  };
}

test('challenges and responses, in pieces and all at once', () => {
  for (const texts of [[hello, 'AUTH LOGIN\r\n', 'one\r\n', 'two\r\n', 'NOOP\r\n'], [...`${hello}AUTH LOGIN\r\none\r\ntwo\r\nNOOP\r\n`], [hello, 'AUTH LOGIN\r\none\r\ntwo\r\nNOOP\r\n']]) {
    const play = new Rehearsal(enabled, server()).drain().say(...texts);
    assert.match(play.replies, /334 c1\r\n334 c2\r\n235 2\.7\.0 Authentication successful\r\n250 2\.0\.0 Ok\r\n$/);
    assert.deepEqual(play.questions.slice(2), [
      { verb: 'AUTH', objection: undefined, mechanism: 'LOGIN', initial: undefined }, { verb: 'RESPONSE', response: 'one' }, { verb: 'RESPONSE', response: 'two' },
    ]);
    assert.match(play.session.statistics(), /auth=1 noop=1 commands=3$/);
  }
});

test('a failure is counted, a challenge is not', () => {
  const play = new Rehearsal({ ...enabled, smtpd_hard_error_limit: 1, smtpd_soft_error_limit: 50 }, server(wrong)).drain().say(hello, 'AUTH LOGIN\r\n', 'one\r\n', 'two\r\n');
  assert.equal(play.codes, '220 250 334 334 535 421');
  assert.match(play.session.statistics(), /auth=0\/1/);
});

test('what nothing overrules', () => {
  for (const [settings, words, want] of [
    [{}, 'AUTH PLAIN', '503 5.5.1 Error: authentication not enabled'],
    [{ ...enabled, standAlone: true }, 'AUTH PLAIN', '503 5.5.1 Error: authentication not enabled'],
    [{ ...enabled, smtpd_tls_auth_only: true }, 'AUTH PLAIN', '503 5.5.1 Error: authentication not enabled'],
    [{ ...enabled, discardedKeywords: new Set(['auth']) }, 'AUTH PLAIN', '503 5.5.1 Error: authentication not enabled'],
    [{ ...enabled, smtpd_helo_required: true }, 'AUTH PLAIN', '503 5.5.1 Error: send HELO/EHLO first'],
    [enabled, 'MAIL FROM:<>\r\nAUTH PLAIN', '503 5.5.1 Error: MAIL transaction in progress'],
    [enabled, 'AUTH', '501 5.5.4 Syntax: AUTH mechanism'],
    [enabled, 'AUTH a b c', '501 5.5.4 Syntax: AUTH mechanism'],
  ] as const) {
    // Whoever answers says yes to everything.
    const play = new Rehearsal({ ...settings, smtpd_forbid_unauth_pipelining: false }, yes).drain().say(`${words}\r\n`);
    assert.equal(play.replies.trimEnd().split('\r\n').at(-1), want);
    assert.equal(play.questions.at(-1)?.verb, 'AUTH', 'asked all the same, to be counted');
  }
});

test('a count that is exceeded comes before an objection', () => {
  const tooMany = (question: Question): Verdict => (question.verb === 'AUTH' ? { accept: false, reply: reply(450, '4.7.1', 'too many') } : yes(question));
  assert.equal(new Rehearsal({}, tooMany).drain().say('AUTH\r\n').codes, '220 450');
});

test('announced only where there is something to announce', () => {
  const none = new Rehearsal(enabled).drain().say(hello);
  assert.doesNotMatch(none.replies, /AUTH/);
  const both = new Rehearsal({ ...enabled, broken_sasl_auth_clients: true }, server()).drain().say(hello);
  assert.match(both.replies, /250-ETRN\r\n250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES/);
  assert.doesNotMatch(new Rehearsal({ ...enabled, discardedKeywords: new Set(['auth']) }, server()).drain().say(hello).replies, /AUTH/);
});

test('a response may be longer than a command, up to its own limit', () => {
  const said = (length: number) => new Rehearsal(enabled, server()).drain().say(hello, 'AUTH LOGIN\r\n', `${'A'.repeat(length)}\r\n`, 'x\r\n', 'NOOP\r\n');
  assert.equal(said(12_000).codes, '220 250 334 334 235 250');
  const long = said(12_300);
  assert.equal(long.codes, '220 250 334 500 500 250');
  assert.deepEqual(long.logs[0], { event: 'long-request', limit: 12_288, text: 'A'.repeat(30) });
  const endless = new Rehearsal(enabled, server()).drain().say(hello, 'AUTH LOGIN\r\n', ...Array.from({ length: 40 }, () => 'A'.repeat(1000)));
  assert.equal(endless.closed, 'lost connection');
});

test('a client that goes, or waits too long, in the middle', () => {
  const gone = new Rehearsal(enabled, server()).drain().say(hello, 'AUTH LOGIN\r\n', 'on');
  gone.session.end();
  gone.drain();
  assert.equal(gone.closed, 'lost connection');
  assert.deepEqual(gone.logs.at(-1), { event: 'ended', reason: 'lost connection', after: 'AUTH', bytes: undefined });
  const slow = new Rehearsal(enabled, server()).drain().say(hello, 'AUTH LOGIN\r\n');
  slow.session.expire(slow.session.deadline()!);
  slow.drain();
  assert.equal(slow.codes, '220 250 334 421');
});

test('a challenge belongs to the session it was made in: STARTTLS forgets what was announced', () => {
  const play = new Rehearsal({ ...enabled, smtpd_use_tls: true }, (question) => (question.verb === 'EHLO' ? { accept: true } : server()(question))).drain();
  play.say(hello, 'STARTTLS\r\n');
  play.session.secured();
  assert.doesNotMatch(play.say(hello).replies, /AUTH/);
});

test('any bytes behind AUTH are answered, and only the server logs somebody in', () => {
  const line = fc.oneof(fc.constantFrom('AUTH LOGIN', 'AUTH', 'AUTH PLAIN =', '*', 'YQ==', 'MAIL FROM:<>', 'RSET', 'EHLO x', ''), fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')));
  fc.assert(fc.property(fc.array(line, { maxLength: 20 }), fc.boolean(), (lines, whole) => {
    const settings = { ...enabled, smtpd_hard_error_limit: 1e9, smtpd_error_sleep_time: 0, isForbiddenCommand: () => false, smtpd_forbid_unauth_pipelining: false };
    const play = new Rehearsal(settings, server(wrong)).drain();
    const text = lines.map((one) => `${one}\r\n`);
    play.say(...(whole ? [text.join('')] : text));
    play.session.end();
    play.drain();
    assert.ok(play.closed !== undefined);
    assert.doesNotMatch(play.replies, /^235/m);
  }), { numRuns: 300 });
});
