/**
 * A queue process for tests, to be killed: it appends, marks and releases for ever, and says on standard output what it is about
 * to do and what is done, a line each. `node sample-writer.ts ROOT`
 */
import { writeSync } from 'node:fs';
import { Journal } from './journal.ts';
import { placeText, type Place } from './place.ts';
import { openPlace } from './reader.ts';
import { sampleImage } from './sample-image.ts';

const root = process.argv[2]!;
const say = (line: string): void => void writeSync(1, `${line}\n`);
const clock = { now: () => Date.now(), after: () => ({ cancel() {} }) };
const journal = Journal.open({ root, segmentSize: 128 << 10, sizeLimit: 4 << 20, messageCountLimit: 100, clock, warn: (text) => say(`warning ${text}`) });
const kept: [queueId: string, place: Place][] = [];
let count = 0;

function next(): void {
  const queueId = `ID${++count}`;
  const { image, recipients } = sampleImage({ content: `Subject: ${count}\n\n${'text\n'.repeat(count % 700)}` });
  const place = journal.append({ queueId, inode: 'F', pieces: [image], length: image.length, recipients }, (trouble) => {
    if (trouble !== undefined) throw trouble;
    say(`accepted ${queueId} ${placeText(place!)}`);
    setImmediate(deliver, queueId, place!, recipients);
  });
  if (place === undefined) void journal.ready().then(() => setImmediate(next));
}

function deliver(queueId: string, place: Place, recipients: readonly number[]): void {
  if (count % 3 > 0) {
    say(`marking ${queueId}`);
    const reader = openPlace(place, { queue: 'active', queueId }, { write: true }, root);
    reader.done(recipients[0]!);
    reader.close();
    say(`marked ${queueId}`);
  }
  if (count % 7 > 0) release(queueId, place);
  else kept.push([queueId, place]);
  if (kept.length > 30) release(...kept.shift()!);
  next();
}

function release(queueId: string, place: Place): void {
  say(`releasing ${queueId}`);
  journal.release(place);
  say(`released ${queueId}`);
}

await journal.ready();
for (let i = 0; i < 20; i++) next();
