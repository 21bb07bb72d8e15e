/** For tests of pickup: a cleanup that writes down what it is given, a directory with a maildrop, and pickup itself on a socket. */
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { parseMasterCf } from '../../config/master-cf.ts';
import { ears } from '../../delivery/testing.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Cleanup, CleanupOptions, CleanupReply } from '../../ipc/cleanup.ts';
import { encodeRecord } from '../../message/record.ts';
import { storeFor } from '../../queue/file-store.ts';
import { systemClock } from '../../server/clock.ts';
import type { Tools } from '../../server/daemon.ts';
import { Ending } from '../../server/ending.ts';
import type { Submitters } from '../../tables/submitters.ts';
import type { OwnName } from './message.ts';
import { daemon } from './pickup.ts';

/** `records` are type letters with their text; M and X where the segments begin. */
export interface Handed { readonly flags: number; readonly records: string[]; content: string; fate: 'open' | 'kept' | 'aborted' }

export class PretendedCleanup implements Cleanup {
  readonly messages: Handed[] = [];
  /** What the next messages are answered. */
  reply: CleanupReply = { status: 0, reason: '' };
  down = false;

  open({ flags }: CleanupOptions) {
    if (this.down) throw new ServiceTrouble('public/cleanup', 'connection refused');
    const message: Handed = { flags, records: [], content: '', fate: 'open' };
    this.messages.push(message);
    return {
      queueId: `ID${this.messages.length}`,
      record: (type: number, text: string) => void message.records.push(String.fromCharCode(type) + text),
      message: () => void message.records.push('M'),
      content: (chunk: Buffer) => { message.content += chunk.toString('latin1'); return true; },
      drained: () => Promise.resolve(),
      extracted: () => void message.records.push('X'),
      end: () => { message.fate = this.reply.status === 0 ? 'kept' : 'aborted'; return Promise.resolve(this.reply); },
      abort: () => { message.fate = 'aborted'; },
    };
  }
}

export const own: OwnName = { hostname: 'host.example.org', mailName: 'Postfix', contentFilter: '', date: (milliseconds) => `<${Math.floor(milliseconds / 1000)}>` };

export const everyone: Submitters = { refused: () => undefined, maySendAs: () => true };

export const now = 1_800_000_000_000;

/** Records written as text. */
export function encoded(...records: readonly string[]): Buffer {
  return Buffer.concat(records.map((record) => encodeRecord(record.charCodeAt(0), Buffer.from(record.slice(1), 'latin1'))));
}

/** A queue directory, which becomes the working directory; `put` makes a file in its maildrop, as old as `now`. */
export function queueDirectory(t: TestContext) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'pickup-'));
  fs.mkdirSync(`${root}/maildrop`);
  process.chdir(root);
  t.after(() => {
    process.chdir(os.tmpdir());
    fs.rmSync(root, { recursive: true });
  });
  const put = (name: string, bytes: Buffer | string, mode = 0o744, time = now / 1000): void => {
    fs.writeFileSync(`maildrop/${name}`, bytes);
    fs.chmodSync(`maildrop/${name}`, mode);
    fs.utimesSync(`maildrop/${name}`, time, time);
  };
  return { root, put, files: () => fs.readdirSync('maildrop').sort() };
}

/** The daemon as it is, on a socket at `path`, with pretended surroundings. */
export async function servedPickup(t: TestContext, settings: Readonly<Record<string, string>> = {}) {
  const directory = queueDirectory(t);
  const cleanup = new PretendedCleanup();
  const { log, lines } = ears();
  const row = parseMasterCf('pickup unix n - n 60 1 pickup', 'master.cf').rows[0]!;
  const config = new Configuration(directory.root, new Map(), Object.entries({ myhostname: 'host.example.org', mail_owner: 'mail', queue_directory: directory.root, ...settings }));
  const store = storeFor({ hash_queue_names: '', hash_queue_depth: 1, enable_long_queue_ids: false });
  const service = await daemon.open({ row, config, log, clock: systemClock, store, services: { cleanup: () => cleanup }, restart: () => undefined } as unknown as Tools);
  const ending = new Ending();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    service.client!({ socket, log, slot: 1, ending }).then(() => socket.destroySoon(), (error: Error) => socket.destroy(error));
  });
  const path = `${directory.root}/pickup`;
  server.listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
  return { ...directory, cleanup, lines, path, service, ending };
}
