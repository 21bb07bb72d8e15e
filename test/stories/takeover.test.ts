/**
 * Changing the mail system under a queue that is not empty: what one of the two left on disk, deferred, held, half delivered, damaged,
 * or still in the maildrop, the other lists, reads, releases and delivers. Debian's Postfix and ours share one queue directory here,
 * one after the other.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { openSink, type SinkPlace } from '../faults/sink.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { submit } from '../submit.ts';
import { masterRows } from '../master-rows.ts';

const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const sender = 'bob@client.example.test';

interface Said { readonly status: number | null; readonly out: string; readonly said: string }

/** A mail system on the queue, and its commands. */
interface System {
  readonly house: Instance | DebianPostfix;
  /** Where mail comes in: for queue ids of the short and of the long form. */
  readonly ports: { readonly short: number; readonly long: number };
  run(command: string, argv: readonly string[], input?: string): Promise<Said>;
}

function execute(file: string, argv: readonly string[], input = ''): Promise<Said> {
  return new Promise((resolve) => {
    let [out, said] = ['', ''];
    const child = spawn(file, argv);
    child.stdin.on('error', () => undefined).end(input, 'latin1');
    child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString('latin1'); });
    child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
    child.on('close', (status) => resolve({ status, out, said }));
  });
}

const masterCf = ({ short, long }: System['ports']): string => `127.0.0.1:${short} inet n - n - - smtpd
127.0.0.1:${long} inet n - n - - smtpd -o cleanup_service_name=cleanup-long
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
cleanup-long unix n - n - 0 cleanup -o enable_long_queue_ids=yes
${masterRows('qmgr rewrite bounce defer trace smtp error retry flush showq')}
`;

/** What Debian's Postfix wants to talk to, and this release of ours has not. */
const theirRows = 'flush unix n - n 1000? 0 flush\nscache unix - - n - 1 scache\n';

/** `absent` is where the second domain's mail goes. */
const mainCf = (sink: number, absent: number): string => `myhostname = host.example.test
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
relay_domains = live.example.test, absent.example.test
transport_maps = inline:{{live.example.test = smtp:[127.0.0.1]:${sink}}, {absent.example.test = smtp:[127.0.0.1]:${absent}}}
hash_queue_depth = 2
smtp_tls_security_level = none
smtp_line_length_limit = 0
smtpd_peername_lookup = no
`;

/** Both systems on one queue directory; for `maker` the second domain is out of reach, for `taker` it is there. */
async function open(t: TestContext, makerIsOurs: boolean, place: SinkPlace = {}): Promise<{ maker: System; taker: System; queue: string; sunk: string[] }> {
  const [closed, sunk] = [await freePort(), [] as string[]];
  const sink = await openSink((text) => sunk.push(text), place);
  const ports = async (): Promise<System['ports']> => ({ short: await freePort(), long: await freePort() });
  const [ourPorts, theirPorts] = [await ports(), await ports()];
  const debian = await DebianPostfix.create({ mainCf: mainCf(sink.port, makerIsOurs ? sink.port : closed), masterCf: masterCf(theirPorts) + theirRows });
  const queue = `${debian.directory}/queue`;
  const ours = await Instance.create({ mainCf: mainCf(sink.port, makerIsOurs ? closed : sink.port), masterCf: masterCf(ourPorts) });
  const file = `${ours.directory}/etc/main.cf`;
  writeFileSync(file, readFileSync(file, 'latin1').replace(/^queue_directory = .*$/m, `queue_directory = ${queue}`));
  t.after(async () => {
    if (!t.passed) t.diagnostic(`Debian's:\n${debian.log()}\nours:\n${ours.log()}`);
    await Promise.all([sink.close(), ours.end(), debian.end()]);
    await Promise.all([ours.stop(), debian.stop()]);
  });
  const our: System = { house: ours, ports: ourPorts, run: (command, argv, input) => execute(process.execPath, [runner, command, ...argv], input) };
  const their: System = { house: debian, ports: theirPorts, run: (command, argv, input) => execute(`/usr/sbin/${command}`, argv, input) };
  return makerIsOurs ? { maker: our, taker: their, queue, sunk } : { maker: their, taker: our, queue, sunk };
}

