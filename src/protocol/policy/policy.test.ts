import assert from 'node:assert/strict';
import test from 'node:test';
import { PolicyReader, renderRequest, type PolicyAnswer } from './policy.ts';

test('a request is lines and an empty line, and no value can end one', () => {
  assert.equal(renderRequest([['request', 'smtpd_access_policy'], ['sender', 'a\nb=c\r\0'], ['size', 12], ['helo_name', '']]),
    'request=smtpd_access_policy\nsender=a?b=c??\nsize=12\nhelo_name=\n\n');
});

/** The same bytes whole, byte by byte, and in two halves. */
function everyWay(text: string): (PolicyAnswer | undefined)[] {
  const splits = [[text], [...text], [text.slice(0, text.length / 2), text.slice(text.length / 2)]];
  return splits.map((pieces) => {
    const reader = new PolicyReader();
    let answer: PolicyAnswer | undefined;
    for (const piece of pieces) answer ??= reader.receive(piece);
    return answer;
  });
}

for (const [name, text, want] of [
  ['an action', 'action=DUNNO\n\n', { action: 'DUNNO' }],
  ['text with spaces and equal signs', 'action=defer_if_permit a=b c\n\n', { action: 'defer_if_permit a=b c' }],
  ['other attributes are passed over, the first action counts', 'x=1\naction=OK\naction=REJECT\n__proto__=y\n\n', { action: 'OK' }],
  ['an empty action', 'action=\n\n', { action: '' }],
  ['nothing', '\n', { trouble: 'missing attribute action' }],
  ['not all there', 'action=OK\n', undefined],
  ['no attribute', 'hello\n\n', { trouble: 'missing "=" in "hello"' }],
  ['a long value', `action=${'x'.repeat(2049)}\n\n`, { trouble: 'name or value longer than 2048 characters' }],
  ['a long name', `${'x'.repeat(2049)}=1\n\n`, { trouble: 'name or value longer than 2048 characters' }],
] as const) test(`policy answer: ${name}`, () => { for (const answer of everyWay(text)) assert.deepEqual(answer, want); });

test('a line without end is not kept', () => {
  const reader = new PolicyReader();
  let answer: PolicyAnswer | undefined;
  for (let count = 0; count < 5000 && answer === undefined; count++) answer = reader.receive('x');
  assert.deepEqual(answer, { trouble: 'line longer than 4096 characters' });
});

test('lines without end are not counted for ever', () => assert.deepEqual(new PolicyReader().receive('a=b\n'.repeat(2000)), { trouble: 'more than 1000 lines' }));
test('a second answer is trouble', () => assert.deepEqual(new PolicyReader().receive('action=OK\n\naction=OK\n\n'), { trouble: 'more than one answer' }));
