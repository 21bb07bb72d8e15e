/** Our tlsmgr(8) and Debian's answer the same, byte for byte but for what is secret. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { Instance } from '../instance.ts';

const masterCf = 'tlsmgr unix - - n 1000? 1 tlsmgr\n';
const request = (...parts: string[]): string => `request\0${parts.join('\0')}\0\0`;
const requests = [
  request('policy', 'cache_type', 'smtpd'), request('policy', 'cache_type', 'lmtp'), request('policy', 'cache_type', 'imap'), request('tktkey', 'keyname', ''),
  request('tktkey', 'keyname', Buffer.alloc(16, 7).toString('base64')), request('tktkey', 'keyname', 'AAAA'), request('seed', 'size', '32'), request('seed', 'size', '0'),
  request('lookup', 'cache_type', 'smtpd', 'cache_id', 'x'), request('update', 'cache_type', 'smtp', 'cache_id', 'x', 'session', 'AAAA'), request('delete', 'cache_type', 'smtp', 'cache_id', 'x'),
];

/** What a tlsmgr says: its greeting and one answer per request, secrets as their lengths. */
function answers(path: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const heard: string[] = [];
    const socket = net.connect({ path }).on('error', reject).setTimeout(20_000, () => reject(new Error('tlsmgr is silent')));
    let text = '';
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (!text.endsWith('\0\0')) return;
      heard.push(text.replace(/[A-Za-z0-9+/=]{40,}/g, (secret) => `<${secret.length}>`));
      text = '';
      const next = requests[heard.length - 1];
      if (next !== undefined) return void socket.write(next, 'latin1');
      socket.destroy();
      resolve(heard);
    });
  });
}

test('answers of tlsmgr', { skip: noDebianPostfix() }, async () => {
  const ours = await Instance.create({ masterCf });
  const theirs = await DebianPostfix.create({ masterCf });
  try {
    await Promise.all([ours.start(), theirs.start()]);
    assert.deepEqual(await answers(`${ours.directory}/queue/private/tlsmgr`), await answers(`${theirs.directory}/queue/private/tlsmgr`));
    const warnings = (lines: string[]): string[] => lines.map((line) => line.replace(/^.*?: (?=warning)/, ''));
    assert.deepEqual(warnings(ours.lines(/tlsmgr.*warning: (?:bogus|invalid)/)), warnings(theirs.lines(/tlsmgr.*warning: (?:bogus|invalid)/)));
  } finally {
    await ours.stop();
    await theirs.stop();
  }
});
