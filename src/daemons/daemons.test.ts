import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { knownDaemon, knownPrograms, laterPrograms } from './daemons.ts';
import { loadDaemon } from './load-daemon.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

for (const program of knownPrograms()) {
  test(`${program}: what master knows of it is what its card says`, async () => {
    const { card, open } = await loadDaemon(program);
    assert.equal(card.group, knownDaemon(program)!.group);
    assert.equal(typeof open, 'function');
  });
}

test('every daemon has a launcher in libexec/, and no launcher is without a daemon', () => {
  const launchers = readdirSync(`${root}libexec`).filter((name) => name !== 'launch');
  assert.deepEqual(launchers.sort(), ['master', ...knownPrograms()].sort());
});

test('every folder with a daemon is in the table', () => {
  const folders = readdirSync(here, { withFileTypes: true }).filter((entry) => entry.isDirectory() && existsSync(`${here}${entry.name}/${entry.name}.ts`)).map(({ name }) => name);
  const known = new Set(knownPrograms().map((program) => knownDaemon(program)!.folder));
  assert.deepEqual(folders.filter((name) => name !== 'master' && !known.has(name)), []);
});

test('what comes later is not yet known', () => assert.deepEqual(knownPrograms().filter((program) => laterPrograms.has(program)), []));
