/**
 * What a hostile server at the other end says (CVE-2020-8794: its reply, written to the queue and read again as records) is text, cut to a
 * length and cleaned: the message is deferred or returned, the report has no header and the queue file no record that the server made up.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

type Fate = 'bounced' | 'deferred';

/** What it says to RCPT; `closes`: and hangs up. Local parts of recipients name the rows. */
const answers: ReadonlyMap<string, { readonly text: string; readonly fate: Fate; readonly closes?: boolean }> = new Map(Object.entries({
  records: { text: '550-no\nT:evil\nR:evil@example.test\r\n550 X-Evil: 1\r\n', fate: 'bounced' },
  header: { text: '550 5.1.1 no\rX-Evil: 1\rSubject: evil\r\n', fate: 'bounced' },
  later: { text: '450 4.2.0 <a@b>: \0action=delivered\0status=sent\r\n', fate: 'deferred' },
  escape: { text: '550 5.1.1 \x1b[2J\x07\x9b2J\t\x7f\r\n', fate: 'bounced' },
  attributes: { text: '550 5.1.1 no\r\n\r\nrecipient=evil@example.test\naction=relayed\r\n', fate: 'bounced', closes: true },
  percent: { text: '550 5.1.1 %s%n%x ${run{x}} $(id) `id`\r\n', fate: 'bounced' },
  utf8: { text: '550 5.1.1 \xe2\x80\xae\xc3\x28\xff\r\n', fate: 'bounced' },
  status: { text: '550 2.0.0 all is well\r\n', fate: 'bounced' },
  strange: { text: '999 9.9.9 what\r\n', fate: 'bounced' },
  wordless: { text: 'no digits here\r\n', fate: 'deferred', closes: true },
  lines: { text: `${'550-no\r\n'.repeat(10_000)}550 no\r\n`, fate: 'bounced' },
  long: { text: `550 ${'x'.repeat(300_000)}\r\n`, fate: 'deferred' },
  endless: { text: 'y'.repeat(2_000_000), fate: 'deferred', closes: true },
  half: { text: '250', fate: 'deferred', closes: true },
  silent: { text: '', fate: 'deferred', closes: true },
} as const));

async function hostileServer(): Promise<{ port: number; close(): void }> {
  const server = net.createServer((socket) => {
    let input = '';
    socket.on('error', () => undefined).write('220 hostile.example.test\r\n');
    socket.on('data', (bytes: Buffer) => {
      input += bytes.toString('latin1');
      for (let end = input.indexOf('\r\n'); end >= 0 && socket.writable; end = input.indexOf('\r\n')) {
        const line = input.slice(0, end);
        input = input.slice(end + 2);
        const answer = answers.get(/^RCPT TO:<([a-z0-9]+)@/i.exec(line)?.[1] ?? '');
        if (answer === undefined) socket.write(line.startsWith('EHLO') ? '250 hostile.example.test\r\n' : '250 ok\r\n');
        else if (answer.closes) socket.end(answer.text, 'latin1');
        else socket.write(answer.text, 'latin1');
      }
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { port: (server.address() as net.AddressInfo).port, close: () => void server.close() };
}

const bin = fileURLToPath(new URL('../../bin', import.meta.url));

test('replies of a hostile server', async (t) => {
  const server = await hostileServer();
  const port = await freePort();
  const { uid, gid } = instanceAccounts();
  const instance = await Instance.create({
    compiled: true,
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry virtual anvil showq')}\n`,
    mainCf: `mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:${server.port}
virtual_mailbox_domains = example.test
virtual_mailbox_maps = inline:{ ann@example.test=ann/ }
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
`,
  });
  t.after(async () => {
    await instance.stop();
    server.close();
  });
  const { directory } = instance;
  mkdirSync(`${directory}/mail`);
  chownSync(`${directory}/mail`, uid, gid);
  instance.mainCf(`virtual_mailbox_base = ${directory}/mail\n`);
  await instance.start();

  const queueIds = new Map<string, string>();
  for (const name of answers.keys()) queueIds.set(name, await submit({ port, sender: 'ann@example.test', recipients: [`${name}@far.test`], text: `Subject: to ${name}\n\nhello\n` }));
  const fates = new Map<string, string>();
  for (const [name, queueId] of queueIds) {
    const [line] = await eventually(`${name} has an outcome`, () => {
      const found = instance.lines(new RegExp(`${queueId}: to=<${name}@far\\.test>.*status=`));
      return found.length > 0 ? found : undefined;
    });
    fates.set(name, /status=(\w+)/.exec(line!)![1]!);
    assert.ok(line!.length < 2100, `${name}: a line of ${line!.length}`);
  }
  assert.deepEqual([...fates], [...answers].map(([name, { fate }]) => [name, fate]));
  assert.doesNotMatch(instance.log(), /[\x00-\x09\x0b-\x1f\x7f]/);

  const bounces = [...answers.values()].filter(({ fate }) => fate === 'bounced').length;
  const place = `${directory}/mail/ann/new`;
  await eventually('the first report is there', () => existsSync(place));
  await eventually('the reports are there', () => readdirSync(place).length === bounces);
  for (const file of readdirSync(place)) {
    const text = readFileSync(`${place}/${file}`, 'latin1');
    assert.doesNotMatch(text, /^(?:X-Evil|T:|R:|recipient=|Subject: evil)/m);
    assert.doesNotMatch(text, /[\x00-\x08\x0b-\x1f\x7f]/);
    assert.equal(text.match(/^Action: /gm)?.length, 1);
    assert.match(text, /^Action: failed$/m);
    assert.match(text, /^Status: 5\./m);
    assert.ok(text.length < 100_000, `a report of ${text.length} bytes`);
  }
  // What waits has the one recipient that it had.
  for (const [name, { fate }] of answers) {
    if (fate !== 'deferred') continue;
    const listed = execFileSync(`${bin}/postcat`, ['-c', `${directory}/etc`, '-qe', queueIds.get(name)!], { encoding: 'latin1' });
    assert.deepEqual(listed.match(/^(?:recipient|done_recipient|original_recipient): .*$/gm)?.filter((line) => /^(?:done_)?recipient/.test(line)), [`recipient: ${name}@far.test`]);
  }
  assert.deepEqual(instance.lines(/(panic|fatal|unexpected|corrupt)/), []);
});
