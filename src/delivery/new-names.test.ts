import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { NewNames } from './new-names.ts';

const self = { uid: process.getuid!(), gid: process.getgid!() };
const directory = `${fs.mkdtempSync(path.join(os.tmpdir(), 'names-'))}/`;

/** Counts fsyncs while `work` runs; each is answered with `error`. */
async function withFsync(error: NodeJS.ErrnoException | null, work: () => Promise<void>): Promise<number> {
  const real = fs.fsync;
  let count = 0;
  fs.fsync = ((_fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
    count++;
    setImmediate(() => done(error));
  }) as typeof fs.fsync;
  try {
    await work();
  } finally {
    fs.fsync = real;
  }
  return count;
}

test('all that come in one turn share a flush; who comes while it is under way has the next one', async () => {
  const names = new NewNames();
  const count = await withFsync(null, async () => {
    await Promise.all([names.durable(directory, self), names.durable(directory, self), names.durable(directory, self)]);
    const first = names.durable(directory, self);
    await new Promise(setImmediate); // the directory is open, the flush under way
    await Promise.all([first, names.durable(directory, self), names.durable(directory, self)]);
  });
  assert.equal(count, 3);
});

test('a failed flush is told to those it was for, and the next one is a new one', async () => {
  const names = new NewNames();
  await withFsync(Object.assign(new Error('bad'), { code: 'EIO' }), async () => {
    const results = await Promise.allSettled([names.durable(directory, self), names.durable(directory, self)]);
    assert.deepEqual(results.map(({ status }) => status), ['rejected', 'rejected']);
  });
  assert.equal(await withFsync(null, () => names.durable(directory, self)), 1);
});

test('what cannot be flushed is not asked for', async () => {
  const names = new NewNames();
  assert.equal(await withFsync(Object.assign(new Error('no'), { code: 'EINVAL' }), () => names.durable(directory, self)), 1);
  assert.equal(await withFsync(null, () => names.durable(`${directory}none/`, self)), 0);
});
