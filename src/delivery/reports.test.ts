import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestFlag, type Recipient } from '../ipc/deliver.ts';
import { Outcome } from './outcome.ts';
import type { ReportTools } from './reports.ts';
import { Reports } from './reports.ts';
import { ears, request } from './testing.ts';

const joe: Recipient = { address: 'joe@example.org', originalAddress: 'info@example.org', offset: 77, dsnOrcpt: '', dsnNotify: 0 };
const report = { dsn: '2.0.0', text: 'delivered to mailbox', relay: 'local' };
const times = 'delay=12, delays=0.5/1/0/11';

function setting(options: Partial<ReportTools> & { soft?: boolean; down?: string[]; negative?: boolean } = {}) {
  const { log, lines } = ears();
  const asked: string[] = [];
  const marks: number[] = [];
  const answer = (name: string, what: string) => {
    asked.push(`${name} ${what}`);
    if (options.down?.includes(name)) return Promise.reject(new Error('down'));
    return { status: 0 };
  };
  const services = {
    local: () => ({}),
    connect: (_service: object, name: string) => ({
      append: ({ dsn, recipient }: { dsn: { status: string; action: string; reason: string }; recipient: Recipient }) =>
        answer(name, `append ${recipient.address} ${dsn.status} ${dsn.action} ${dsn.reason}`),
      one: ({ dsn, sender }: { dsn: { status: string }; sender: string }) => answer(name, `one to ${sender} ${dsn.status}`),
      update: ({ address, recipient_status: status, reason }: { address: string; recipient_status: number; reason: string }) => answer(name, `update ${address} ${status} ${reason}`),
      add: ({ site, queue_id }: { site: string; queue_id: string }) => answer(name, `add ${site} ${queue_id}`),
    }),
  } as unknown as ReportTools['services'];
  const tools: ReportTools = {
    parameters: {
      soft_bounce: options.soft ?? false, bounce_service_name: 'bounce', defer_service_name: 'defer', trace_service_name: 'trace',
      address_verify_service_name: 'verify', address_verify_negative_cache: options.negative ?? true, flush_service_name: 'flush',
      delay_logging_resolution_limit: 2, info_log_address_format: 'external',
    },
    clock: { now: () => 1_800_000_012_000 }, services, ...options,
  };
  const reports = new Reports(tools, log);
  return { reports, lines, asked, marks, log };
}

const base = { ...request({ recipients: [joe] }), queueId: 'AB12' };

test('sent: one line, no service is asked', async () => {
  const { reports, lines, asked } = setting();
  assert.equal(reports.sent(base, joe, report), true);
  assert.deepEqual(lines, [`AB12: to=<joe@example.org>, orig_to=<info@example.org>, relay=local, ${times}, dsn=2.0.0, status=sent (delivered to mailbox)`]);
  assert.deepEqual(asked, []);
});

test('what else a line may hold: connection use, TLS, quoted addresses, the same original address in another case', async () => {
  const { reports, lines } = setting();
  const other = { ...joe, address: 'joe smith@example.org', originalAddress: 'Joe Smith@Example.org' };
  await reports.sent(base, other, { ...report, reuseCount: 1, tls: 'secure' });
  assert.deepEqual(lines, [`AB12: to=<"joe smith"@example.org>, relay=local, conn_use=2, ${times}, tls=secure, dsn=2.0.0, status=sent (delivered to mailbox)`]);
});

test('recipients who share a report, and those who do not, have the words of their own', () => {
  const { reports, lines } = setting();
  const at = (deliveryDone: number) => ({ ...report, times: { ...base.times, deliveryDone } });
  const [one, other] = [at(1_800_000_011), at(1_800_000_010)];
  const jim = { ...joe, address: 'jim@example.org', originalAddress: '' };
  for (const [recipient, said] of [[joe, one], [jim, one], [jim, other], [joe, one], [joe, at(0)]] as const) reports.sent(base, recipient, said);
  const shown = lines.map((line) => line.replace(/^AB12: to=<(\w+)@.* delay=(\d+),.*$/, '$1 $2'));
  assert.deepEqual(shown, ['joe 11', 'jim 11', 'jim 10', 'joe 11', 'joe 12']);
  reports.sent({ ...base, queueId: 'CD34' }, jim, one);
  assert.match(lines.at(-1)!, /^CD34: to=<jim@example.org>, relay=local, delay=11, /);
});

