/** Any bytes, in any pieces, make steps: random dialogues, and a corpus of bad ones, with the SMTP server's protocol machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rehearsal } from '../../src/protocol/smtp-server/testing.ts';
import { corpus } from './corpus.ts';
import { Dice, playRandomDialogue } from './random-dialogue.ts';

const count = 10_000;

test(`${count} random dialogues go as they must; "npm run bench -- fuzz" plays more`, () => {
  let content = 0;
  for (let seed = 1; seed <= count; seed++) {
    const played = playRandomDialogue(seed);
    assert.equal(played.fault, undefined, `dialogue ${seed}`);
    content += played.content;
  }
  // They get somewhere: else nothing would be proven.
  assert.ok(content > count, `${content} bytes of content`);
});

/** What has come of it when the client has gone. */
function outcome(pieces: readonly string[]) {
  const play = new Rehearsal({ smtpd_forbid_unauth_pipelining: false, smtpd_error_sleep_time: 0, smtpd_use_tls: true, isForbiddenCommand: () => false }).drain();
  let kept = 0;
  for (const piece of pieces) {
    play.say(piece);
    kept = Math.max(kept, play.session.unused);
    // What is sent before a handshake is thrown away with it, and that depends on when it comes.
    if (play.steps.at(-1)?.kind === 'start-tls') {
      play.session.secured();
      break;
    }
  }
  play.session.end();
  play.drain();
  return { kept, replies: play.replies, content: play.content, closed: play.closed, asked: play.questions.map(({ verb }) => verb).join(' ') };
}

function cut(text: string, dice: Dice): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const length = 1 + dice.below(dice.happens(0.5) ? 5 : 3000);
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}

for (const [name, bytes] of corpus) {
  test(`corpus: ${name}`, () => {
    const whole = outcome([bytes]);
    assert.ok(whole.closed !== undefined);
    assert.ok(whole.replies.split('\r\n').every((line) => line === '' || /^[2-5][0-9]{2}[ -][^\x00-\x08\x0a-\x1f\x7f]*$/.test(line)), JSON.stringify(whole.replies));
    for (const pieces of [[...bytes], cut(bytes, new Dice(1)), cut(bytes, new Dice(2)), cut(bytes, new Dice(3))]) {
      const { kept, ...come } = outcome(pieces);
      assert.ok(kept <= 2048 + 1, `${kept} bytes are kept`);
      if (!bytes.includes('STARTTLS')) assert.deepEqual(come, { replies: whole.replies, content: whole.content, closed: whole.closed, asked: whole.asked });
    }
  });
}
