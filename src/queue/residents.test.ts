import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import { test } from 'node:test';
import { DirectorySync } from './directory-sync.ts';
import { writeMessage } from './residents.ts';

test('a message whose directory entry could not be made durable is not in the queue, and can be written again', async (t) => {
  const root = fs.mkdtempSync(`${os.tmpdir()}/residents-`);
  t.after(() => fs.rmSync(root, { recursive: true }));
  fs.mkdirSync(`${root}/incoming`);
  fs.writeFileSync(`${root}/spare`, '');
  const answers: (Error | null)[] = [Object.assign(new Error('i/o error'), { code: 'EIO' }), null];
  const sync = new DirectorySync((_directory, done) => done(answers.shift()!));
  const write = (): Promise<void> => writeMessage(Buffer.from('image'), `${root}/spare`, `${root}/incoming/ABC`, sync);
  await assert.rejects(write, { code: 'EIO' });
  assert.deepEqual([fs.readdirSync(`${root}/incoming`), fs.existsSync(`${root}/spare`)], [[], true]);
  await write();
  assert.deepEqual([fs.readFileSync(`${root}/incoming/ABC`, 'latin1'), fs.existsSync(`${root}/spare`)], ['image', false]);
});