test('NOTIFY=SUCCESS and sendmail -v: a record is made first', async () => {
  const { reports, asked } = setting();
  assert.equal(await reports.sent({ ...base, flags: requestFlag.record }, { ...joe, dsnNotify: 2 }, report), true);
  const record = 'trace append joe@example.org 2.0.0 delivered delivery via local: delivered to mailbox';
  assert.deepEqual(asked, [record, record]);
});

test('a success that cannot be recorded is a deferral', async () => {
  const { reports, lines } = setting({ down: ['trace'] });
  assert.equal(await reports.sent(base, { ...joe, dsnNotify: 2 }, report), false);
  assert.match(lines.join('\n'), /^warning: AB12: trace service failure\n.*dsn=4.3.0, status=deferred \(AB12: trace service failed\)$/);
});

test('deferred: never settled, recorded with the action "delayed"', async () => {
  const { reports, lines, asked } = setting();
  assert.equal(await reports.deferred(base, joe, { dsn: '4.4.1', text: 'connect refused' }), false);
  assert.deepEqual(asked, ['defer append joe@example.org 4.4.1 delayed connect refused']);
  assert.match(lines[0]!, /relay=none, .*dsn=4\.4\.1, status=deferred \(connect refused\)$/);
});

test('deferred: flush is told of a destination it knows', async () => {
  const { reports, asked } = setting({ fastFlush: (domain) => domain === 'example.org' });
  await reports.deferred(base, joe, { dsn: '4.4.1', text: 'x' });
  assert.deepEqual(asked.slice(1), ['flush add example.org AB12']);
});

test('deferred: a flush that has no row is not waited for', async () => {
  const { services, ...rest } = { services: { local: () => undefined, path: () => '/nowhere/public/flush' }, ears: ears() };
  const tools = { parameters: { flush_service_name: 'flush', defer_service_name: 'defer' }, clock: { now: () => 0 }, fastFlush: () => true } as unknown as ReportTools;
  const defer = { connect: () => ({ append: () => ({ status: 0 }), add: () => assert.fail('asked all the same') }) };
  await new Reports({ ...tools, services: { ...services, ...defer } as unknown as ReportTools['services'] }, rest.ears.log).deferred(base, joe, { dsn: '4.4.1', text: 'x' });
  assert.equal(rest.ears.lines.at(-1), 'warning: AB12: flush service failure');
});

test('bounced: recorded with the action "failed"', async () => {
  const { reports, lines, asked } = setting();
  assert.equal(await reports.bounced(base, joe, { dsn: '5.1.1', text: 'unknown user: "joe"', relay: 'local' }), true);
  assert.deepEqual(asked, ['bounce append joe@example.org 5.1.1 failed unknown user: "joe"']);
  assert.match(lines[0]!, /dsn=5\.1\.1, status=bounced \(unknown user: "joe"\)$/);
});

test('soft_bounce: recorded as a delay, logged as SOFTBOUNCE, not settled', async () => {
  const { reports, lines, asked } = setting({ soft: true });
  assert.equal(await reports.bounced(base, joe, { dsn: '5.1.1', text: 'no' }), false);
  assert.deepEqual(asked, ['defer append joe@example.org 4.1.1 delayed no']);
  assert.match(lines[0]!, /dsn=4\.1\.1, status=SOFTBOUNCE \(no\)$/);
});

test('bounce out of reach: the recipient is deferred', async () => {
  const { reports, lines, asked } = setting({ down: ['bounce'] });
  assert.equal(await reports.bounced(base, joe, { dsn: '5.1.1', text: 'no' }), false);
  assert.deepEqual(asked.slice(1), ['defer append joe@example.org 4.3.0 delayed bounce or trace service failure']);
  assert.match(lines[0]!, /dsn=4\.3\.0, status=deferred \(bounce or trace service failure\)$/);
});

