/**
 * Only CR LF . CR LF ends a message (CVE-2023-51764, CVE-2023-51765, CVE-2023-51766, CVE-2023-52354): between two transactions stand all
 * the would-be ends that were ever taken for one. The machine sees one message, however the bytes are cut; what the mail system
 * relays has no line end but CR LF, so that the next server cannot see two either.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { Rehearsal, untilData } from '../../src/protocol/smtp-server/testing.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { falseEnds } from './line-ends.ts';

const smuggled = 'MAIL FROM:<evil@elsewhere.test>\r\nRCPT TO:<joe@example.test>\r\nDATA\r\nsmuggled\r\n.\r\n';
const trueEnd = '\r\n.\r\n';

function mails(end: string, rule: 'normalize' | 'note' | 'reject', bytewise: boolean): { senders: string[]; content: string; codes: string } {
  const play = new Rehearsal({ smtpd_forbid_bare_newline: rule }).drain().say(...untilData);
  const text = `Subject: one\r\n\r\none${end}${smuggled}`;
  play.say(...(bytewise ? text : [text]));
  const senders = play.questions.flatMap((question) => (question.verb === 'MAIL' ? [question.sender] : []));
  // Of a message that is refused nothing is kept, however much of it was handed over.
  return { senders, content: rule === 'reject' ? '' : play.content, codes: play.codes };
}

test('what does not end a message, ends none', () => {
  const ends = falseEnds();
  assert.ok(ends.length > 180);
  for (const rule of ['normalize', 'note', 'reject'] as const) {
    for (const { name, bytes } of ends) {
      const whole = mails(bytes, rule, false);
      assert.deepEqual(whole.senders, ['a@one.test'], `${name}, ${rule}`);
      assert.deepEqual(mails(bytes, rule, true), whole, `${name}, ${rule}, byte by byte`);
      if (rule === 'normalize') assert.match(whole.content, /MAIL FROM:<evil@elsewhere\.test>/, name);
    }
  }
  // The same with the true end is two messages: else nothing would be proven.
  assert.deepEqual(mails(trueEnd, 'normalize', false).senders, ['a@one.test', 'evil@elsewhere.test']);
});

/** A server that keeps every byte, and takes what ends with the true end. */
async function rawServer(): Promise<{ port: number; received: string[]; close(): void }> {
  const received: string[] = [];
  const server = net.createServer((socket) => {
    let input = '';
    let inData = false;
    socket.on('error', () => undefined).write('220 raw.example.test\r\n');
    socket.on('data', (bytes: Buffer) => {
      input += bytes.toString('latin1');
      for (;;) {
        const at = input.indexOf(inData ? trueEnd : '\r\n');
        if (at < 0) return;
        const part = input.slice(0, at);
        input = input.slice(at + (inData ? trueEnd.length : 2));
        if (inData) received.push(part);
        socket.write(inData ? '250 taken\r\n' : part === 'DATA' ? '354 go\r\n' : part === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n');
        inData = !inData && part === 'DATA';
      }
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { port: (server.address() as net.AddressInfo).port, received, close: () => void server.close() };
}

test('what is relayed has CR LF as its only line end, and dots doubled', async (t) => {
  const next = await rawServer();
  const port = await freePort();
  const instance = await Instance.create({
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry anvil')}\n`,
    mainCf: `relayhost = [127.0.0.1]:${next.port}\nmynetworks = 127.0.0.0/8\nsmtpd_forbid_bare_newline_exclusions =\nmydestination =\nalias_maps =\nlocal_recipient_maps =\n`,
  });
  t.after(async () => {
    await instance.stop();
    next.close();
  });
  await instance.start();
  const client = await SmtpClient.meet(port);
  const ends = falseEnds();
  for (const [at, { name, bytes }] of ends.entries()) {
    for (const line of ['MAIL FROM:<ann@example.test>', 'RCPT TO:<joe@relay.example.test>']) assert.equal((await client.command(line)).code, 250);
    assert.equal((await client.command('DATA')).code, 354);
    const header = `Subject: ${at}\r\nX-Split: a\rX-Evil: yes\r\n`;
    assert.match((await client.content(Buffer.from(`${header}\r\none${bytes}${smuggled}`, 'latin1'))).text, /^250 2\.0\.0 Ok: queued as /, name);
  }
  await client.quit();
  await eventually('all are relayed', () => next.received.length >= ends.length);
  assert.equal(next.received.length, ends.length);
  for (const text of next.received) {
    const name = ends[Number(/^Subject: ([0-9]+)$/m.exec(text)![1])]!.name;
    assert.doesNotMatch(text, /\r(?!\n)|(?<!\r)\n/, name);
    assert.doesNotMatch(text, /(?:^|\r\n)\.(?:\r\n|$)/, name);
    assert.match(text, /\r\nMAIL FROM:<evil@elsewhere\.test>\r\n|one.*MAIL FROM:<evil@elsewhere\.test>\r\n/s, name);
    assert.doesNotMatch(text, /^X-Evil/m, name);
  }
});
