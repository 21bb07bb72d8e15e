import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyMember, splitFamilyName } from './families.ts';
import { cardOf, parameterNames } from './parameters.ts';

const names = parameterNames();

test('names are in the order of their bytes, and each has a card', () => {
  assert.deepEqual(names, [...names].sort());
  assert.deepEqual(names.filter((name) => cardOf(name) === undefined), []);
  assert.equal(cardOf('no_such_name'), undefined);
});

test('Postfix 3.12 has 907 names of its own, the rest is ours', () => {
  assert.equal(names.filter((name) => !cardOf(name)?.ours).length, 907);
});

test('limits stand only where they can limit', () => {
  for (const name of names) {
    const { kind, min, max, minLength, maxLength } = cardOf(name)!;
    const isText = kind === 'str' || kind === 'raw';
    const isSwitch = kind === 'bool' || kind === 'nbool';
    assert.ok((min ?? max) === undefined || !(isText || isSwitch), name);
    assert.ok((minLength ?? maxLength) === undefined || isText, name);
    assert.ok(min === undefined || max === undefined || min <= max, name);
  }
});

test('defaults have the form of their kind, unless they are expressions', () => {
  const forms = { int: /^-?\d+$/, long: /^\d+$/, nint: /^\d+$/, time: /^\d+[smhdw]$/, ntime: /^\d+[smhdw]$/, bool: /^(yes|no)$/, nbool: /^(yes|no)$/ };
  for (const name of names) {
    const { kind, default: text } = cardOf(name)!;
    if (kind !== 'str' && kind !== 'raw' && !text.includes('$')) assert.match(text, forms[kind], name);
  }
});

test('what is deprecated names another parameter, or none', () => {
  for (const name of names) {
    const { deprecated } = cardOf(name)!;
    assert.ok(!deprecated || cardOf(deprecated), `${name}: ${deprecated}`);
  }
});

for (const [name, transport, suffix, text] of [
  ['smtp_destination_recipient_limit', 'smtp', '_destination_recipient_limit', '$default_destination_recipient_limit'],
  ['local_destination_recipient_limit', 'local', '_destination_recipient_limit', '1'],
  ['x_recipient_limit', 'x', '_recipient_limit', '$default_recipient_limit'],
  ['my_uucp_time_limit', 'my_uucp', '_time_limit', '$command_time_limit'],
  ['a_initial_destination_concurrency', 'a', '_initial_destination_concurrency', '$initial_destination_concurrency'],
] as const) test(`family name ${name}`, () => {
  const member = splitFamilyName(name);
  assert.deepEqual([member?.transport, member?.suffix, member?.card.default], [transport, suffix, text]);
  assert.deepEqual(familyMember(transport, suffix), member);
});

test('other names belong to no family', () => assert.deepEqual(['_time_limit', 'myhostname', ''].map(splitFamilyName), [undefined, undefined, undefined]));
