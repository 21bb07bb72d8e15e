/** What tlsproxy_tls_* is to STARTTLS in postscreen(8): encryption can be turned off there, and what differs is told. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import net from 'node:net';
import test from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const pem = fileURLToPath(new URL('../dialogues/tls.pem', import.meta.url));

/** What the second EHLO and STARTTLS got, and the log of one session. */
async function visit(rowSettings: string): Promise<{ readonly replies: string; readonly protocol: string | null; readonly log: readonly string[] }> {
  const port = await freePort();
  const instance = await Instance.create({
    mainCf: `inet_protocols = ipv4\npostscreen_access_list =\npostscreen_greet_wait = 1s\npostscreen_pipelining_enable = yes\npostscreen_cache_map =
smtpd_tls_security_level = may\nsmtpd_tls_cert_file = $config_directory/tls.pem\nalias_maps =\n`,
    masterCf: `127.0.0.1:${port} inet n - n - 1 postscreen${rowSettings}\nsmtpd pass - - n - - smtpd\n${masterRows('cleanup qmgr rewrite bounce defer trace error retry discard anvil tlsmgr')}\n`,
  });
  try {
    copyFileSync(pem, `${instance.directory}/etc/tls.pem`);
    await instance.start();
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    let heard = '';
    socket.on('data', (bytes: Buffer) => { heard += bytes.toString('latin1'); });
    const say = async (text: string, reply: RegExp): Promise<void> => {
      const before = heard.length;
      socket.write(text);
      await eventually(`a reply to ${text}`, () => reply.test(heard.slice(before)));
    };
    await eventually('the greeting', () => /^220 /m.test(heard));
    await say('EHLO x\r\n', /^250 /m);
    await say('STARTTLS\r\n', /^[24]\d\d /m);
    let protocol: string | null = null;
    if (/^220 2/m.test(heard)) {
      socket.removeAllListeners('data');
      const secure = tls.connect({ socket, rejectUnauthorized: false }).on('error', () => {});
      await new Promise<void>((resolve, reject) => { secure.once('secureConnect', resolve).once('error', reject); });
      protocol = secure.getProtocol();
      secure.destroy();
    } else await say('EHLO x\r\n', /^250 /m);
    socket.destroy();
    await eventually('the client is gone', () => instance.lines(/postscreen\[\d+\]: DISCONNECT/).length > 0 && instance.lines(/tlsproxy\[\d+\]: DISCONNECT/).length > 0);
    return { replies: heard, protocol, log: instance.lines(/tlsproxy\[\d+\]: warning: /).map((line) => line.replace(/^.*?: warning: /, '')) };
  } finally {
    await instance.stop();
  }
}

test('turned off: the client hears 454 and goes on', async () => {
  const { replies, log } = await visit(' -o tlsproxy_tls_security_level=none');
  assert.match(replies, /250-STARTTLS\r\n[^]*454 4\.7\.0 TLS not available due to local problem\r\n250-/);
  assert.deepEqual(log, ['TLS server role is disabled by configuration']);
});

test('other files are told of, and not used', async () => {
  const { protocol, log } = await visit(' -o tlsproxy_tls_cert_file=/nonexistent/cert.pem -o postscreen_tls_protocols=TLSv1.2');
  assert.equal(protocol, 'TLSv1.2');
  assert.equal(log[0], 'request from tlsproxy server with unexpected settings');
  assert.match(log[1]!, /^\(server\) 'cert_file=\/nonexistent\/cert\.pem' != \(client\) 'cert_file=[^']*\/tls\.pem'; \(server\) 'protocols=>=TLSv1' != \(client\) 'protocols=TLSv1\.2'$/);
});

test('the same everywhere, as usual: nothing is told', async () => {
  const { protocol, log } = await visit('');
  assert.deepEqual([protocol, log], ['TLSv1.3', []]);
});