const etc = ({ house }: System): string => `${house.directory}/etc`;

function text(subject: string, body: string): string {
  return `From: ${sender}\nMessage-ID: <${subject}@client.example.test>\nDate: Sat, 21 Nov 2026 12:00:00 +0100\nSubject: ${subject}\n\n${body}`;
}

const subjectOf = (message: string): string => /^Subject: (.*?)\r?$/m.exec(message)![1]!;

/** What is sent; each is one kind of thing that a queue can hold. */
const bodies: ReadonlyMap<string, string> = new Map([
  ['plain', 'hello\n'],
  ['dots', '.\n..\n.x\nFrom here\n>From there\n\n\n'],
  ['eight-bit', 'gr\xfc\xdfe \xff\xfe \x80\n'],
  ['long-lines', `${'x'.repeat(5000)}\n${'y'.repeat(2048)}\n${'z'.repeat(2047)}\n`],
  ['large', `${'0123456789abcdef'.repeat(4)}\n`.repeat(20_000)],
  ['empty', ''],
  ['half', 'one recipient has it already\n'],
  ['held', 'wait for me\n'],
  ['held-long', 'wait for me too\n'],
  ['active', 'its mail system was killed while it was being delivered\n'],
  ['incoming', 'its mail system was killed before it looked at it\n'],
  ['damaged', 'most of this will be missing\n'.repeat(50)],
  ['torn', 'the end of this will be missing\n'.repeat(50)],
]);

const idOf = (ids: ReadonlyMap<string, string>, subject: string): string => ids.get(subject)!;

/** Queue files, by path below the queue directory. */
function files(queue: string, name: string): string[] {
  return readdirSync(`${queue}/${name}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`.slice(queue.length + 1)).sort();
}

function fileOf(queue: string, name: string, queueId: string): string {
  return `${queue}/${files(queue, name).find((path) => path.endsWith(`/${queueId}`)) ?? `${name} without ${queueId}`}`;
}

/** Fill the queue: queue ids by subject. The maker has ended then. */
async function make(maker: System, queue: string): Promise<Map<string, string>> {
  await maker.house.start();
  const ids = new Map<string, string>();
  let isLong = false;
  for (const [subject, body] of bodies) {
    const recipients = subject === 'half' ? ['ann@live.example.test', 'joe@absent.example.test'] : ['joe@absent.example.test'];
    ids.set(subject, await submit({ port: maker.ports[isLong || subject === 'held-long' ? 'long' : 'short'], sender, recipients, text: text(subject, body) }));
    isLong = !isLong;
  }
  await eventually('all is deferred', () => files(queue, 'deferred').length === bodies.size && files(queue, 'active').length === 0);
  for (const subject of ['held', 'held-long']) assert.equal((await maker.run('postsuper', ['-c', etc(maker), '-h', idOf(ids, subject)])).status, 0);
  cutInHalf(fileOf(queue, 'deferred', idOf(ids, 'damaged')));
  await maker.run('postqueue', ['-c', etc(maker), '-i', idOf(ids, 'damaged')]);
  await eventually('the damaged message is set aside', () => files(queue, 'corrupt').length === 1);
  await maker.house.end();
  const late = await maker.run('sendmail', ['-C', etc(maker), '-f', sender, 'joe@absent.example.test'], text('late', 'the mail system is down\n'));
  assert.equal(late.status, 0, late.said);
  await eventually('it is in the maildrop', () => files(queue, 'maildrop').length === 1);
  for (const name of ['active', 'incoming']) renameSync(fileOf(queue, 'deferred', idOf(ids, name)), `${queue}/${name}/${idOf(ids, name)}`);
  cutInHalf(fileOf(queue, 'deferred', idOf(ids, 'torn')));
  return ids;
}

