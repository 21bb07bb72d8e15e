import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { recordType } from '../../message/record.ts';
import { RecordReader } from '../../message/record-reader.ts';
import type { Maps } from '../../tables/maps.ts';
import { TableTrouble } from '../../tables/table.ts';
import { playMessage, type Kept, type Setting } from './testing.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The content as readers of the queue file get it. */
function content({ image }: Kept): string {
  const reader = new RecordReader();
  reader.feed(image);
  reader.end();
  let text = '';
  for (let step = reader.next(); step.kind === 'record'; step = reader.next()) {
    const { type, data: payload } = step.record;
    if (type === recordType.message) text = '';
    if (type === recordType.normal || type === recordType.partial) text += payload.toString('latin1') + (type === recordType.normal ? '\n' : '');
  }
  return text;
}

const play = (text: string, setting?: Setting): Promise<Kept> => playMessage([bytes(`Received: x\n${text}`)], setting);
const table = (find: Maps['find']): Maps => ({ title: 'some_checks', isEmpty: false, find } as unknown as Maps);
const everywhere = (find: Maps['find']): Setting => ({
  rules: { tables: { headers: { primary: table(find), mime: table(find), nested: table(find) }, body: table(find) } }, mainCf: 'body_checks_size_limit = 100\n',
});

const find: Maps['find'] = (key) => /(?:^X: |=)(REPLACE \S+(?: \S+)?|IGNORE|PREPEND \S+(?: \S+)?|HOLD|FILTER \S+|BCC \S+)/.exec(key)?.[1];
const late: Maps['find'] = (key) => new Promise((resolve) => { setImmediate(() => resolve(find(key) as string | undefined)); });

const line = fc.constantFrom('X: IGNORE', 'X: REPLACE Y: z', 'X: PREPEND Y: z', 'X: HOLD', 'Subject: a', ' more', '', '=IGNORE', '=REPLACE x', '=PREPEND x', 'body', '--b', '--b--', 'Content-Type: multipart/mixed; boundary=b', 'Content-Type: message/rfc822', 'From: me', 'y'.repeat(3000));

test('a table that must be waited for says the same as one at hand, however the message is cut', async () => {
  await fc.assert(fc.asyncProperty(fc.array(line, { maxLength: 20 }), fc.integer({ min: 1, max: 400 }), async (lines, size) => {
    const text = bytes(`Received: x\n${lines.map((each) => `${each}\n`).join('')}`);
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.subarray(index * size, (index + 1) * size));
    const whole = await playMessage([text], everywhere(find));
    const waited = await playMessage(pieces, everywhere(late));
    assert.deepEqual({ ...waited, image: content(waited) }, { ...whole, image: content(whole) });
  }), { numRuns: 150 });
});

for (const [where, text] of [['header', 'Subject: x\n\nbody\n'], ['body', '\nbody\n']] as const) {
  for (const isLate of [false, true]) {
    test(`a table that fails for a ${where}${isLate ? ', in the end' : ''}: the message is not taken now`, async () => {
      const trouble = new TableTrouble('x:y', 'the search takes too long');
      const fails = table(() => { if (isLate) return Promise.reject(trouble); throw trouble; });
      const tables = { headers: { primary: where === 'header' ? fails : undefined, mime: undefined, nested: undefined }, body: where === 'body' ? fails : undefined };
      const { reply, queue, log } = await play(text, { rules: { tables } });
      assert.deepEqual({ reply, queue }, { reply: { status: cleanupStatus.write, reason: '' }, queue: undefined });
      assert.ok(log.includes('warning: AB12: some_checks map lookup problem -- message not accepted, try again later'), log.join('\n'));
    });
  }
}

test('a pattern that explodes is trouble, not a way around it', async () => {
  const { reply } = await play(`Subject: ${'a'.repeat(5000)}b\n\nbody\n`, { mainCf: 'header_checks = pcre:{{/^Subject: (a+)+(a+)+$$/ REJECT}}\n' });
  assert.equal(reply.status, cleanupStatus.write);
});

