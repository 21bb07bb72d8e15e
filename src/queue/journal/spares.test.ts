import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { QueueTrouble } from '../store.ts';
import { sampleRoot } from './sample-image.ts';
import { Spares } from './spares.ts';

const module = new URL('spares.ts', import.meta.url).href;

/** A process that takes so many spares, perhaps writes into the last, and dies. */
function dead(root: string, count: number, text = ''): void {
  const script = `import { Spares } from '${module}'; import fs from 'node:fs';
    const spares = new Spares('${root}'); let last;
    for (let i = 0; i < ${count}; i++) last = spares.take();
    fs.writeFileSync(last.path, '${text}'); process.kill(process.pid, 'SIGKILL');`;
  assert.throws(() => execFileSync(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' }), { signal: 'SIGKILL' });
}

test('a spare is an empty file with its own inode number, and is used again', (t) => {
  const root = sampleRoot(t);
  const spares = new Spares(root);
  const [one, two] = [spares.take(), spares.take()];
  assert.notEqual(one.inode, two.inode);
  for (const { path, inode } of [one, two]) {
    const status = fs.statSync(path, { bigint: true });
    assert.deepEqual([status.ino, status.size, status.mode & 0o7777n], [inode, 0n, 0o600n]);
    assert.ok(path.startsWith(join(root, 'journal/spare.')));
  }
  spares.give(one);
  assert.equal(spares.take(), one);
  spares.removeAll();
  assert.deepEqual(fs.readdirSync(root), []);
  assert.notEqual(spares.take().inode, undefined);
  spares.removeAll();
});

test('two processes keep their spares apart; each removes its own', (t) => {
  const root = sampleRoot(t);
  const [here, there] = [new Spares(root), new Spares(root)];
  const taken = [here.take(), there.take(), here.take(), there.take()];
  assert.equal(new Set(taken.map(({ inode }) => inode)).size, 4);
  assert.equal(here.find(taken[1]!.inode), undefined);
  here.adopt();
  assert.equal(new Set([...taken, here.take()].map(({ inode }) => inode)).size, 5);
  here.removeAll();
  assert.deepEqual(taken.map(({ path }) => fs.existsSync(path)), [false, true, false, true]);
  there.removeAll();
  assert.deepEqual(fs.readdirSync(root), []);
});

test('what a dead process left is found by inode number, the rest is taken over', (t) => {
  const root = sampleRoot(t);
  dead(root, 4);
  const left = fs.readdirSync(join(root, 'journal')).filter((name) => name.startsWith('spare.')).map((name) => join(root, 'journal', name));
  assert.equal(left.length, 4);
  const inodes = left.map((path) => fs.statSync(path, { bigint: true }).ino);
  const spares = new Spares(root);
  assert.deepEqual(spares.find(inodes[2]!), { inode: inodes[2]!, path: left[2]! });
  assert.equal(spares.find(inodes[2]!), undefined);
  assert.equal(spares.find(1n), undefined);
  fs.renameSync(left[2]!, join(root, 'message'));
  spares.adopt();
  const adopted = [spares.take(), spares.take(), spares.take()].map(({ inode }) => inode);
  assert.deepEqual(adopted.sort(), inodes.filter((_, index) => index !== 2).sort());
  assert.ok(!inodes.includes(spares.take().inode));
  spares.removeAll();
  assert.deepEqual(fs.readdirSync(root), ['message']);
});

test('what is not empty is not taken over', (t) => {
  const root = sampleRoot(t);
  dead(root, 2, 'half a message');
  const spares = new Spares(root);
  spares.adopt();
  assert.equal(fs.statSync(spares.take().path).size, 0);
  assert.equal(fs.readdirSync(join(root, 'journal')).filter((name) => name.startsWith('spare.')).length, 1);
  spares.removeAll();
  assert.deepEqual(fs.readdirSync(root), []);
});

test('those that died later are found later', (t) => {
  const root = sampleRoot(t);
  const spares = new Spares(root);
  spares.adopt();
  const names = (): string[] => fs.readdirSync(join(root, 'journal')).filter((name) => name.startsWith('spare.'));
  dead(root, 3);
  const [early] = names().map((name) => fs.statSync(join(root, 'journal', name), { bigint: true }).ino);
  spares.give(spares.find(early!)!);
  dead(root, 2);
  const late = fs.statSync(join(root, 'journal/spare.2.2'), { bigint: true }).ino;
  spares.give(spares.find(late)!);
  spares.adopt();
  assert.equal(new Set(names().map(() => spares.take().inode)).size, 5);
  assert.equal(names().length, 5);
  spares.removeAll();
  assert.deepEqual(fs.readdirSync(root), []);
});

test('trouble with the directory is a QueueTrouble', (t) => {
  const root = sampleRoot(t);
  fs.writeFileSync(join(root, 'journal'), '');
  assert.throws(() => new Spares(root).take(), QueueTrouble);
});
