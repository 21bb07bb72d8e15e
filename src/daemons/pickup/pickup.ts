/**
 * pickup(8): brings local mail into the queue, from the maildrop and from users who hand it over through the socket.
 *
 * A few bytes on the socket are a wake-up: the maildrop is looked through. What begins with a request is a submission, as records
 * (ipc/submission.ts) or as a call of the compiled sendmail (ipc/sendmail-call.ts). Many users may be served at once, whatever the
 * process limit of the row says, since the row's limit is about who looks through the maildrop; no user but root may take more than
 * half of the places.
 */
import { effectiveUid, isRoot } from '../../host/identity.ts';
import { peerCredentials } from '../../host/sockets.ts';
import { zoneAt } from '../../host/zone.ts';
import { cleanupFlag, externalFlags } from '../../ipc/cleanup.ts';
import { overriddenFlags } from '../../ipc/override-options.ts';
import { sendmailRequest } from '../../ipc/sendmail-call.ts';
import { submissionRequest } from '../../ipc/submission.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { mailOwner } from '../../server/mail-owner.ts';
import { openSubmitters } from '../../tables/submitters.ts';
import { tableContext } from '../../tables/table.ts';
import { splitList } from '../../text/ascii.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { AccountsOfCallers } from './accounts.ts';
import { Maildrop } from './maildrop.ts';
import type { OwnName } from './message.ts';
import { SendmailCall, type SendmailSetup } from './sendmail-call.ts';
import { Submission, type SubmissionSetup } from './submission.ts';

const parameters = [
  'myhostname', 'mail_name', 'content_filter', 'receive_override_options', 'cleanup_service_name', 'smtputf8_enable', 'smtputf8_autodetect_classes',
  'line_length_limit', 'message_size_limit', 'queue_directory', 'hash_queue_names', 'hash_queue_depth', 'enable_long_queue_ids',
  'default_process_limit', 'ipc_timeout', 'verp_delimiter_filter', 'requiretls_enable',
] as const;

export const daemon: Daemon = {
  card: {
    name: 'pickup',
    summary: 'local mail pickup',
    group: 'queue',
    calls: ['cleanup'],
    privileges: { user: 'mail_owner', network: false, writes: ['maildrop'] },
    row: 'pickup    unix  n       -       n       60      1       pickup',
    standards: [],
  },
  open: (tools) => new Pickup(tools),
};

/** Milliseconds for the first bytes. */
const patience = 10_000;

class Pickup implements Service {
  readonly calls = { wake: (): void => this.trigger() };
  readonly #tools: Tools;
  readonly #maildrop: Maildrop;
  readonly #submissions: SubmissionSetup;
  readonly #calls: SendmailSetup;
  readonly #timeout: number;
  readonly #places: number;
  readonly #users = new Map<number, number>();
  /** A round through the maildrop is under way; another one was asked for meanwhile. */
  #round: Promise<void> | undefined;
  #again = false;

