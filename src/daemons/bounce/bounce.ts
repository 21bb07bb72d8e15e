/**
 * bounce(8): keeps a log per message of what became of its recipients, and turns it into reports to the sender.
 *
 * The row's service name (bounce, defer, trace) says which logs. A status other than 0 means that nothing was done and the log is as
 * it was; the client then keeps the recipient for later. Requests about one message are worked off in the order they come.
 */
import { bounceFlag, bounceService } from '../../ipc/bounce.ts';
import { serveCalls } from '../../ipc/serve.ts';
import type { Calls } from '../../ipc/service.ts';
import type { ShapeValue } from '../../ipc/shape.ts';
import { requestFlag } from '../../ipc/deliver.ts';
import type { ReportKind } from '../../message/bounce-templates.ts';
import { dsnRet } from '../../message/dsn.ts';
import { sendOption } from '../../message/envelope-names.ts';
import { queueIdOk } from '../../queue/queue-id.ts';
import type { Daemon, Service, Tools } from '../../server/daemon.ts';
import { printable } from '../../text/ascii.ts';
import { isDoubleBounce, openDesk, type Desk } from './desk.ts';
import { cleanTexts, entryOf, renderEntry } from './log-entry.ts';
import { delay, failure, notify, notifyTrace, traceRoute } from './notify.ts';
import { isWanted, openCase, type Case, type Entries, type ReportedMessage } from './report.ts';
import { notifyEach, notifyWithoutLog } from './verp.ts';

type Requests = typeof bounceService.requests;
type Append = ShapeValue<Requests['append']['request']>;
type Message = ShapeValue<Requests['flush']['request']>;
type Verp = ShapeValue<Requests['verp']['request']>;
type One = ShapeValue<Requests['one']['request']>;
type Status = { status: number };

export const daemon: Daemon = {
  card: {
    name: 'bounce',
    summary: 'delivery logs, and reports to senders',
    group: 'queue',
    calls: ['cleanup'],
    privileges: { user: 'mail_owner', network: false, writes: ['bounce', 'defer', 'trace', 'active', 'incoming'] },
    row: 'bounce    unix  -       -       n       -       0       bounce',
    standards: ['RFC 3461', 'RFC 3462', 'RFC 3464', 'RFC 6522', 'RFC 6533', 'RFC 3834'],
  },
  open,
};

function open(tools: Tools): Service {
  if (!/^[0-9A-Za-z]{1,100}$/.test(tools.row.service)) return tools.log.fatal(`malformed service name: ${tools.row.service}`);
  const desk = openDesk(tools);
  const calls = new Bounces(desk);
  return {
    calls,
    client: ({ socket, log, ending }) => serveCalls(socket, bounceService, calls, log, ending),
    busy: () => desk.logs.busy,
    drain: () => desk.logs.idle(),
  };
}

/** What a file name is made of, and could lead elsewhere. */
class MalformedRequest extends Error {}

const nonDsnFlags = requestFlag.userVerify | requestFlag.record;

