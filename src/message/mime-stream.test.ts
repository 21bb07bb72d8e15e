import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MimeMachine, type MimeEvents, type MimeOptions } from './mime.ts';
import { MimeStream } from './mime-stream.ts';

const lineLimit = 20;

interface Told { readonly events: MimeEvents; readonly headers: string[]; body(): string }

function listener(): Told {
  const headers: string[] = [];
  let body = '';
  // A piece may end between CR and LF.
  const seen = (): string => body.replaceAll('\r\n', '\n');
  return {
    headers, body: seen,
    events: {
      header: (place, _kind, field) => headers.push(`${place} ${field} before ${seen().length}`),
      headersEnd: () => headers.push(`end at ${seen().length}`),
      body: (text, last) => { body += text.toString('latin1') + (last ? '\n' : ''); },
    },
  };
}

/** All lines by the machine's own door. */
function plainly(text: string, options: MimeOptions): [string[], string] {
  const told = listener();
  const machine = new MimeMachine(told.events, options);
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const line of lines) {
    let at = 0;
    for (; line.length - at >= lineLimit; at += lineLimit) machine.line(Buffer.from(line.slice(at, at + lineLimit), 'latin1'), false);
    machine.line(Buffer.from(line.slice(at), 'latin1'));
  }
  machine.end();
  return [told.headers, told.body()];
}

function streamed(text: string, options: MimeOptions, { cuts = [], lineEnd = 'lf', wants = () => false }: { cuts?: readonly number[]; lineEnd?: 'crlf' | 'lf'; wants?: (offset: number) => boolean } = {}) {
  const told = listener();
  const machine = new MimeMachine(told.events, options);
  let bulk = 0;
  const pieces: string[] = [];
  const stream = new MimeStream(machine, {
    lineEnd, lineLimit, wants,
    bulk: (bytes) => {
      bulk++;
      pieces.push(bytes.toString('latin1'));
      told.events.body(bytes, false, 0);
    },
  });
  const bytes = Buffer.from(lineEnd === 'crlf' ? text.replaceAll('\n', '\r\n') : text, 'latin1');
  let from = 0;
  for (const cut of [...new Set(cuts.map((each) => Math.min(each, bytes.length)))].sort((one, other) => one - other).concat(bytes.length)) {
    stream.take(Buffer.from(bytes.subarray(from, cut)));
    while (stream.step());
    from = cut;
  }
  stream.takeEnd();
  while (stream.step());
  machine.end();
  return { told: [told.headers, told.body()], bulk, pieces };
}

const line = fc.oneof(
  fc.constantFrom('', 'Content-Type: multipart/mixed;\n boundary=b', 'Content-Type: multipart/mixed; boundary=cc', 'Content-Type: message/rfc822', 'X : y', ' z', '--b', '--b--', '--cc', '--cc--', '--', '-', '---', '--bx', `--b${'x'.repeat(30)}`, 'y'.repeat(19), 'y'.repeat(20), 'y'.repeat(41), 'Content-Transfer-Encoding: 8bit'),
  fc.stringMatching(/^[-bc:\xe9 ]{0,25}$/),
);
const message = fc.array(line, { maxLength: 25 }).map((lines) => lines.map((each) => `${each}\n`).join(''));

test('however a message is cut, the machine is told the same as line by line', () => {
  fc.assert(fc.property(message, fc.array(fc.nat(400), { maxLength: 10 }), fc.constantFrom('crlf', 'lf'), fc.boolean(), fc.nat(60), (text, cuts, lineEnd, downgrade, wanted) => {
    const options = { downgrade, boundaryLimit: 10, maximumDepth: 3 };
    const want = plainly(text, options);
    // Where CR LF is one line end, a cut between the two moves nothing.
    const { told } = streamed(text, options, { cuts, lineEnd, wants: (offset) => offset < wanted });
    assert.deepEqual(told, want);
  }), { numRuns: 3000 });
});

test('a body that nobody looks into goes by in one piece', () => {
  const body = 'text\n'.repeat(10_000);
  assert.equal(streamed(`Subject: x\n\n${body}`, {}).bulk, 1);
  // Cut in the middle of a line, and behind a dash that begins one.
  assert.deepEqual(streamed('Subject: x\n\nab\ncd\n-- e\n-f\n', {}, { cuts: [13, 24] }).pieces, ['a', 'b\ncd\n-- e\n-', 'f\n']);
  assert.equal(streamed(`Content-Type: multipart/mixed; boundary=b\n\n--b\n\n${body}--b--\n${body}`, {}).bulk, 2);
});

test('a last line without its end is a line', () => {
  assert.deepEqual(streamed('Subject: x', {}).told, [['primary Subject: x before 0', 'end at 0'], '']);
  assert.deepEqual(streamed('Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y', {}).told[0], ['primary Content-Type: multipart/mixed; boundary=b before 0', 'end at 0', 'mime X: y before 5']);
});
