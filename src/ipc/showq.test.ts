import test from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeShowq, showqFarewell, showqGreeting, ShowqReader, type ShowqEvent } from './showq.ts';
import { ShapeTrouble } from './shape.ts';

const listing: ShowqEvent[] = [
  { kind: 'message', queue: 'deferred', queueId: '89E01210081', arrivalTime: 1795230317, size: 344, forcedExpire: true, sender: 'joe@sender.test' },
  { kind: 'recipient', originalAddress: '', address: 'bcc@dest.test', log: 'defer', reason: 'Connection refused' },
  { kind: 'recipient', originalAddress: 'x@y', address: 'one@dest.test', log: '', reason: '' },
  { kind: 'end' },
  { kind: 'message', queue: 'hold', queueId: 'AB12', arrivalTime: 5, size: 0, forcedExpire: false, sender: 'MAILER-DAEMON' },
  { kind: 'end' },
];

// As sent by Postfix 3.12's showq.
const wire = 'protocol|mail_queue_list_protocol||queue_name|deferred|queue_id|89E01210081|time|1795230317|size|344|forced_expire|1|sender|joe@sender.test|'
  + 'original_recipient||recipient|bcc@dest.test|log_class|defer|reason|Connection refused|original_recipient|x@y|recipient|one@dest.test|log_class||reason|||'
  + 'queue_name|hold|queue_id|AB12|time|5|size|0|forced_expire|0|sender|MAILER-DAEMON|||';

test('the wire form is that of Postfix', () => {
  assert.equal((showqGreeting + listing.map(encodeShowq).join('') + showqFarewell).replaceAll('\0', '|'), wire);
});

test('it is read back, however it is cut', () => {
  const bytes = Buffer.from(wire.replaceAll('|', '\0'));
  fc.assert(fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
    const reader = new ShowqReader();
    const got: ShowqEvent[] = [];
    let at = 0;
    for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
      got.push(...reader.feed(bytes.subarray(at, cut)));
      at = Math.max(at, cut);
    }
    assert.deepEqual(got, listing);
    assert.ok(reader.finished);
  }));
});

test('an empty queue is an end at once, a connection that breaks is none', () => {
  const reader = new ShowqReader();
  assert.deepEqual([...reader.feed(Buffer.from(showqGreeting))], []);
  assert.equal(reader.finished, false);
  assert.deepEqual([...reader.feed(Buffer.from(showqFarewell))], []);
  assert.equal(reader.finished, true);
});

test('what cannot be printed is masked', () => {
  const text = showqGreeting + encodeShowq({ kind: 'message', queue: 'hold', queueId: 'A', arrivalTime: 1, size: 1, forcedExpire: false, sender: '\x1b[2J\xc3\xa9' });
  const senders = (utf8: boolean): string[] => [...new ShowqReader(utf8).feed(Buffer.from(text, 'latin1'))].map((event) => (event.kind === 'message' ? event.sender : ''));
  assert.deepEqual(senders(false), ['?[2J??']);
  assert.deepEqual(senders(true), ['?[2J\xc3\xa9']);
});

for (const [name, text] of [
  ['another protocol', 'protocol|queue_flush_protocol||'],
  ['a list of an older release', 'protocol|mail_queue_list_protocol||queue_name|a|queue_id|A|time|1|size|1|sender|x|'],
  ['a time that is none', 'protocol|mail_queue_list_protocol||queue_name|a|queue_id|A|time|x|'],
  ['recipients without message', 'protocol|mail_queue_list_protocol||original_recipient||'],
] as const) {
  test(`${name} is refused`, () => assert.throws(() => [...new ShowqReader().feed(Buffer.from(text.replaceAll('|', '\0')))], ShapeTrouble));
}

test('a listing without end is refused', () => {
  const reader = new ShowqReader();
  assert.throws(() => {
    for (let round = 0; round < 40; round++) [...reader.feed(Buffer.alloc(64 << 10, 'x'))];
  }, ShapeTrouble);
});