class Bounces implements Calls<typeof bounceService> {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  append(request: Append): Promise<Status> {
    return this.#attempt(request, async () => {
      const { logs, view } = this.#desk;
      const { recipient, dsn } = this.#clean(request);
      await logs.append(request.queueId, renderEntry(recipient, dsn, { oldLine: view.backwards_bounce_logfile_compatibility }));
      return 0;
    });
  }

  flush(request: Message): Promise<Status> {
    return this.#report(request, 'failure', (open) => this.#flush(open, request.flags));
  }

  warn(request: Message): Promise<Status> {
    return this.#report(request, 'delay', (open) => notify(open, delay));
  }

  verp(request: Verp): Promise<Status> {
    const { log } = this.#desk;
    const delimiters = printable(request.verpDelimiters, '?', this.#desk.view.smtputf8_enable);
    if (request.sender === '' || isDoubleBounce(this.#desk, request.sender)) {
      log.warning('request to send VERP-style notification of bounced mail');
      return this.flush(request);
    }
    return this.#attempt(request, () => {
      if (delimiters.length !== 2) throw new MalformedRequest(`malformed verp delimiter string: ${delimiters}`);
      return this.#desk.logs.exclusive(request.queueId, () => this.#verp(request, delimiters));
    });
  }

  one(request: One): Promise<Status> {
    return this.#attempt(request, async () => {
      const { service } = this.#desk;
      if (service !== 'bounce') throw new MalformedRequest(`wrong service name "${service}" for one-recipient bouncing`);
      const { recipient, dsn } = this.#clean(request);
      const entry = entryOf(recipient, dsn);
      return this.#withCase('failure', this.#message(request), () => [entry], async (open) => {
        const status = await notify(open, failure, !isWanted(entry, failure.wish));
        if (status === 0 && request.flags & bounceFlag.deleteRecipient) open.original.done(entry.offset);
        return status;
      });
    });
  }

  trace(request: Message): Promise<Status> {
    const { logs } = this.#desk;
    return this.#attempt(request, () => logs.exclusive(request.queueId, async () => {
      const route = traceRoute(this.#desk, request.queueId, request.sender);
      const status = route === undefined ? 0 : await this.#trace(request, route);
      if (status === 0) logs.remove(request.queueId);
      return status;
    }));
  }

  async #flush(open: Case, flags: number): Promise<number> {
    const status = await notify(open, failure);
    if (status !== 0) return status;
    if (flags & bounceFlag.deleteRecipient) for (const { offset } of open.entries?.() ?? []) open.original.done(offset);
    this.#desk.logs.remove(open.message.queueId);
    return 0;
  }

  async #verp(request: Verp, delimiters: string): Promise<number> {
    const { logs } = this.#desk;
    const { queueId } = request;
    const message = this.#message(request);
    if (!await logs.exists(queueId)) return notifyWithoutLog(this.#desk, message);
    const deleteRecipients = (request.flags & bounceFlag.deleteRecipient) !== 0;
    const status = await notifyEach(this.#desk, message, logs.entries(queueId), delimiters, deleteRecipients);
    if (status === 0) logs.remove(queueId);
    return status;
  }

  // Some recipients may have asked for a record and others not, so that at times there is none to send.
  async #trace(request: Message, route: { sender: string; to: string }): Promise<number> {
    const { logs } = this.#desk;
    const { queueId } = request;
    if (!await logs.exists(queueId)) return 0;
    const kind = request.flags & nonDsnFlags ? 'verify' : 'success';
    return this.#withCase(kind, this.#message(request), () => logs.entries(queueId), (open) => notifyTrace(open, route.sender, route.to));
  }

  #report(request: Message, kind: ReportKind, send: (open: Case) => Promise<number>): Promise<Status> {
    const { logs } = this.#desk;
    const { queueId } = request;
    return this.#attempt(request, () => logs.exclusive(queueId, async () => {
      const entries = await logs.exists(queueId) ? () => logs.entries(queueId) : undefined;
      return this.#withCase(kind, this.#message(request), entries, send);
    }));
  }

  async #withCase(kind: ReportKind, message: ReportedMessage, entries: Entries, use: (open: Case) => Promise<number>): Promise<number> {
    const open = openCase(this.#desk, kind, message, entries);
    try {
      return await use(open);
    } finally {
      open.original.close();
    }
  }

  #clean<T extends { recipient: object; dsn: object }>(request: T): Pick<T, 'recipient' | 'dsn'> {
    const utf8 = this.#desk.view.smtputf8_enable;
    return { recipient: cleanTexts(request.recipient, utf8), dsn: cleanTexts(request.dsn, utf8) };
  }

  #message(request: Message): ReportedMessage {
    const { queueName, queueId, encoding, sender, dsnEnvid } = cleanTexts(request, this.#desk.view.smtputf8_enable);
    return { queueName, queueId, encoding, sender, dsnEnvid, ...this.#tlsWishes(request) };
  }

  /** RFC 8689 section 5: what a message that must be encrypted all the way says is not repeated to those who need not be. */
  #tlsWishes({ smtputf8: asked, dsnRet: ret }: Message): { sendOptions: number; dsnRet: number } {
    const { requiretls_enable: enabled, requiretls_redact_dsn: redact } = this.#desk.view;
    if (!enabled || (asked & sendOption.requireTlsEsmtp) === 0) return { sendOptions: asked, dsnRet: ret };
    const sendOptions = asked & ~sendOption.requireTlsHeader;
    return redact ? { sendOptions: sendOptions & ~sendOption.requireTlsEsmtp, dsnRet: dsnRet.headers } : { sendOptions, dsnRet: ret };
  }

  /** Trouble of any kind is logged and becomes a status; a client that said so wants no half-done log left behind. */
  async #attempt(request: { flags: number; queueId: string; queueName?: string }, work: () => Promise<number>): Promise<Status> {
    const { log } = this.#desk;
    let status = -1;
    try {
      this.#check(request);
      status = await work();
    } catch (error) {
      log.warning(error instanceof MalformedRequest ? error.message : `${request.queueId}: ${(error as Error).message}`);
      if (error instanceof MalformedRequest) return { status };
    }
    if (status !== 0 && request.flags & bounceFlag.clean) await this.#clear(request.queueId);
    return { status };
  }

  #check({ queueId, queueName }: { queueId: string; queueName?: string }): void {
    if (queueName !== undefined && !/^[0-9A-Za-z]{1,100}$/.test(queueName)) throw new MalformedRequest(`malformed queue name: ${printable(queueName, '?')}`);
    if (!queueIdOk(queueId)) throw new MalformedRequest(`malformed queue id: ${printable(queueId, '?')}`);
  }

  async #clear(queueId: string): Promise<void> {
    const { logs, log } = this.#desk;
    try {
      await logs.exclusive(queueId, async () => logs.remove(queueId));
    } catch (error) {
      log.warning(`${queueId}: ${(error as Error).message}`);
    }
  }
}
