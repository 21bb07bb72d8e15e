/** PostSRSd from Debian rewrites senders on the way out and finds them on the way back, by tcp: tables, as its own page sets Postfix up. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { missing, RealPrograms } from '../real-programs.ts';
import { Talk } from '../tls-scene.ts';

const postsrsd = '/usr/sbin/postsrsd';

async function send(port: number, sender: string, recipient: string): Promise<string[]> {
  const talk = await Talk.open(port);
  const said = [await talk.hear()];
  for (const line of ['EHLO client.test', `MAIL FROM:<${sender}>`, `RCPT TO:<${recipient}>`, 'DATA', 'Subject: x\r\n\r\ny\r\n.', 'QUIT']) said.push(await talk.ask(line));
  talk.close();
  return said;
}

test('PostSRSd: out, and back', { skip: missing(postsrsd) }, async () => {
  const programs = new RealPrograms('postsrsd');
  const [forward, reverse, port] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(`${programs.directory}/secret`, 'a secret of this test\n');
  const system = await Instance.create({
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows('cleanup qmgr rewrite bounce defer trace error retry discard')}\n`,
    mainCf: `
mydestination = home.test
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
default_transport = discard
local_transport = discard
sender_canonical_maps = tcp:127.0.0.1:${forward}
sender_canonical_classes = envelope_sender
recipient_canonical_maps = tcp:127.0.0.1:${reverse}
recipient_canonical_classes = envelope_recipient, header_recipient
`,
  });
  try {
    await programs.start(reverse, postsrsd, `-s${programs.directory}/secret`, '-dhome.test', `-f${forward}`, `-r${reverse}`, '-l127.0.0.1', '-4');
    await system.start();
    const from = async (sender: string, recipient: string): Promise<string> => {
      const before = system.lines(/: from=</).length;
      assert.match((await send(port, sender, recipient)).join('\n'), /queued as/);
      return (await eventually('it is in the queue', () => system.lines(/: from=</)[before])).replace(/^.*: from=<(.*?)>.*$/, '$1');
    };
    const rewritten = await from('ann@elsewhere.test', 'bob@far.test');
    assert.match(rewritten, /^SRS0=[^=]+=[^=]+=elsewhere\.test=ann@home\.test$/);
    assert.equal(await from('joe@home.test', 'bob@far.test'), 'joe@home.test');
    assert.equal(await from('', 'bob@far.test'), '');
    // A report comes back to the address that we gave.
    assert.equal(await from('', rewritten), '');
    const back = await eventually('it went on to the sender', () => system.lines(/orig_to=<SRS0=/)[0]);
    assert.match(back, /: to=<ann@elsewhere\.test>, orig_to=<SRS0=[^>]+@home\.test>, relay=none, .* status=sent/);
    // Not by a hash of somebody else's.
    await from('', rewritten.replace(/^SRS0=[^=]+/, 'SRS0=AAAA'));
    await eventually('a forged one stays here', () => system.lines(/: to=<SRS0=AAAA=[^>]+@home\.test>, relay=none/)[0]);
    assert.equal(system.lines(/warning|fatal/).filter((line) => !line.includes('postlogd')).length, 0, system.log());
  } finally {
    // Its process for a connection ends with the connection.
    await system.stop();
    await programs.stop();
  }
});