// Who reads the journal looks for lines that begin with a dot only where records begin (MessageReader.content).
for (const [name, text, answer, isFile] of [
  ['a body line', '\n=PREPEND\n', 'PREPEND a\n.b', true],
  ['a body line in the place of another', '\n=REPLACE\n', 'REPLACE a\n.', true],
  ['a body line, with one line end at its end', '\n=PREPEND\n', 'PREPEND a\n', true],
  ['a body line without', '\n=PREPEND\n', 'PREPEND .b', false],
  ['a header, which becomes lines', 'X: PREPEND\n\nbody\n', 'PREPEND Y: a\n .b', false],
] as const) {
  for (const isLate of [false, true]) {
    test(`line ends inside of what a table gave for ${name}${isLate ? ', in the end' : ''}: ${isFile ? 'a file' : 'the journal'}`, async () => {
      const given: Maps['find'] = (key) => (/^(X: |=)(PREPEND|REPLACE)$/.test(key) ? answer : undefined);
      const kept = await play(text, everywhere(isLate ? async (key) => given(key) : given));
      assert.deepEqual({ queue: kept.queue, isFile: !kept.hasFacts }, { queue: 'incoming', isFile });
      assert.match(content(kept), /\n?(a|\.b|Y: a)\n/);
    });
  }
}

test('settings that contradict each other take no mail', async () => {
  for (const mainCf of ['disable_mime_input_processing = yes\nforce_mime_input_conversion = yes\n', 'non_empty_end_of_header_action = whatever\n']) {
    const { reply, log } = await play('Subject: x\n\nbody\n', { mainCf });
    assert.equal(reply.status, cleanupStatus.write);
    assert.match(log.join('\n'), /^warning: AB12: (do not specify both|bad non_empty_end_of_header_action value).* -- message not accepted/m);
  }
});

test('bytes arrive as they were sent', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (random) => {
    const body = Buffer.from(random).toString('latin1').replaceAll('\r', ' ');
    assert.ok(content(await play(`Subject: x\n\n${body}\n`)).endsWith(`\n\n${body}\n`));
  }), { numRuns: 200 });
});

const chunked = function* (...parts: readonly (readonly [text: string, times: number])[]): Generator<Buffer> {
  for (const [text, times] of parts) {
    const each = bytes(text);
    const perChunk = Math.max(1, Math.floor(65_536 / each.length));
    for (let left = times; left > 0; left -= perChunk) yield Buffer.concat(Array.from({ length: Math.min(left, perChunk) }, () => each));
  }
};

const nested = (levels: number): string => Array.from({ length: levels }, (_, level) => `Content-Type: multipart/mixed; boundary="b${level}"\n\n--b${level}\n`).join('');
const checks = 'header_checks = regexp:{{/money/ REJECT}}\nbody_checks = regexp:{{/money/ REJECT}}\n';
const mixed = 'Content-Type: multipart/mixed; boundary=';

// The verdicts are those of Postfix 3.12; what is kept of a header is bounded by header_size_limit.
for (const [name, parts, mainCf, status, atMost] of [
  ['a header of 10 MB', [['X: ', 1], ['x'.repeat(10_000), 1000], ['\n\nbody\n', 1]], '', 0, 104_000],
  ['a header of 10 MB, folded', [['X: y\n', 1], [` ${'x'.repeat(70)}\n`, 140_000], ['\nbody\n', 1]], '', 0, 106_000],
  ['a header of 10 MB with addresses', [['To: y@z.test', 1], [',\n someone@example.test', 400_000], ['\n\nbody\n', 1]], '', 0, 110_000],
  ['100,000 headers', [['X: y\n', 100_000], ['\nbody\n', 1]], checks, 0, 700_000],
  ['50,000 continuation lines', [['X: y\n', 1], [' z\n', 50_000], ['\nbody\n', 1]], checks, 0, 160_000],
  ['50,000 continuation lines in a quoted boundary', [[`${mixed}"x\n`, 1], [' z\n', 50_000], ['"\n\nbody\n', 1]], '', 0, 160_000],
  ['parts nested 10,000 deep', [[nested(10_000), 1]], '', 0, 700_000],
  ['parts nested 10,000 deep, and tables', [[nested(10_000), 1]], checks, cleanupStatus.contents, 700_000],
  ['messages nested 100,000 deep', [['Content-Type: message/rfc822\n\n', 100_000]], '', 0, 3_300_000],
  ['a boundary of 70 kB', [[`${mixed}"${'b'.repeat(70_000)}"\n\n--${'b'.repeat(70_000)}\n`, 30]], '', 0, 4_300_000],
  ['a million lines that could be boundaries', [[nested(101), 1], ['\n', 1], ['--bx\n', 1_000_000]], '', 0, 7_100_000],
] as const) {
  test(name, async () => {
    const kept = await playMessage(chunked(['Received: x\n', 1], ...parts), { mainCf });
    assert.equal(kept.reply.status, status, kept.reply.reason);
    assert.ok(kept.image.length <= atMost, `${kept.image.length} bytes`);
    assert.equal(kept.queue, status === 0 ? 'incoming' : undefined);
  });
}
