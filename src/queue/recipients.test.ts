import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EnvelopeRecipient } from '../message/envelope.ts';
import { directory, put, serving } from './journal-scene.ts';
import { SampleQueue } from './sample-queue.ts';
import type { MessageReader } from './store.ts';

/** All recipients, as they come piece by piece. */
function inPieces(file: MessageReader, most: number): { recipients: EnvelopeRecipient[]; wishes: number } {
  const envelope = file.envelope(most);
  const { recipients, size, wishes = 0 } = envelope;
  let more = envelope.more === true;
  while (more) {
    assert.ok(recipients.length > 0);
    const chunk = file.recipients({ dataOffset: size!.dataOffset, contentSize: size!.contentSize, after: recipients.at(-1)!.offset }, most);
    assert.ok(chunk.recipients.length <= most);
    recipients.push(...chunk.recipients);
    more = chunk.more;
  }
  return { recipients, wishes };
}

const list = Array.from({ length: 23 }, (_, number): Partial<EnvelopeRecipient> => ({
  address: `u${number}@x.test`,
  ...(number % 3 === 0 ? { originalAddress: `was${number}@x.test`, dsnOrcpt: `rfc822;o${number}@x.test`, dsnNotify: number % 2 === 0 ? 1 : 2 } : {}),
  ...(number % 4 === 1 ? { done: true } : {}),
}));

for (const most of [1, 2, 5, 16, 17, 18, 23, 100]) {
  test(`recipients of a file, ${most} at a time: all that are not done, with what goes with them`, async (t) => {
    const queue = new SampleQueue(t);
    const queueId = await queue.put('active', { recipients: list });
    const file = queue.store.open('active', queueId);
    t.after(() => file.close());
    const all = file.envelope().recipients;
    const { recipients, wishes } = inPieces(file, most);
    assert.equal(all.length, 23);
    assert.deepEqual(recipients, all.filter(({ done }) => !done));
    assert.equal(wishes, 3);
  });
}

test('of a message in the journal likewise', async (t) => {
  const { store } = await serving(directory(t));
  t.after(() => store.retire(true));
  const addresses = Array.from({ length: 50 }, (_, number) => `u${number}@x.test`);
  const { queueId, offsets } = await put(store, 'hello', addresses);
  const file = store.open('incoming', queueId);
  file.done(offsets[7]!);
  const { recipients } = inPieces(file, 6);
  file.close();
  assert.deepEqual(recipients.map(({ address }) => address), addresses.filter((_, number) => number !== 7));
  assert.deepEqual(recipients.map(({ offset }) => offset), offsets.filter((_, number) => number !== 7));
});

test('one that is marked done after it was read is not read again', async (t) => {
  const queue = new SampleQueue(t);
  const queueId = await queue.put('active', { recipients: list });
  const file = queue.store.open('active', queueId, { write: true });
  t.after(() => file.close());
  const { recipients, size } = file.envelope(3);
  for (const { offset } of recipients) file.done(offset);
  const next = file.recipients({ dataOffset: size!.dataOffset, contentSize: size!.contentSize, after: recipients.at(-1)!.offset }, 2);
  assert.deepEqual(next.recipients.map(({ address }) => address), file.envelope().recipients.filter(({ done }) => !done).slice(0, 2).map(({ address }) => address));
});
