/**
 * showq(8): tells whoever connects what is in the queue, and hangs up.
 *
 * A client that reads slowly holds up only itself, and one that goes away ends its listing. The socket is open to every user of this
 * machine: who may see the queue says authorized_mailq_users; root and the mail system itself always may.
 */
import type net from 'node:net';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { effectiveUid } from '../../host/identity.ts';
import { peerCredentials } from '../../host/sockets.ts';
import { encodeShowq, showqFarewell, showqGreeting } from '../../ipc/showq.ts';
import { journaled } from '../../queue/journal-listing.ts';
import { listQueues, type ListingOptions } from '../../queue/listing.ts';
import { openUserList, type UserCheck } from '../../tables/submitters.ts';
import { tableContext, TableTrouble } from '../../tables/table.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import type { Log } from '../../log/log.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';

/** Bytes that are gathered before they are sent; after each such portion others get their turn. */
const portion = 16 << 10;

class Showq implements Service {
  readonly #options: Omit<ListingOptions, 'warn'>;

  readonly #refused: UserCheck;

  constructor({ config, log, store }: Tools) {
    this.#refused = openUserList('authorized_mailq_users', tableContext(config, log));
    const paths = new QueuePaths({ hashQueueNames: config.get('hash_queue_names'), hashQueueDepth: config.get('hash_queue_depth') });
    this.#options = {
      paths, journaled: () => store.residents?.present() ?? journaled(paths),
      emptyAddress: config.get('empty_address_recipient'),
      duplicateLimit: config.get('duplicate_filter_limit'),
      utf8: config.get('smtputf8_enable'),
    };
  }

  async client({ socket, log }: Session): Promise<void> {
    socket.on('error', () => undefined); // the client has heard enough
    if (!await this.#welcome(peerCredentials(socket).uid, log)) return;
    let text = showqGreeting;
    for (const event of listQueues({ ...this.#options, warn: (warning) => log.warning(warning) })) {
      text += encodeShowq(event);
      if (text.length < portion) continue;
      if (!await send(socket, text)) return;
      text = '';
    }
    await send(socket, text + showqFarewell);
  }

  async #welcome(uid: number, log: Log): Promise<boolean> {
    if (uid === 0 || uid === effectiveUid()) return true;
    try {
      const name = await this.#refused(uid);
      if (name !== undefined) log.warning(`user ${name}(${uid}) is not allowed to view the mail queue`);
      return name === undefined;
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      log.warning(`authorized_mailq_users: ${error.message}`);
      return false;
    }
  }
}

/** False when the client is gone. */
async function send(socket: net.Socket, text: string): Promise<boolean> {
  if (socket.destroyed || !socket.writable) return false;
  if (socket.write(text, 'latin1')) await turn();
  else await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
  return !socket.destroyed;
}

export const daemon: Daemon = {
  card: {
    name: 'showq',
    summary: 'lists the queue',
    group: 'queue',
    calls: [],
    privileges: { user: 'mail_owner', network: false, writes: [] },
    row: 'showq     unix  n       -       n       -       -       showq',
    standards: [],
  },
  open: (tools) => new Showq(tools),
};
