import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SinkCount } from './sink-count.ts';

const output = 'sess=1 quit=0 mesg=0\rsess=1 quit=0 mesg=9\rsess=2 quit=1 mesg=10\rsess=2 quit=2 mesg=1234\r';

test('the last complete number counts', () => {
  const count = new SinkCount();
  count.feed(output);
  assert.equal(count.messages, 1234);
});

test('chunks may be cut anywhere, and a number that may go on does not count yet', () => {
  for (let cut = 0; cut <= output.length; cut++) {
    const count = new SinkCount();
    count.feed(output.slice(0, cut));
    assert.ok([0, 9, 10, 1234].includes(count.messages), `${count.messages} after ${cut} bytes`);
    count.feed(output.slice(cut));
    assert.equal(count.messages, 1234);
  }
});

test('other fields are not messages', () => {
  const count = new SinkCount();
  count.feed('sess=77 quit=66\rsess=78 quit=67\r');
  assert.equal(count.messages, 0);
});