  constructor(tools: Tools) {
    const { config, log, clock, services, row, store } = tools;
    const view = config.view(parameters);
    zoneAt(clock.now()); // reads the zone's file, which a chroot may lack
    const context = tableContext(config, log, tools.restart);
    const utf8 = view.smtputf8_enable && detectsUtf8(view.smtputf8_autodetect_classes) ? cleanupFlag.autoUtf8 : 0;
    const own: OwnName = {
      hostname: view.myhostname, mailName: view.mail_name, contentFilter: view.content_filter,
      date: (milliseconds) => mailDate(milliseconds / 1000, zoneAt(milliseconds)),
    };
    const accounts = new AccountsOfCallers(() => clock.now(), row.chroot);
    const shared = {
      own, cleanup: services.cleanup(view.cleanup_service_name),
      flags: ((externalFlags | cleanupFlag.bounce) & ~overriddenFlags(view.receive_override_options)) | utf8,
      submitters: openSubmitters(context, row.chroot ? (uid) => accounts.find(uid)?.name : undefined),
      lineLimit: view.line_length_limit,
      now: () => clock.now(),
    };
    this.#tools = tools;
    this.#timeout = view.ipc_timeout * 1000;
    this.#places = Math.max(1, Math.floor(view.default_process_limit / 2));
    this.#submissions = { ...shared, sizeLimit: view.message_size_limit };
    this.#calls = {
      config, intake: this.#submissions, account: (uid) => accounts.find(uid),
      rules: { verpDelimiterFilter: view.verp_delimiter_filter, requireTls: view.requiretls_enable, smtputf8: view.smtputf8_enable },
    };
    this.#maildrop = new Maildrop({
      ...shared, log, queueDirectory: view.queue_directory, store,
      paths: new QueuePaths({ hashQueueNames: view.hash_queue_names, hashQueueDepth: view.hash_queue_depth }),
      ownerUid: isRoot() ? mailOwner(config).uid : effectiveUid(),
    });
  }

  trigger(): void {
    if (this.#round !== undefined) {
      this.#again = true;
      return;
    }
    this.#round = this.#lookThrough().finally(() => {
      this.#round = undefined;
      if (this.#again) this.trigger();
    });
  }

  busy(): boolean {
    return this.#round !== undefined;
  }

  async drain(): Promise<void> {
    this.#again = false;
    await this.#round;
  }

  async client({ socket, log, ending }: Session): Promise<void> {
    socket.on('error', () => undefined); // a user who goes away is no concern of ours
    socket.setTimeout(patience, () => socket.destroy());
    const chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>;
    try {
      const opening = await openingOf(chunks);
      if (opening === undefined) return;
      if (opening.request === 'wake up') return this.trigger();
      socket.setTimeout(this.#timeout);
      const caller = peerCredentials(socket);
      const input = withFirst(opening.rest, chunks);
      const isCall = opening.request === sendmailRequest;
      await this.#counted(caller.uid, log, () => (isCall ? new SendmailCall(this.#calls, socket, log, caller, input).serve(ending)
        : new Submission(this.#submissions, socket, log, caller.uid).serve(input)));
    } catch (error) {
      if (!socket.destroyed && socket.errored === null) throw error;
    }
  }

  async #lookThrough(): Promise<void> {
    this.#again = false;
    try {
      await this.#maildrop.empty();
    } catch (error) {
      this.#tools.log.warning(`maildrop: ${(error as Error).message}`);
    }
  }

  async #counted(uid: number, log: Session['log'], serve: () => Promise<void>): Promise<void> {
    const taken = this.#users.get(uid) ?? 0;
    // No answer: the user's program goes another way, or tries again later.
    if (uid !== 0 && taken >= this.#places) return log.warning(`uid=${uid}: too many submissions at once (${taken})`);
    this.#users.set(uid, taken + 1);
    try {
      await serve();
    } finally {
      const left = this.#users.get(uid)! - 1;
      if (left === 0) this.#users.delete(uid);
      else this.#users.set(uid, left);
    }
  }
}

const requests = [submissionRequest, sendmailRequest];

interface Opening { readonly request: string; readonly rest: Buffer }

/** What the client begins with: one of the requests, or a wake-up; undefined when the client left. */
async function openingOf(chunks: AsyncIterableIterator<Buffer>): Promise<Opening | undefined> {
  let head = Buffer.alloc(0);
  for (;;) {
    const { value, done } = await chunks.next();
    if (done) return undefined;
    head = Buffer.concat([head, value]);
    const text = head.toString('latin1');
    const request = requests.find((each) => text.startsWith(each));
    if (request !== undefined) return { request, rest: head.subarray(request.length) };
    if (!requests.some((each) => each.startsWith(text))) return { request: 'wake up', rest: head };
  }
}

async function* withFirst(first: Buffer, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  if (first.length > 0) yield first;
  yield* chunks;
}

function detectsUtf8(classes: string): boolean {
  return splitList(classes).some((name) => name === 'sendmail' || name === 'all');
}