function cutInHalf(path: string): void {
  truncateSync(path, Math.floor(statSync(path).size / 2));
}

for (const [name, makerIsOurs] of [["a queue that Debian's Postfix made, and Postern takes over", false], ["a queue that Postern made, and Debian's Postfix takes over", true]] as const) {
  test(name, { skip: noDebianPostfix() }, async (t) => {
    const { maker, taker, queue, sunk } = await open(t, makerIsOurs);
    const ids = await make(maker, queue);
    const waiting = [...ids].filter(([subject]) => subject !== 'damaged' && subject !== 'torn').map(([, queueId]) => queueId);
    let kept = '';
    const both = async (command: string, argv: readonly string[]): Promise<[Said, Said]> =>
      [await maker.run(command, ['-c', etc(maker), ...argv]), await taker.run(command, ['-c', etc(taker), ...argv])];

    await t.test('queue ids are short and long, the deferred queue is hashed two deep', () => {
      const lengths = new Set([...ids.values()].map((id) => /^[0-9A-F]{6,15}$/.test(id) ? 'short' : /^[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10}z/.test(id) ? 'long' : id));
      assert.deepEqual([...lengths].sort(), ['long', 'short']);
      for (const path of [...files(queue, 'deferred'), ...files(queue, 'defer')]) assert.match(path, /^defer(red)?\/[0-9A-F]\/[0-9A-F]\/[^/]+$/);
    });

    await t.test('it is listed alike: deferred with the reason, held, active, torn, in the maildrop', async () => {
      const [before, after] = await both('postqueue', ['-p']);
      assert.equal(after.out, before.out);
      assert.equal(after.status, before.status);
      for (const subject of ['held', 'held-long']) assert.match(after.out, new RegExp(`^${idOf(ids, subject)}! `, 'm'));
      assert.equal(after.out.match(/\(.*connect to 127\.0\.0\.1\[127\.0\.0\.1\]:[0-9]+: Connection refused\)$/gm)!.length, bodies.size - 1);
      assert.match(after.out, new RegExp(`^-- [0-9]+ Kbytes in ${bodies.size} Requests\\.$`, 'm'));
      assert.match(after.out, new RegExp(`^${idOf(ids, 'active')}\\* `, 'm'));
    });

    await t.test('every message is read alike', async () => {
      const [before, after] = await both('postcat', ['-q', ...waiting, idOf(ids, 'torn')]);
      assert.deepEqual([after.status, after.out], [before.status, before.out]);
      kept = (await taker.run('postcat', ['-c', etc(taker), '-bh', '-q', ...waiting])).out;
    });

    const corrupt = readFileSync(fileOf(queue, 'corrupt', idOf(ids, 'damaged')));
    const deliveredBefore = sunk.length;
    await taker.house.start();

    await t.test('held mail stays until it is released', async () => {
      await eventually('the maildrop is emptied', () => files(queue, 'maildrop').length === 0);
      assert.deepEqual(files(queue, 'hold').length, 2);
      assert.equal((await taker.run('postsuper', ['-c', etc(taker), '-H', 'ALL'])).status, 0);
      assert.deepEqual(files(queue, 'hold'), []);
    });

    await t.test('all mail goes out, byte for byte as it was read', async () => {
      assert.equal((await taker.run('postqueue', ['-c', etc(taker), '-f'])).status, 0);
      await eventually('all are delivered', () => sunk.length >= deliveredBefore + waiting.length + 1);
      await eventually('the queue is empty', () => ['incoming', 'active', 'deferred'].every((name) => files(queue, name).length === 0));
      assert.deepEqual(files(queue, 'defer').filter((path) => ![idOf(ids, 'damaged'), idOf(ids, 'torn')].some((id) => path.endsWith(`/${id}`))), []);
      assert.deepEqual(await taker.run('postqueue', ['-c', etc(taker), '-p']), { status: 0, out: 'Mail queue is empty\n', said: '' });
      const got = new Map(sunk.slice(deliveredBefore).map((message) => [subjectOf(message), `${message.replaceAll('\r\n', '\n')}\n`]));
      assert.equal(got.size, waiting.length + 1);
      for (const [subject, message] of got) assert.ok(message.endsWith(bodies.get(subject) ?? 'the mail system is down\n'), subject);
      assert.equal([...ids.keys()].flatMap((subject) => got.get(subject) ?? []).join(''), kept);
    });

    await t.test('who had the message already does not get it again', () => {
      assert.equal(maker.house.lines(/to=<ann@live\.example\.test>.*status=sent/).length, 1);
      assert.deepEqual(taker.house.lines(/ann@live\.example\.test/), []);
    });

    await t.test('damaged mail is set aside with a warning and otherwise left alone', async () => {
      await eventually('the torn message is set aside', () => files(queue, 'corrupt').length === 2);
      assert.equal(taker.house.lines(new RegExp(`saving corrupt file "${idOf(ids, 'torn')}" from queue "active" to queue "corrupt"`)).length, 1);
      assert.deepEqual(readFileSync(fileOf(queue, 'corrupt', idOf(ids, 'damaged'))), corrupt);
    });

    await t.test('our log complains of nothing else', () => {
      const ours = (makerIsOurs ? maker : taker).house;
      const expected = new RegExp(`Mail system is down -- accessing queue directly|${idOf(ids, 'damaged')}|${idOf(ids, 'torn')}`);
      assert.deepEqual(ours.lines(/panic|fatal|error:|warning:/).filter((line) => !expected.test(line)), []);
    });
  });
}

