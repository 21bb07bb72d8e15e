import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { ears } from '../../delivery/testing.ts';
import { flushStatus } from '../../ipc/flush.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { defaultSettings } from '../../protocol/smtp-server/settings.ts';
import type { Session } from '../../server/daemon.ts';
import { TableTrouble } from '../../tables/table.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import type { Client } from './access/state.ts';
import { Conversation } from './conversation.ts';
import type { Hall } from './hall.ts';

const client = { name: 'unknown', address: '192.0.2.1', literal: '192.0.2.1', port: '2525', label: 'unknown[192.0.2.1]', serverAddress: '', serverPort: '' } as Client;
const nothing = (): undefined => undefined;

/** What a client that asks for its mail hears, and what the log says. */
async function ask(flushSite: (site: string) => MaybePromise<number>): Promise<{ reply: string; lines: string[] }> {
  const { log, lines } = ears();
  const hall = {
    policy: { connect: nothing, hello: nothing, etrn: nothing }, log, flushSite,
    counts: () => ({ connected: nothing, mayStartTls: () => true, gone: nothing }),
    tls: { level: { isUsed: false, isRequired: false, isWrapped: false } }, own: {}, settings: () => defaultSettings('mx.example.org', client.label),
    ticker: { monotonic: () => 0, after: () => ({ cancel: nothing }) }, now: () => 0,
  } as unknown as Hall;
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const peer = net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' }).on('error', nothing);
  const closed = new Promise((resolve) => peer.on('close', resolve));
  const talk = ['EHLO client.example.org', 'ETRN site.test', 'QUIT'];
  let heard = '';
  peer.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    if (/^[0-9]{3} .*\r\n$/m.test(heard.slice(heard.lastIndexOf('\n', heard.length - 2) + 1))) peer.write(`${talk.shift() ?? 'NOOP'}\r\n`);
  });
  await new Conversation({ socket: (await accepted).on('error', nothing), log } as unknown as Session, client, hall).served();
  await closed;
  server.close();
  return { reply: heard.split('\r\n').at(-3)!, lines: lines.filter((line) => !/connect from/.test(line)) };
}

const throwing = (error: Error) => (): never => { throw error; };

const cases: readonly (readonly [title: string, flushSite: (site: string) => MaybePromise<number>, reply: string, lines: readonly string[]])[] = [
  ['it is done', (site) => (site === 'site.test' ? flushStatus.ok : flushStatus.bad), '250 Queuing started', []],
  ['it is done, later', async () => flushStatus.ok, '250 Queuing started', []],
  ['the site is not looked after', () => flushStatus.denied, '459 <site.test>: service unavailable', ['warning: reject: ETRN site.test... from unknown[192.0.2.1]']],
  ['it makes no sense', async () => flushStatus.bad, '458 Unable to queue messages', ['warning: bad ETRN site.test... from unknown[192.0.2.1]']],
  ['it failed', async () => flushStatus.failed, '458 Unable to queue messages', ['warning: unable to talk to fast flush service']],
  ['flush(8) is not there', () => Promise.reject(new ServiceTrouble('flush', 'gone')), '458 Unable to queue messages', ['warning: flush: gone', 'warning: unable to talk to fast flush service']],
  ['a table is not there', throwing(new TableTrouble('fast_flush_domains', 'gone')), '458 Unable to queue messages', ['warning: gone', 'warning: unable to talk to fast flush service']],
];
for (const [title, flushSite, reply, lines] of cases) {
  test(`ETRN: ${title}`, async () => {
    const told = await ask(flushSite);
    assert.equal(told.reply, reply);
    assert.deepEqual(told.lines, lines);
  });
}
