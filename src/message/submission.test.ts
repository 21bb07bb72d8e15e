import assert from 'node:assert/strict';
import test from 'node:test';
import { SubmissionFilter } from './submission.ts';

/** Records as text: the type letter and the payload. */
const message = (...envelope: string[]): string[] => [...envelope, 'M', 'NSubject: x', 'X', 'E'];
const complete = ['Sme@example.org', 'Ryou@example.org'];

function filtered(records: readonly string[]): { kept: string[]; warnings: string[]; refused: string | undefined; isComplete: boolean } {
  const filter = new SubmissionFilter();
  const kept: string[] = [];
  const warnings: string[] = [];
  let refused: string | undefined;
  for (const record of records) {
    const step = filter.take({ type: record.charCodeAt(0), data: Buffer.from(record.slice(1), 'latin1') });
    if (step.kind === 'keep') kept.push(String.fromCharCode(step.type) + step.payload.toString('latin1'));
    else if (step.kind === 'refuse') refused ??= step.reason;
    else if (step.warning !== undefined) warnings.push(step.warning);
  }
  return { kept, warnings, refused, isComplete: filter.isComplete };
}

for (const [name, envelope, kept] of [
  ['a plain message', complete, complete],
  ['full name, VERP, size', ['FFull Name', 'V+=', 'C1 2 3', ...complete], ['FFull Name', 'V+=', 'C1 2 3', ...complete]],
  ['the time is not the user\'s', ['T1 2', ...complete], complete],
  ['attributes of delivery status', ['Aenvelope_id=x', 'Aret_flags = 1', 'Anotify_flags=3', ...complete], ['Aenvelope_id=x', 'Aret_flags=1', 'Anotify_flags=3', ...complete]],
  ['encodings that exist', ['Aencoding=8bit', 'Aencoding=7bit', ...complete], ['Aencoding=8bit', 'Aencoding=7bit', ...complete]],
  ['rewrite contexts that exist', ['Arewrite_context=remote', ...complete], ['Arewrite_context=remote', ...complete]],
  ['tracing of -v and -bv', ['Atrace_flags=1024', 'Atrace_flags=512', ...complete], ['Atrace_flags=1024', 'Atrace_flags=512', ...complete]],
] as const) {
  test(`kept: ${name}`, () => {
    assert.deepEqual(filtered(message(...envelope)), { kept: message(...kept), warnings: [], refused: undefined, isComplete: true });
  });
}

for (const [attribute, warning] of [
  ['Asasl_username=boss', 'ignoring attribute record: sasl_username=boss'],
  ['Alog_client_name=trusted', 'ignoring attribute record: log_client_name=trusted'],
  ['Aencoding=9bit', 'ignoring attribute record: encoding=9bit'],
  ['Arewrite_context=none', 'ignoring attribute record: rewrite_context=none'],
  ['Atrace_flags=256', 'ignoring unexpected trace flags: 256'],
  ['Anonsense', "ignoring malformed record: missing '=' after attribute name: nonsense"],
] as const) {
  test(`left out: ${attribute}`, () => {
    const result = filtered(message(attribute, ...complete));
    assert.deepEqual([result.kept, result.warnings, result.isComplete], [message(...complete), [warning], true]);
  });
}

for (const [name, records, reason] of [
  ['a redirection', message('>other@example.org', ...complete), 'unexpected record type: 62'],
  ['a pointer', message('p              0', ...complete), 'unexpected record type: 112'],
  ['content in the envelope', message('NSubject: x', ...complete), 'unexpected record type: 78'],
  ['the time behind the content', ['Sa', 'M', 'X', 'T1', 'E'], 'unexpected record type: 84'],
  ['a line break in an address', message('Sme\n@example.org'), "null or line break in 'sender' record type: me\n@example.org"],
  ['a NUL in an address', message('Sme\0@example.org'), "null or line break in 'sender' record type: me"],
  ['anything behind the end', [...message(...complete), 'Ra'], 'unexpected record type: 82'],
] as const) {
  test(`refused: ${name}`, () => assert.equal(filtered(records).refused, reason));
}

for (const [name, records, want] of [
  ['no sender', message('Ra'), false],
  ['no recipient', message('Sa'), false],
  ['no end', ['Sa', 'Rb', 'M', 'X'], false],
  ['a recipient behind the content', ['Sa', 'M', 'X', 'Rb', 'E'], true],
] as const) {
  test(`complete? ${name}`, () => assert.equal(filtered(records).isComplete, want));
}

test('content keeps every byte', () => {
  const lines = ['N\0\r\xff', 'L\0part', 'Nrest'];
  assert.deepEqual(filtered([...complete, 'M', ...lines, 'X', 'E']).kept, [...complete, 'M', ...lines, 'X', 'E']);
});
