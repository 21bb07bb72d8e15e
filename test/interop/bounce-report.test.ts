/** Our reports as someone else's parser reads them: Python's email package, and the rules of RFC 3464 for what it found. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { about, Bench, entry, recipient, timedOut, unknownUser } from '../../src/daemons/bounce/testing.ts';
import { noStrictReader, readStrictly, type StrictReport } from '../strict-report.ts';

const options = { skip: noStrictReader };

const place = new Bench();
after(() => place.remove());

/** The report of two recipients. */
async function report(service: string, request: 'flush' | 'warn' | 'trace', dsn: typeof timedOut, changes: object = {}): Promise<string> {
  const calls = await place.service(service);
  const { queueId } = place.message('Subject: what was sent\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhello\n--x--\n');
  const [one, two] = [recipient({ dsnOrcpt: 'rfc822;list@example.org' }), recipient({ address: 'ann smith@example.org', originalAddress: 'ann@example.org' })];
  for (const who of [one, two]) await calls.append(entry(queueId, who, dsn));
  await calls[request](about(queueId, changes));
  return place.posted.at(-1)!.content;
}

/** Of a report, what is the same in all of them is left out. */
function read(content: string): Pick<StrictReport, 'subject' | 'envid' | 'recipients' | 'returned'> {
  const { subject, envid, recipients, returned } = readStrictly(content);
  return { subject, envid, recipients, returned };
}

const recipients = ['rfc822; joe@example.org', 'rfc822; "ann smith"@example.org'];

test('a failure, with the message', options, async () => {
  assert.deepEqual(read(await report('bounce', 'flush', unknownUser, { dsnEnvid: 'QQ314159' })), {
    subject: 'Undelivered Mail Returned to Sender', envid: 'QQ314159', recipients, returned: 'what was sent',
  });
});

test('a failure, with the header of the message', options, async () => {
  assert.equal(read(await report('bounce', 'flush', unknownUser, { dsnRet: 2 })).returned, 'headers');
});

test('a delay', options, async () => {
  assert.deepEqual(read(await report('defer', 'warn', timedOut)), { subject: 'Delayed Mail (still being retried)', envid: null, recipients, returned: 'headers' });
});

test('a delivery', options, async () => {
  const relayed = { ...unknownUser, status: '2.0.0', action: 'relayed', reason: 'delivery via mx:25: 250 2.0.0 Ok' };
  assert.equal(read(await report('trace', 'trace', relayed)).subject, 'Successful Mail Delivery Report');
});
