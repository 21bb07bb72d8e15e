import test from 'node:test';
import assert from 'node:assert/strict';
import { dropSpareBuffers, spareBuffer } from '../host/spare-buffers.ts';
import { JournalWriter, type JournalDoor } from './journal-writer.ts';
import { QueueTrouble, type Reserved } from './store.ts';

const facts = { recipients: [], envelope: undefined };
const name = { queueId: 'AB12', arrival: { seconds: 1, microseconds: 0 }, reservation: { inode: 'F', long: false, release: () => undefined } } satisfies Reserved;
/** Of a size that nobody else here asks for. */
const content = Buffer.alloc(900_000, 'x');

/** A writer whose journal answers when told to; what it was given. */
function begun(): { writer: JournalWriter; kept: Promise<boolean>; given: Buffer; answer: (isKept: boolean) => void; fail: (trouble: Error) => void } {
  let settle!: { answer: (isKept: boolean) => void; fail: (trouble: Error) => void };
  let given!: Buffer;
  const door = {
    sizeLimit: 1 << 20,
    keep: (_name, pieces) => {
      given = pieces[0]!;
      return new Promise((answer, fail) => { settle = { answer, fail }; });
    },
    file: () => assert.fail('no file'),
  } satisfies JournalDoor;
  const writer = new JournalWriter(door, name);
  writer.write(content);
  const kept = writer.commit('incoming', facts);
  return { writer, kept, given, ...settle };
}

test('the memory of a message is used again when the journal has it, not before', async () => {
  dropSpareBuffers();
  const { kept, given, answer } = begun();
  assert.notEqual(spareBuffer(content.length).buffer, given.buffer);
  answer(true);
  assert.equal(await kept, true);
  assert.equal(spareBuffer(content.length).buffer, given.buffer);
});

test('a message that is discarded while the journal writes it stays as it is', async () => {
  dropSpareBuffers();
  const { writer, kept, given, answer } = begun();
  writer.discard();
  assert.notEqual(spareBuffer(content.length).buffer, given.buffer);
  answer(true);
  await kept;
  assert.notEqual(spareBuffer(content.length).buffer, given.buffer);
});

test('the memory of a message that could not be written is left to nobody else', async () => {
  dropSpareBuffers();
  const { writer, kept, given, fail } = begun();
  fail(new QueueTrouble('EIO', 'made up'));
  await assert.rejects(kept, { code: 'EIO' });
  writer.discard();
  assert.notEqual(spareBuffer(content.length).buffer, given.buffer);
});