test('defer out of reach: a warning, and the recipient stays deferred', async () => {
  const { reports, lines } = setting({ down: ['defer'] });
  assert.equal(await reports.deferred(base, joe, { dsn: '4.4.1', text: 'no' }), false);
  assert.deepEqual([lines.length, lines[0]], [2, 'warning: AB12: defer service failure']);
});

test('a status of the wrong class is corrected with a warning', async () => {
  const { reports, lines } = setting();
  await reports.bounced(base, joe, { dsn: '4.1.1', text: 'no' });
  await reports.deferred(base, joe, { dsn: '', text: 'no' });
  await reports.sent(base, joe, { dsn: '2', text: 'yes' });
  assert.deepEqual(lines.filter((line) => line.startsWith('warning')), [
    'warning: bounce_append: ignoring dsn code "4.1.1"', 'warning: defer_append: ignoring dsn code ""', 'warning: sent: ignoring dsn code "2"',
  ]);
  assert.deepEqual(lines.filter((line) => !line.startsWith('warning')).map((line) => /dsn=\S+/.exec(line)![0]), ['dsn=5.0.0,', 'dsn=4.0.0,', 'dsn=2.0.0,']);
});

test('a status filter turns bounces into deferrals and back, never into successes', async () => {
  const answers = new Map([['5.1.1 no', '4.1.1 later'], ['4.4.1 no', '5.4.1 never'], ['5.2.2 full', '2.0.0 fine']]);
  const { reports, lines } = setting({ statusFilter: { title: 'x_delivery_status_filter', find: (text) => answers.get(text) } });
  assert.equal(await reports.bounced(base, joe, { dsn: '5.1.1', text: 'no' }), false);
  assert.equal(await reports.deferred(base, joe, { dsn: '4.4.1', text: 'no' }), true);
  assert.equal(await reports.bounced(base, joe, { dsn: '5.2.2', text: 'full' }), true);
  assert.deepEqual(lines.map((line) => /(dsn=.*|warning.*)/.exec(line)![0]), [
    'dsn=4.1.1, status=deferred (later)', 'dsn=5.4.1, status=bounced (never)',
    'warning: x_delivery_status_filter: bad status code: 2.0.0 fine', 'dsn=5.2.2, status=bounced (full)',
  ]);
});

test('probes: verify is told of both addresses; nothing is bounced', async () => {
  const { reports, lines, asked } = setting();
  const probe = { ...base, flags: requestFlag.mtaVerify };
  assert.equal(await reports.sent(probe, joe, report), true);
  assert.equal(await reports.bounced(probe, joe, { dsn: '5.1.1', text: 'no' }), true);
  assert.deepEqual(asked, [
    'verify update info@example.org 0 delivered to mailbox', 'verify update joe@example.org 0 delivered to mailbox',
    'verify update info@example.org 2 no', 'verify update joe@example.org 2 no',
  ]);
  assert.deepEqual(lines.map((line) => /status=\S+/.exec(line)![0]), ['status=deliverable', 'status=undeliverable']);
});

test('probes without a negative cache: failures are logged and forgotten', async () => {
  const { reports, lines, asked } = setting({ negative: false });
  assert.equal(await reports.deferred({ ...base, flags: requestFlag.mtaVerify }, joe, { dsn: '4.1.1', text: 'no' }), true);
  assert.deepEqual([asked, /status=\S+/.exec(lines[0]!)![0]], [[], 'status=undeliverable-but-not-cached']);
});

test('sendmail -bv: a record and a line', async () => {
  const { reports, lines, asked } = setting();
  assert.equal(await reports.sent({ ...base, flags: requestFlag.userVerify }, joe, report), true);
  assert.deepEqual(asked, ['trace append joe@example.org 2.0.0 deliverable delivery via local: delivered to mailbox']);
  assert.match(lines[0]!, /status=deliverable \(delivered to mailbox\)$/);
});

