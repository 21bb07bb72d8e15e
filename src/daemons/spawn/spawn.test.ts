import assert from 'node:assert/strict';
import test from 'node:test';
import { spawnAttributes, type Names } from './attributes.ts';

const users: Readonly<Record<string, { uid: number; gid: number }>> = {
  root: { uid: 0, gid: 0 }, nobody: { uid: 65534, gid: 65534 }, postfix: { uid: 100, gid: 101 }, wheel: { uid: 5, gid: 0 }, last: { uid: 0xffffffff, gid: 7 },
};
const groups: Readonly<Record<string, number>> = { root: 0, daemon: 1, postfix: 101, last: 0xffffffff };
const names: Names = { user: (name) => users[name], group: (name) => groups[name] };
const system = { uid: 100, gid: 101 };

test('a row', () => {
  assert.deepEqual(spawnAttributes(['user=nobody', 'argv=/bin/cat', '-v', 'user=root'], system, names), { uid: 65534, gid: 65534, argv: ['/bin/cat', '-v', 'user=root'] });
  assert.deepEqual(spawnAttributes(['USER=nobody:daemon', 'Argv=cat'], system, names), { uid: 65534, gid: 1, argv: ['cat'] });
  assert.deepEqual(spawnAttributes(['user=nobody:', 'argv=cat'], system, names), { uid: 65534, gid: 65534, argv: ['cat'] });
});

const mistakes: readonly (readonly [row: string, words: string])[] = [
  ['', 'missing user= attribute'], ['argv=cat', 'missing user= attribute'], ['user=nobody', 'missing argv= attribute'], ['user=nobody argv=', 'missing argv= attribute'],
  ['nobody argv=cat', 'unknown attribute name: nobody'], ['user=nobody flags=x argv=cat', 'unknown attribute name: flags=x'],
  ['user=x argv=cat', 'unknown user name: x'], ['user=nobody:x argv=cat', 'unknown group name: x'],
  ['user=root argv=cat', 'request to deliver as root'], ['user=postfix argv=cat', 'request to deliver as mail system owner'],
  ['user=nobody:root argv=cat', 'request to use privileged group id 0'], ['user=wheel argv=cat', 'request to use privileged group id 0'],
  ['user=nobody:postfix argv=cat', 'request to use mail system owner group id 101'],
  ['user=last argv=cat', 'user must not have user ID -1'], ['user=nobody:last argv=cat', 'user must not have group ID -1'],
];
for (const [row, words] of mistakes) {
  test(`a row that makes no sense: ${row}`, () => assert.throws(() => spawnAttributes(row.split(' ').filter((word) => word !== ''), system, names), { message: words }));
}

test('where an ordinary user runs the mail system, its commands are that user too', () => {
  assert.equal(spawnAttributes(['user=postfix', 'argv=cat'], { ...system, lone: 100 }, names).uid, 100);
});
