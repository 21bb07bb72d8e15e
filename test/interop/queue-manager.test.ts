/**
 * The same queue files before our queue manager and before Debian's: log lines, what the next hop gets and in which order, when it is tried
 * again, and what stays in the queue are compared.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, statSync, utimesSync } from 'node:fs';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { emptyEnvelope, writeEnvelope, writeExtracted, type Envelope } from '../../src/message/envelope.ts';
import { encodeRecord, recordType, renderSize } from '../../src/message/record.ts';
import { RecordWriter } from '../../src/message/record-writer.ts';
import { createFileStore } from '../../src/queue/file-store.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { openSink } from '../faults/sink.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

type Kind = 'ours' | "Debian's";
type House = Instance | DebianPostfix;

/** One delivery, as the next hop saw it. */
interface Seen { readonly sender: string; readonly recipients: readonly string[]; readonly at: number }

/** Takes all mail and notes it. */
async function nextHop(t: TestContext): Promise<{ port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    let [input, inData, sender] = ['', false, ''];
    let recipients: string[] = [];
    sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
    socket.write('220 next.test ESMTP\r\n');
    const line = (text: string): string => {
      if (/^DATA/i.test(text)) inData = true;
      if (/^MAIL/i.test(text)) [sender, recipients] = [/<(.*?)>/.exec(text)![1]!, []];
      if (/^RCPT/i.test(text)) recipients.push(/<(.*?)>/.exec(text)![1]!);
      return /^EHLO/i.test(text) ? '250-next.test\r\n250 PIPELINING\r\n' : /^DATA/i.test(text) ? '354 go\r\n' : /^QUIT/i.test(text) ? '221 2.0.0 bye\r\n' : '250 2.0.0 ok\r\n';
    };
    socket.on('data', (chunk: Buffer) => {
      input += chunk.toString('latin1');
      for (;;) {
        const mark = inData ? '\r\n.\r\n' : '\r\n';
        const end = input.indexOf(mark);
        if (end < 0) return;
        const text = input.slice(0, end);
        input = input.slice(end + mark.length);
        if (inData) {
          inData = false;
          seen.push({ sender, recipients, at: Date.now() });
          socket.write('250 2.0.0 taken\r\n');
        } else socket.write(line(text));
      }
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, seen };
}

interface Letter {
  /** Addresses; with a `!` in front one that has it already, with a `+` one with NOTIFY=SUCCESS. */
  readonly to: readonly string[];
  /** Seconds since it came. */
  readonly age?: number;
  readonly envelope?: Partial<Envelope>;
  /** Bits of the file's mode beyond 0700. */
  readonly mode?: number;
  readonly queue?: 'incoming' | 'deferred';
}

/** Put a message there as cleanup would have done. */
async function put(house: House, kind: Kind, { to, age = 0, envelope: changes = {}, mode = 0, queue = 'deferred' }: Letter): Promise<string> {
  const root = `${house.directory}/queue`;
  const store = createFileStore({ root, hashQueueNames: 'deferred, defer', hashQueueDepth: 1, longQueueIds: false });
  const arrival = Math.floor(Date.now() / 1000) - age;
  const recipients = to.map((text) => ({ address: text.replace(/^[!+]/, ''), originalAddress: '', dsnOrcpt: '', dsnNotify: text.startsWith('+') ? 1 : 0, offset: 0, done: text.startsWith('!') }));
  const envelope: Envelope = { ...emptyEnvelope(), arrivalTime: { seconds: arrival, microseconds: 0 }, createTime: arrival, sender: 'ann@home.test', recipients, ...changes };
  const writer = store.create();
  const records = new RecordWriter();
  const dataOffset = writeEnvelope(records, envelope);
  records.put(recordType.normal, 'Subject: hello');
  records.put(recordType.normal, '');
  records.put(recordType.normal, 'hello');
  const contentSize = writeExtracted(records, envelope) - dataOffset;
  for (const piece of records.take()) writer.write(piece);
  writer.patch(0, encodeRecord(recordType.size, renderSize({ contentSize, dataOffset, recipientCount: to.length, queueFlags: to.some((text) => text.startsWith('+')) ? 4 : 0, contentLength: 22, sendOptions: 0 })));
  await writer.commit('incoming');
  const { queueId } = writer;
  if (queue === 'deferred') store.move(queueId, 'incoming', 'deferred');
  const [entry] = [...store.list(queue)].filter((each) => each.queueId === queueId);
  const [uid, gid] = kind === 'ours' ? [instanceAccounts().uid, instanceAccounts().gid] : execFileSync('getent', ['passwd', 'postfix'], { encoding: 'latin1' }).split(':').slice(2, 4).map(Number) as [number, number];
  for (const path of [entry!.path, entry!.path.slice(0, entry!.path.lastIndexOf('/'))]) chownSync(path, uid, gid);
  chmodSync(entry!.path, 0o700 | mode);
  utimesSync(entry!.path, arrival, arrival);
  return queueId;
}

/** How long a deferred message waits from now on, seconds. */
function waits(house: House, queueId: string): number | undefined {
  const root = `${house.directory}/queue/deferred`;
  const path = readdirSync(root, { recursive: true }).map(String).find((name) => name.endsWith(queueId));
  return path === undefined ? undefined : Math.round((statSync(`${root}/${path}`).mtimeMs - Date.now()) / 1000);
}

const rows = (port: number): string => `${masterRows('pickup cleanup qmgr rewrite bounce defer trace')}
smtp unix - - n - - smtp
one unix - - n - - smtp -o smtp_tcp_port=${port}
lazy unix - - n - - smtp -o smtp_tcp_port=${port}
held unix - - n - - smtp
${masterRows('showq error retry virtual anvil flush')}
`;

const letters: Readonly<Record<string, Letter>> = {
  new: { to: ['x@dead.test'], queue: 'incoming' },
  'twenty minutes': { to: ['x@dead.test'], age: 1200 },
  'a day': { to: ['x@dead.test'], age: 86_400 },
  'six days': { to: ['x@dead.test'], age: 6 * 86_400 },
  'returned by the operator': { to: ['x@next.test', 'y@next.test'], mode: 0o010 },
  'of a transport that is not used': { to: ['x@held.test'] },
  'of one that is not there': { to: ['x@gone.test'] },
  'for several': { to: ['z@b.next.test', 'm@a.next.test', 'b@b.next.test', 'A@next.test', 'a@next.test'], queue: 'incoming' },
  redirected: { to: ['a@next.test', 'b@next.test', 'c@other.test'], envelope: { redirect: 'else@next.test' }, queue: 'incoming' },
  'with a sender for each': { to: ['joe@next.test', 'ann@next.test'], envelope: { sender: 'list@home.test', verpDelimiters: '+=' }, queue: 'incoming' },
  'late, and the sender is to be told': { to: ['x@dead.test'], age: 7200, envelope: { warnTime: Math.floor(Date.now() / 1000) - 10 } },
  'late, and the sender was told': { to: ['x@dead.test'], age: 7200, envelope: { warnTime: -1 } },
  'not late yet': { to: ['x@dead.test'], age: 7200, envelope: { warnTime: Math.floor(Date.now() / 1000) + 3600 } },
  'late, but comes': { to: ['x@next.test'], age: 7200, envelope: { warnTime: -1 } },
  'of a transport that is not used, but asked for': { to: ['x@held.test'], mode: 0o040 },
  'recorded (sendmail -v)': { to: ['x@next.test', 'y@dead.test'], envelope: { traceFlags: 0x400 }, queue: 'incoming' },
  'looked into (sendmail -bv)': { to: ['x@next.test', 'y@dead.test'], envelope: { traceFlags: 0x200 }, queue: 'incoming' },
  'filtered': { to: ['x@far.test', 'y@wide.test'], envelope: { contentFilter: 'smtp:[127.0.0.1]:PORT' }, queue: 'incoming' },
  'a report that is five days old': { to: ['x@dead.test'], age: 6 * 86_400, envelope: { sender: '' } },
  'a report that is young': { to: ['x@dead.test'], age: 600, envelope: { sender: '' } },
  'done in part': { to: ['!x@next.test', 'y@next.test', '!z@dead.test'], age: 900 },
  'done': { to: ['!x@next.test', '!z@dead.test'], age: 900 },
  'wanted news of success': { to: ['+x@next.test', 'y@next.test'], queue: 'incoming' },
  'older than all time limits, but comes': { to: ['x@next.test'], age: 20 * 86_400 },
  'returned by the operator, and young': { to: ['x@held.test'], mode: 0o010, age: 5 },
  'of two that are dead and one that is not': { to: ['x@dead.test', 'x@next.test', 'x@gone.test'], age: 400 },
  'for many at one place': { to: Array.from({ length: 60 }, (_, number) => `many${number}@next.test`), queue: 'incoming' },
};

interface Result { readonly lines: Record<string, string[]>; readonly waits: Record<string, number | undefined>; readonly seen: string[]; readonly gaps: Record<string, number[]> }

/** Log lines about a message, without what differs from run to run. */
function plain(house: House, queueId: string): string[] {
  return house.lines(new RegExp(`/(qmgr|smtp|one|lazy|held|error|retry|bounce)\\[\\d+\\]: ${queueId}: `))
    .map((line) => line.replace(/^.*?postfix\//, '').replace(/\[\d+\]: \w+: /, ': ').replace(/delay=[\d.]+, delays=[\d./]+/, 'delay=').replace(/sender non-delivery notification: .*/, 'sender non-delivery notification')
      .replaceAll(/:\d{4,5}\b/g, ':PORT').replace(/(notification|report): \w+$/, '$1').replace(/, tls=[^,]*/, '').replace(/\(250 2.0.0 taken\)/, '(ok)'));
}

async function run(kind: Kind, t: TestContext): Promise<Result> {
  const { port, seen } = await nextHop(t);
  const deadPort = await freePort();
  const here = (number: string): string => `[127.0.0.1]:${number}`;
  const mainCf = `inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = host.example.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:nobody
smtp_connection_cache_on_demand = no
smtp_tls_security_level = none
virtual_mailbox_domains = home.test
virtual_mailbox_maps = static:all
virtual_transport = smtp:${here(String(port))}
transport_maps = inline:{{dead.test = smtp:${here(String(deadPort))}} {next.test = smtp:${here(String(port))}} {.next.test = smtp:${here(String(port))}} {other.test = smtp:${here(String(port))}}
 {held.test = held:${here(String(port))}} {gone.test = gone:here} {one.test = one:[127.0.0.1]} {lazy1.test = lazy:[127.0.0.1]} {lazy2.test = lazy:[127.0.0.1]:${port}}}
parent_domain_matches_subdomains =
defer_transports = held
confirm_delay_cleared = yes
one_destination_rate_delay = 2s
lazy_transport_rate_delay = 2s
default_destination_concurrency_failed_cohort_limit = 100
`;
  const house = await (kind === 'ours' ? Instance : DebianPostfix).create({ mainCf, masterCf: rows(port) });
  t.after(() => house.stop());
  const ids = new Map<string, string>();
  for (const [name, letter] of Object.entries(letters)) {
    const { contentFilter } = letter.envelope ?? {};
    const envelope = contentFilter === undefined ? {} : { envelope: { contentFilter: contentFilter.replace('PORT', String(port)) } };
    ids.set(name, await put(house, kind, { ...letter, ...envelope }));
  }
  for (const name of ['one', 'lazy1', 'lazy2']) for (let number = 0; number < (name === 'one' ? 3 : 2); number++) await put(house, kind, { to: [`u${number}@${name}.test`], queue: 'incoming' });
  await house.start();
  const isOver = (name: string): boolean => {
    const id = ids.get(name)!;
    return house.lines(new RegExp(`${id}: removed`)).length > 0 || (waits(house, id) ?? -1) > 0;
  };
  await eventually(`${kind}: all is done`, () => [...ids.keys()].every(isOver));
  await eventually(`${kind}: the slow ones too`, () => seen.filter(({ recipients: [to] }) => /@(one|lazy.)\.test$/.test(to!)).length === 7);
  const times = (pattern: RegExp): number[] => seen.filter(({ recipients: [to] }) => pattern.test(to!)).map(({ at }) => at).sort((a, b) => a - b);
  const gaps = (all: number[]): number[] => all.slice(1).map((at, before) => Math.round((at - all[before]!) / 1000));
  return {
    lines: Object.fromEntries([...ids].map(([name, id]) => [name, plain(house, id).sort()])),
    waits: Object.fromEntries([...ids].map(([name, id]) => [name, waits(house, id)])),
    seen: seen.map(({ sender, recipients }) => `${sender}: ${recipients.join(' ')}`).filter((text) => !text.startsWith(': ')).sort(),
    gaps: { destination: gaps(times(/@one\.test$/)), transport: gaps(times(/@lazy.\.test$/)) },
  };
}

test("our queue manager and Debian's, with the same mail", { skip: noDebianPostfix() }, async (t) => {
  const [ours, theirs] = [await run('ours', t), await run("Debian's", t)];
  for (const name of Object.keys(letters)) {
    await t.test(`mail that is ${name}: the log`, () => {
      assert.ok(theirs.lines[name]!.length > 1);
      assert.deepEqual(ours.lines[name], theirs.lines[name]);
    });
    await t.test(`mail that is ${name}: when it is tried again`, () => {
      const [one, other] = [ours.waits[name], theirs.waits[name]];
      // Looked at when all was over, which does not take equally long.
      if (one === undefined || other === undefined) assert.equal(one, other);
      else assert.ok(Math.abs(one - other) <= 40, `${one} and ${other} seconds`);
    });
  }
  await t.test('what the next hop gets, and who is named first', () => assert.deepEqual(ours.seen, theirs.seen));
  await t.test('pauses of a destination and of a transport, in seconds', () => {
    assert.deepEqual(ours.gaps, theirs.gaps);
    assert.deepEqual(ours.gaps, { destination: [2, 2], transport: [2, 2, 2] });
  });
});

/** Where nobody listens at first, and somebody later. */
async function listen(t: TestContext, port: number): Promise<void> {
  const { close } = await openSink(() => undefined, { port });
  t.after(close);
}

for (const kind of ['ours', "Debian's"] as const) {
  test(`postqueue -i tries every destination of a message, in however many parts its recipients are read: ${kind}`, { skip: noDebianPostfix() }, async (t) => {
    const [dead, late] = [await freePort(), await freePort()];
    const mainCf = `inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = host.example.test
mydestination =
alias_maps =
local_transport = error:nobody
smtp_tls_security_level = none
qmgr_message_active_limit = 4
initial_destination_concurrency = 1
qmgr_clog_warn_time = 0
qmgr_message_recipient_limit = 4
qmgr_message_recipient_minimum = 4
transport_maps = inline:{{dead.test = smtp:[127.0.0.1]:${dead}} {late.test = smtp:[127.0.0.1]:${late}}}
`;
    const house = await (kind === 'ours' ? Instance : DebianPostfix).create({ mainCf, masterCf: rows(late) });
    t.after(() => house.stop());
    const to = [...Array.from({ length: 12 }, (_, at) => `a${at}@dead.test`), ...Array.from({ length: 3 }, (_, at) => `z${at}@late.test`)];
    const queueId = await put(house, kind, { to, queue: 'incoming' });
    await house.start();
    await eventually('it waits', () => (waits(house, queueId) ?? -1) > 0);
    assert.equal(house.lines(/to=<z[0-9]@late\.test>.*status=deferred/).length, 3);
    await listen(t, late);
    if (kind === 'ours') execFileSync(process.execPath, [commands, 'postqueue', '-c', `${house.directory}/etc`, '-i', queueId]);
    else execFileSync('/usr/sbin/postqueue', ['-c', `${house.directory}/etc`, '-i', queueId]);
    await eventually('it was tried again', () => house.lines(/to=<a[0-9]+@dead\.test>.*status=deferred/).length === 24 && house.lines(/to=<z[0-9]@late\.test>.*status=/).length === 6);
    assert.equal(house.lines(/to=<z[0-9]@late\.test>.*status=sent/).length, 3);
  });
}
