import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { encodeRecord, recordType } from '../message/record.ts';
import { MaildropFile } from './maildrop-file.ts';
import { queueIdOk } from './queue-id.ts';
import { QueuePaths } from './queue-paths.ts';

function maildrop(t: TestContext, mode: number) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'maildrop-'));
  t.after(() => fs.rmSync(root, { recursive: true }));
  fs.mkdirSync(`${root}/maildrop`);
  fs.chmodSync(`${root}/maildrop`, mode);
  const options = { paths: new QueuePaths({ hashQueueNames: '', hashQueueDepth: 1, root }), longQueueIds: false, sizeLimit: 0, now: () => 1_800_000_000_123.456 };
  const files = (): string[] => fs.readdirSync(`${root}/maildrop`);
  return { options, files, root };
}

for (const [name, mode, before, after, idLength] of [
  ['Postfix\'s directory: a queue id, readable behind the directory', 0o730, 0o644, 0o744, /^[0-9A-F]{6,20}$/],
  ['a directory that all may write to: a random name, for owner and group', 0o1733, 0o600, 0o740, /^[0-9A-F]{32}$/],
] as const) {
  test(name, (t) => {
    const { options, files, root } = maildrop(t, mode);
    const file = MaildropFile.create(options);
    const modeNow = (): number => fs.statSync(`${root}/maildrop/${file.queueId}`).mode & 0o777;
    assert.deepEqual(files(), [file.queueId]);
    assert.ok(queueIdOk(file.queueId));
    assert.match(file.queueId, idLength);
    assert.equal(modeNow(), before);
    file.put(recordType.sender, 'me@example.org');
    file.put(recordType.end);
    file.commit();
    assert.equal(modeNow(), after);
    assert.deepEqual(fs.readFileSync(`${root}/maildrop/${file.queueId}`), Buffer.concat([encodeRecord(recordType.sender, 'me@example.org'), encodeRecord(recordType.end)]));
  });
}

test('what is discarded, or too large, leaves nothing behind', (t) => {
  const { options, files } = maildrop(t, 0o730);
  const discarded = MaildropFile.create(options);
  discarded.put(recordType.sender, 'me');
  discarded.discard();
  assert.deepEqual(files(), []);
  const large = MaildropFile.create({ ...options, sizeLimit: 1000 });
  large.put(recordType.normal, 'x'.repeat(1100));
  assert.throws(() => large.commit(), { code: 'EFBIG' });
  assert.deepEqual(files(), []);
});

test('a large message is written in portions, and its limit noticed on the way', (t) => {
  const { options, root } = maildrop(t, 0o730);
  const line = Buffer.from('y'.repeat(1000));
  const file = MaildropFile.create(options);
  for (let count = 0; count < 1000; count++) file.put(recordType.normal, line);
  file.commit();
  assert.equal(fs.statSync(`${root}/maildrop/${file.queueId}`).size, 1000 * 1003);
  const limited = MaildropFile.create({ ...options, sizeLimit: 500_000 });
  assert.throws(() => { for (let count = 0; count < 1000; count++) limited.put(recordType.normal, line); }, { code: 'EFBIG' });
  limited.discard();
});

test('no directory: trouble, not a crash', (t) => {
  const { options, root } = maildrop(t, 0o730);
  fs.rmdirSync(`${root}/maildrop`);
  assert.throws(() => MaildropFile.create(options), { name: 'Error', code: 'ENOENT' });
});
