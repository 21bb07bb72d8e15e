/**
 * qmqpd(8): qmqp-source, ours and Debian's, gets its mail through; and what packets of all kinds are answered with, and what is delivered of them, is what
 * Debian's qmqpd makes of them.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { netstring } from '../../src/protocol/qmqp/netstring.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { openSink } from '../faults/sink.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const run = promisify(execFile);
const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const debianSource = '/usr/sbin/qmqp-source';

interface Place { readonly house: Instance | DebianPostfix; readonly door: number; readonly taken: string[] }

async function open(t: TestContext, side: string, more = ''): Promise<Place> {
  const door = await freePort();
  const taken: string[] = [];
  const sink = await openSink((text) => void taken.push(text));
  t.after(() => sink.close());
  const options = {
    mainCf: `inet_protocols = ipv4
mydestination =
alias_maps =
relayhost = [127.0.0.1]:${sink.port}
smtp_tls_security_level = none
qmqpd_authorized_clients = 127.0.0.0/8
qmqpd_error_delay = 0
message_size_limit = 10000
queue_minfree = 0
mail_name = Same
${more}`,
    masterCf: `127.0.0.1:${door} inet n - n - - qmqpd\n${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry')}\n`,
  };
  const house = side === 'ours' ? await Instance.create(options) : await DebianPostfix.create({ ...options, mainCf: `myhostname = host.example.test\n${options.mainCf}` });
  t.after(() => house.stop());
  await house.start();
  return { house, door, taken };
}

for (const [whose, command, words] of [['ours', process.execPath, [commands, 'qmqp-source']], ["Debian's", debianSource, []]] as const) {
  test(`qmqp-source, ${whose}: fifty messages over ten connections`, { skip: !existsSync(command) && `${command} is not installed` }, async (t) => {
    const { house, door, taken } = await open(t, 'ours');
    await run(command, [...words, '-s', '10', '-m', '50', '-l', '4000', '-f', 'ann@home.test', '-t', 'joe@site.test', `127.0.0.1:${door}`]);
    await eventually('all arrived', () => taken.length === 50);
    assert.equal(house.lines(/qmqpd\[[0-9]+\]: [0-9A-F]+: client=localhost\[127.0.0.1\]$|qmqpd\[[0-9]+\]: [0-9A-F]+: client=unknown\[127.0.0.1\]$/).length, 50);
    assert.equal(house.lines(/qmqpd\[[0-9]+\]: disconnect from /).length, 50);
  });
}

/** The whole answer to these bytes, after which the client says no more. */
function answer(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    let heard = '';
    socket.on('error', reject).on('data', (chunk) => { heard += chunk.toString('latin1'); }).on('close', () => resolve(heard));
    socket.end(bytes);
  });
}

const text = 'Subject: x\n\nhello\n';
const packet = (content: string, sender: string, ...recipients: string[]): Buffer => netstring(netstring(content), netstring(sender), ...recipients.map((each) => netstring(each)));

const packets: readonly (readonly [title: string, bytes: Buffer])[] = [
  ['one recipient', packet(text, 'ann@home.test', 'joe@site.test')],
  ['two recipients', packet(text, 'ann@home.test', 'joe@site.test', 'bob@site.test')],
  ['no recipient', packet(text, 'ann@home.test')],
  ['nothing', Buffer.alloc(0)],
  ['no netstring', Buffer.from('EHLO x\r\n')],
  ['half a packet', packet(text, 'ann@home.test', 'joe@site.test').subarray(0, 30)],
  ['a packet without its end', packet(text, 'ann@home.test', 'joe@site.test').subarray(0, -1)],
  ['too large', packet('x'.repeat(10_001), 'ann@home.test', 'joe@site.test').subarray(0, '10040:10001:'.length)],
  ['a long address', packet(text, 'a'.repeat(2049), 'joe@site.test')],
  ['VERP', packet(text, 'list-@home.test-@[]', 'joe@site.test')],
  ['VERP with delimiters that are none', packet(text, 'listx@home.test-@[]', 'joe@site.test')],
  ['almost VERP', packet(text, '-@[]', 'joe@site.test')],
  ['too many hops', packet(`${'Received: from a by b; now\n'.repeat(60)}${text}`, 'ann@home.test', 'joe@site.test')],
  ['mailbox lines', packet(`From ann\n>From bob\n${text}`, 'ann@home.test', 'joe@site.test')],
  ['a blank in front', packet(' blank\nmore\n', 'ann@home.test', 'joe@site.test')],
  ['no end of the last line', packet('Subject: x\n\nhello', 'ann@home.test', 'joe@site.test')],
  ['CR LF line ends', packet('Subject: x\r\n\r\nhello\r\n', 'ann@home.test', 'joe@site.test')],
  ['a long line', packet(`Subject: x\n\n${'y'.repeat(5000)}\n`, 'ann@home.test', 'joe@site.test')],
  ['an empty message', packet('', 'ann@home.test', 'joe@site.test')],
  ['the null sender', packet(text, '', 'joe@site.test')],
];

/** Ids, dates and process numbers differ. */
function plain(text: string, id = /queued as ([0-9A-F]+)/.exec(text)?.[1] ?? 'none'): string {
  return text.replaceAll(id, 'ID').replace(/\b[0-9A-F]{9,}\b/g, 'ID').replace(/^[0-9]+:/, '').replace(/[A-Z][a-z]{2}, +[0-9]+ [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [-+0-9]{5} \([A-Z]+\)/g, 'DATE').replace(/(Message-Id: <)[^>]*/i, '$1');
}

test("what packets are answered with, and what becomes of them, is as with Debian's", { skip: noDebianPostfix() }, async (t) => {
  const [ours, theirs] = [await open(t, 'ours'), await open(t, "Debian's")];
  for (const [title, bytes] of packets) {
    await t.test(title, async () => {
      const heard: { replies: string; message: string }[] = [];
      for (const place of [theirs, ours]) {
        const before = place.taken.length;
        const replies = await answer(place.door, bytes);
        if (/:K/.test(replies)) await eventually('it arrives', () => place.taken.length > before);
        heard.push({ replies: plain(replies), message: plain(place.taken.slice(before).join('')) });
      }
      assert.deepEqual(heard[1], heard[0]);
    });
  }
  const log = (place: Place): string[] => place.house.lines(/qmqpd\[/).map((line) => plain(line.replace(/^.*qmqpd\[[0-9]+\]: /, ''))).sort();
  assert.deepEqual(log(ours), log(theirs));
});

test('strangers are told that they are', { skip: noDebianPostfix() }, async (t) => {
  for (const side of ['ours', "Debian's"]) {
    const place = await open(t, side, 'qmqpd_authorized_clients = 192.0.2.1\nqmqpd_client_port_logging = yes\n');
    assert.match(await answer(place.door, Buffer.alloc(0)), /^[0-9]+:DError: \w+\[127\.0\.0\.1\]:[0-9]+ is not authorized to use this service,$/);
  }
});