test('a report for one goes to the sender that is named, at once', async () => {
  const { reports, asked } = setting();
  assert.equal(await reports.failedOne({ ...base, sender: 'owner-list@example.org' }, joe, { dsn: '5.3.0', text: 'no' }), true);
  assert.equal(await reports.failedOne({ ...base, sender: 'owner-list@example.org' }, joe, { dsn: '4.3.0', text: 'no' }), false);
  assert.deepEqual(asked, ['bounce one to owner-list@example.org 5.3.0', 'defer append joe@example.org 4.3.0 delayed no']);
});

function outcomeFor(options: Parameters<typeof setting>[0], done: (offset: number) => void) {
  const set = setting(options);
  const ann = { ...joe, address: 'ann@example.org', offset: 99 };
  const outcome = new Outcome({ request: { ...base, recipients: [joe, ann] }, reports: set.reports, log: set.log, file: { done }, relay: 'virtual' });
  return { ...set, outcome, ann };
}

test('an outcome marks what is settled and says that something is not', async () => {
  const marks: number[] = [];
  const { outcome, ann, lines } = outcomeFor({}, (offset) => marks.push(offset));
  await outcome.sent(joe, { dsn: '2.0.0', text: 'ok' });
  await outcome.deferred(ann, { dsn: '4.2.0', text: 'locked' });
  assert.deepEqual([marks, outcome.reply().status], [[77], -1]);
  assert.match(lines[0]!, /relay=virtual/);
});

test('an outcome with a report for every recipient has status 0; one that is forgotten does not', async () => {
  const { outcome, ann } = outcomeFor({}, () => undefined);
  await outcome.sent(joe, { dsn: '2.0.0', text: 'ok' });
  assert.equal(outcome.reply().status, -1);
  await outcome.bounced(ann, { dsn: '5.1.1', text: 'no' });
  assert.equal(outcome.reply().status, 0);
});

test('a bounce that was not recorded is not marked', async () => {
  const marks: number[] = [];
  const { outcome } = outcomeFor({ down: ['bounce'] }, (offset) => marks.push(offset));
  await outcome.all('bounced', { dsn: '5.1.1', text: 'no' });
  assert.deepEqual([marks, outcome.reply().status], [[], -1]);
});

test('a mark that cannot be made leaves the recipient deferred', async () => {
  const { outcome, lines } = outcomeFor({}, () => { throw new Error('read-only file system'); });
  await outcome.all('sent', { dsn: '2.0.0', text: 'ok' });
  assert.equal(outcome.reply().status, -1);
  assert.ok(lines.includes('warning: AB12: update queue file: read-only file system'));
});

test('an unreachable destination is told with the reply', async () => {
  const { outcome } = outcomeFor({}, () => undefined);
  outcome.unreachable({ dsn: '4.4.1', text: 'connect refused' });
  assert.deepEqual([outcome.reply().hop.status, outcome.reply().hop.reason], ['4.4.1', 'connect refused']);
});

test('an outcome knows who was reported, in whatever order, and gives the others theirs', async () => {
  const recipients = [1, 2, 3, 4, 5].map((number) => ({ ...joe, address: `r${number}@x`, originalAddress: '', offset: 0 }));
  const { reports, log, lines } = setting();
  const outcome = new Outcome({ request: { ...base, recipients }, reports, log, file: { done: () => {} }, relay: 'smtp' });
  const reported = (): string => recipients.map((recipient) => (outcome.isReported(recipient) ? 'x' : '-')).join('');
  assert.equal(reported(), '-----');
  await outcome.sent(recipients[0]!, report);
  await outcome.sent(recipients[2]!, report);
  assert.deepEqual([reported(), outcome.isComplete, outcome.reply().status], ['x-x--', false, -1]);
  await outcome.sent(recipients[1]!, report);
  assert.equal(reported(), 'xxx--');
  await outcome.all('sent', report);
  assert.deepEqual([reported(), outcome.isComplete, outcome.reply().status], ['xxxxx', true, 0]);
  assert.deepEqual(lines.map((line) => /<r(.)/.exec(line)?.[1]).join(''), '13245');
});