function leftInJournal(queue: string): string[] {
  return existsSync(`${queue}/journal`) ? readdirSync(`${queue}/journal`) : [];
}

/** Connections to one destination at a time: what may be under way when the mail system stops. */
const concurrency = 20;

for (const [name, makerIsOurs] of [["stopped while it delivers: Debian's Postfix, and Postern takes over", false], ["stopped while it delivers: Postern, and Debian's Postfix takes over", true]] as const) {
  test(name, { skip: noDebianPostfix() }, async (t) => {
    const { maker, taker, queue, sunk } = await open(t, makerIsOurs, { wait: 150 });
    const sent: string[] = [];
    await maker.house.start();
    // Half of it waits in line when the stop comes, some has only just come.
    for (let round = 0; round < 4; round++) {
      const subjects = Array.from({ length: 20 }, (_, index) => `flying-${round}-${index}`);
      await Promise.all(subjects.map((subject, index) =>
        submit({ port: index % 2 === 0 ? maker.ports.short : maker.ports.long, sender, recipients: ['joe@live.example.test'], text: text(subject, `this is ${subject}\n`) })));
      sent.push(...subjects);
    }
    await eventually('the first are delivered', () => sunk.length >= 5);
    await maker.house.end();
    const before = sunk.length;
    assert.ok(before < sent.length, 'some was not delivered yet');
    assert.deepEqual(leftInJournal(queue), [], 'there is no journal at rest');
    await taker.house.start();
    await eventually('all is delivered', () => new Set(sunk.map(subjectOf)).size === sent.length);
    await eventually('the queue is empty', () => ['incoming', 'active', 'deferred'].every((each) => files(queue, each).length === 0));
    assert.deepEqual(sunk.map(subjectOf).filter((subject) => !sent.includes(subject)), []);
    assert.ok(sunk.length - sent.length <= concurrency, `${sunk.length - sent.length} were delivered twice`);
    await taker.house.end();
    assert.deepEqual(leftInJournal(queue), [], 'there is no journal at rest');
    t.diagnostic(`${before} of ${sent.length} delivered before the stop, ${sunk.length - sent.length} twice`);
  });
}
