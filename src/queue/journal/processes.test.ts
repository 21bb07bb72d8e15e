import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Journal } from './journal.ts';
import { openPlace } from './reader.ts';
import { sampleImage, SampleClock, sampleRoot } from './sample-image.ts';

const writer = fileURLToPath(new URL('sample-writer.ts', import.meta.url));

function openJournal(root: string, warn: (text: string) => void = () => {}): Journal {
  return Journal.open({ root, segmentSize: 128 << 10, sizeLimit: 4 << 20, messageCountLimit: 100, clock: new SampleClock(), warn });
}

for (const lines of [1, 40, 700, 4000]) {
  test(`a writer killed after ${lines} lines: the next process finds every message that was accepted, with its marks`, async (t) => {
    const root = sampleRoot(t);
    const child = spawn(process.execPath, [writer, root], { stdio: ['ignore', 'pipe', 'inherit'] });
    const gone = once(child, 'close');
    t.after(() => child.kill('SIGKILL'));
    const told: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      told.push(line);
      if (told.length !== lines) continue;
      const looker = openJournal(root);
      assert.equal(looker.hasForeign(), true);
      assert.deepEqual([...looker.abandoned()], []);
      looker.leave();
      child.kill('SIGKILL');
    }
    await gone;
    const said = (what: string): Set<string> => new Set(told.filter((line) => line.startsWith(`${what} `)).map((line) => line.split(' ')[1]!));
    const [accepted, marking, marked, releasing, released] = [said('accepted'), said('marking'), said('marked'), said('releasing'), said('released')];
    assert.equal(told.some((line) => line.startsWith('warning')), false);

    const journal = openJournal(root);
    t.after(() => journal.leave());
    assert.equal(journal.hasForeign(), false);
    const found = new Map<string, number>();
    for (const { entries, settled } of journal.abandoned()) {
      for (const { queueId, image, recipients } of entries) {
        assert.equal(found.has(queueId), false, `${queueId} twice`);
        found.set(queueId, image[recipients[0]!]!);
        const number = Number(queueId.slice(2));
        const whole = sampleImage({ content: `Subject: ${number}\n\n${'text\n'.repeat(number % 700)}` }).image;
        whole[recipients[0]!] = image[recipients[0]!]!;
        assert.deepEqual(Buffer.from(image), whole);
      }
      settled();
    }
    for (const queueId of accepted) if (!releasing.has(queueId)) assert.ok(found.has(queueId), `${queueId} is lost`);
    for (const queueId of released) assert.equal(found.has(queueId), false, `${queueId} came back`);
    for (const [queueId, type] of found) {
      if (marked.has(queueId)) assert.equal(type, 0x44, `the mark of ${queueId} is lost`);
      if (!marking.has(queueId)) assert.equal(type, 0x52, `${queueId} was never marked`);
    }
    await journal.ready();
    assert.deepEqual([...journal.abandoned()], []);
    journal.close();
    assert.deepEqual(fs.readdirSync(root), []);
  });
}

const needsRoot = { skip: process.getuid!() === 0 ? false : 'only root can mount a small disk' };

test('a full disk: no segment, a warning, and room again when there is', needsRoot, async (t) => {
  const root = join(sampleRoot(t), 'disk');
  fs.mkdirSync(root);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'none', root]);
  const warnings: string[] = [];
  const clock = new SampleClock();
  fs.writeFileSync(join(root, 'ballast'), Buffer.alloc(300 << 10));
  const journal = Journal.open({ root, segmentSize: 256 << 10, sizeLimit: 1 << 20, messageCountLimit: 100, clock, warn: (text) => warnings.push(text) });
  try {
    await journal.ready();
    const { image, recipients } = sampleImage();
    const message = { queueId: 'ID', inode: 'F', pieces: [image], length: image.length, recipients };
    assert.equal(journal.append(message, () => assert.fail('called')), undefined);
    // 256k would fit, but would take from files what is left.
    assert.match(warnings.join(), /^cannot make a journal segment: ENOSPC: .* 262144 of 3[0-9]{5} bytes would leave too little for files$/);
    assert.deepEqual(fs.readdirSync(join(root, 'journal')), []);
    assert.equal(journal.isCrowded, true);
    fs.unlinkSync(join(root, 'ballast'));
    clock.pass(10_000);
    await journal.ready();
    assert.equal(await new Promise((resolve) => journal.append(message, resolve)), undefined);
    // The next segment finds no room; what is written into the first one needs none.
    await journal.ready();
    assert.equal(warnings.length, 2);
    assert.equal(await new Promise((resolve) => journal.append(message, resolve)), undefined);
    for (const place of journal.oldest()) {
      const reader = openPlace(place, { queue: 'active', queueId: 'ID' }, {}, root);
      assert.deepEqual(reader.image(), image);
      reader.close();
    }
  } finally {
    journal.leave();
    // Our own readers keep a descriptor or two.
    execFileSync('umount', ['-l', root]);
  }
});
