/** Whatever comes, in whatever pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SmtpServerSettings } from './settings.ts';
import type { Question, Verdict } from './steps.ts';
import { Rehearsal, yes } from './testing.ts';

/** Refuses some, by what is asked only. */
function choosy(question: Question): Verdict {
  const refused = question.verb === 'RCPT' && question.recipient.startsWith('no');
  return refused ? { accept: false, reply: { code: 550, status: '5.1.1', text: 'unknown' } } : yes(question);
}

const command = fc.constantFrom(
  'EHLO a', 'HELO b', 'MAIL FROM:<a@b.test>', 'MAIL FROM:<> SIZE=10', 'MAIL FROM:<bad', 'RCPT TO:<x@y.test>', 'RCPT TO:<no@y.test>',
  'RCPT TO:<>', 'DATA', 'BDAT 5', 'BDAT 3 LAST', 'BDAT 0', 'RSET', 'NOOP', 'VRFY x', 'AUTH PLAIN', 'HELP', 'NONSENSE', '', '.', '..dots', 'text', ' text',
  'From here', 'x'.repeat(3000), 'Subject', '\xff', 'MAIL FROM:<a\0>',
);
const lineEnd = fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '\r\r\n', '\r');
const conversation = fc.array(fc.tuple(command, lineEnd), { maxLength: 25 }).map((lines) => lines.flat().join(''));
const cuts = fc.array(fc.nat(4000), { maxLength: 12 });

function pieces(text: string, places: readonly number[]): string[] {
  const ends = [...places.map((place) => Math.min(place, text.length)).sort((a, b) => a - b), text.length];
  return ends.map((end, at) => text.slice(at === 0 ? 0 : ends[at - 1], end));
}

for (const rule of ['normalize', 'note', 'reject', 'no'] as const) {
  test(`pieces do not matter to replies, content and counts: ${rule}`, () => {
    const settings: Partial<SmtpServerSettings> = {
      smtpd_forbid_bare_newline: rule, smtpd_forbid_unauth_pipelining: false, message_size_limit: 3000, smtpd_error_sleep_time: 0,
    };
    fc.assert(fc.property(conversation, cuts, (text, places) => {
      const [whole, cut] = [[text], pieces(text, places)].map((parts) => {
        const play = new Rehearsal(settings, choosy).drain().say(...parts);
        play.session.end();
        play.drain();
        return [play.replies, play.content, play.session.statistics(), play.closed, play.questions];
      });
      assert.deepEqual(cut, whole);
    }), { numRuns: 500 });
  });
}

test('random bytes are answered, never thrown at', () => {
  const settings: Partial<SmtpServerSettings> = { smtpd_hard_error_limit: 1e9, isForbiddenCommand: () => false, smtpd_error_sleep_time: 0 };
  const bytes = fc.uint8Array({ maxLength: 5000 });
  fc.assert(fc.property(fc.array(fc.oneof(bytes, conversation.map((text) => Buffer.from(text, 'latin1'))), { maxLength: 8 }), (parts) => {
    const play = new Rehearsal(settings, choosy).drain();
    for (const part of parts) {
      play.session.receive(Buffer.from(part));
      play.drain();
    }
    play.session.end();
    play.drain();
    assert.ok(play.closed !== undefined);
    assert.ok(play.replies.split('\r\n').every((line) => line === '' || /^[2-5][0-9]{2}[ -]/.test(line)));
  }), { numRuns: 500 });
});

test('a client that never ends its line costs a bounded amount of memory', () => {
  const play = new Rehearsal().drain();
  const piece = Buffer.alloc(1000, 'x');
  for (let count = 0; count < 1000 && play.closed === undefined; count++) {
    play.session.receive(piece);
    play.drain();
  }
  assert.equal(play.closed, 'lost connection');
});
