/** What postfix(1) looks at in directories: writers of a file, copies in a jail. */
import assert from 'node:assert/strict';
import { closeSync, lchownSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test, { type TestContext } from 'node:test';
import { jailWarnings } from './jail.ts';
import { writersOf } from './writers.ts';

function place(t: TestContext): string {
  const directory = mkdtempSync(`${tmpdir()}/postfix-places-`);
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('who writes to a file is found, who reads it is not', (t) => {
  const file = `${place(t)}/log`;
  writeFileSync(file, '');
  const reader = openSync(file, 'r');
  assert.deepEqual(writersOf(file, 0), []);
  const writer = openSync(file, 'a');
  assert.deepEqual(writersOf(file, 0), [process.pid]);
  assert.deepEqual(writersOf(file, process.pid), []);
  closeSync(writer);
  assert.deepEqual(writersOf(file, 0), []);
  closeSync(reader);
  assert.deepEqual(writersOf(`${file}.gone`, 0), []);
});

const asRoot = process.getuid!() === 0;

test('copies in a jail that differ from their originals, and strangers\' files, are told', { skip: asRoot ? false : 'needs root' }, (t) => {
  const at = place(t);
  for (const name of ['jail/etc', 'jail/usr/lib', 'jail/var', 'out/etc', 'out/usr/lib']) mkdirSync(`${at}/${name}`, { recursive: true });
  for (const [name, text] of [
    ['jail/etc/same', 'x'], ['out/etc/same', 'x'], ['jail/etc/other', 'x'], ['out/etc/other', 'y'], ['jail/usr/lib/longer', 'xx'], ['out/usr/lib/longer', 'x'],
    ['jail/etc/own', 'x'], ['jail/var/x', 'x'], ['jail/etc/theirs', 'x'],
  ] as const) writeFileSync(`${at}/${name}`, text);
  symlinkSync('/etc/passwd', `${at}/jail/etc/link`);
  lchownSync(`${at}/jail/etc/theirs`, 1, 1);
  assert.deepEqual([...jailWarnings(`${at}/jail`, `${at}/out`)].map((text) => text.replaceAll(at, '')).sort(), [
    '/jail/etc/other and /out/etc/other differ', '/jail/usr/lib/longer and /out/usr/lib/longer differ', 'not owned by root: /jail/etc/theirs',
  ]);
});
