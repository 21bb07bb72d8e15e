/**
 * One message on a session: MAIL, RCPT, DATA, content, and the outcome of every recipient (RFC 5321 section 3.3).
 *
 * With PIPELINING commands go out before their replies have come (RFC 2920); replies are taken in order, and only in step
 * with the server is the course corrected: RSET when nothing is left to send. LMTP answers once per accepted recipient
 * after the dot (RFC 2033 section 4.2). Every recipient gets exactly one outcome.
 *
 * The commands of a message may go out right behind the dot of the one before. Until its content is wanted it is then as with a
 * connection that was kept: that the server goes away, or says 421 instead of taking the sender, costs the message nothing.
 */
import { mailCommand, rcptCommand, xforwardCommands } from './commands.ts';
import { isPositive } from './conversation.ts';
import type { Awaited, Conversation } from './conversation.ts';
import { oneLine, replyClass } from './reply.ts';
import type { Reply } from './reply.ts';
import { stages } from './stages.ts';
import type { StageName } from './stages.ts';
import type { Failure, Transaction } from './steps.ts';

interface Command {
  readonly stage: StageName;
  readonly line: string;
}

type Answer = (exchange: Exchange, reply: Reply, awaited: Awaited) => void;

export const exchangeAnswers = {
  probe: (exchange, reply) => { if (!isPositive(reply)) exchange.stale(); },
  xforwardClient: warnXforward,
  xforwardSession: warnXforward,
  mail: answerMail,
  rcpt: answerRcpt,
  data: answerData,
  dot: answerDot,
  abort: (exchange) => exchange.finish(),
} as const satisfies Record<string, Answer>;

// The message does not depend on it: where it came from is then not known to the next hop.
function warnXforward({ talk }: Exchange, reply: Reply, { stage }: Awaited): void {
  if (!isPositive(reply)) talk.log('warning', `host ${talk.options.peer.nameAddressPort} said: ${oneLine(reply)} (in reply to ${stages[stage].request})`);
}

function answerMail(exchange: Exchange, reply: Reply): void {
  if (isPositive(reply)) return;
  // RFC 5321 section 3.8: the server closes after 421, and may say so at any time.
  if (exchange.behind && reply.code === 421) exchange.stale();
  else exchange.failOpen(exchange.talk.refused(reply, 'mail', 'message'));
}

// RFC 2920 section 3.1: replies come in the order of the commands.
function answerRcpt(exchange: Exchange, reply: Reply): void {
  const { open, transaction, talk, accepted } = exchange;
  const recipient = exchange.answered++;
  if (!open.has(recipient)) return; // MAIL was refused
  if (!isPositive(reply)) exchange.fail(open.take(recipient), talk.refused(reply, 'rcpt', 'recipient'));
  else if (transaction.verify === 'rcpt') exchange.deliver(open.take(recipient), reply.status, reply);
  else accepted.push(recipient);
}

function answerData(exchange: Exchange, reply: Reply): void {
  const { talk, transaction, accepted } = exchange;
  if (replyClass(reply) !== 3) {
    if (accepted.length > 0) exchange.failOpen(talk.refused(reply, 'data', 'message'));
    exchange.abort();
  } else if (transaction.verify === 'data') {
    // The server waits for content that will not come: all that is left is to hang up.
    exchange.deliver(exchange.open.takeAll(), '2.0.0', reply);
    exchange.hangUp(true);
  } else if (accepted.length === 0) exchange.dot();
  else exchange.wantContent();
}

function answerDot(exchange: Exchange, reply: Reply, { recipient }: Awaited): void {
  const { talk, accepted, open } = exchange;
  if (accepted.length > 0) {
    const concerned = recipient >= 0 ? open.take(recipient) : open.takeAll();
    if (isPositive(reply)) exchange.deliver(concerned, reply.status, reply);
    else exchange.fail(concerned, talk.refused(reply, 'dot', recipient >= 0 ? 'recipient' : 'message'));
  }
  if (talk.head?.stage !== 'dot' || talk.head.exchange !== exchange) exchange.finish();
}

/** The numbers from 0 of those who have no outcome. Most often all get theirs at once. */
class OpenRecipients {
  size: number;
  private readonly count: number;
  private taken: boolean[] | undefined;

  constructor(count: number) {
    this.size = this.count = count;
  }

  has(recipient: number): boolean {
    return this.size > 0 && this.taken?.[recipient] !== true;
  }

  /** This one is open no more. Empty: it was not. */
  take(recipient: number): number[] {
    if (!this.has(recipient)) return [];
    this.taken ??= new Array<boolean>(this.count).fill(false);
    this.taken[recipient] = true;
    this.size--;
    return [recipient];
  }

  /** Nobody is open any more. */
  takeAll(): number[] {
    const all: number[] = [];
    if (this.size > 0) for (let recipient = 0; recipient < this.count; recipient++) if (this.taken?.[recipient] !== true) all.push(recipient);
    this.size = 0;
    return all;
  }
}

export class Exchange {
  readonly talk: Conversation;
  readonly transaction: Transaction;
  /** Recipients without outcome. */
  readonly open: OpenRecipients;
  /** Recipients that the server has taken, in order. */
  readonly accepted: number[] = [];
  /** The content is being asked for. */
  streaming = false;
  over = false;
  /** The connection stays for the next message: decided with the last command. */
  kept = false;
  /** Its commands followed another message directly, and its content has not begun. */
  behind: boolean;
  private readonly lead: readonly Command[];
  private nextLead = 0;
  /** So many have had their reply to RCPT. */
  answered = 0;
  private nextRecipient = 0;
  private dataSaid = false;
  private dotSaid = false;
  private quitSaid = false;

  /** `behind`: the message before it was on this connection just now, or still is. */
  constructor(talk: Conversation, transaction: Transaction, behind: boolean) {
    this.talk = talk;
    this.transaction = transaction;
    this.behind = behind;
    talk.uses++;
    this.open = new OpenRecipients(transaction.recipients.length);
    this.lead = leadingCommands(talk, transaction, behind);
  }

  /** It was said to its end, and the connection is for further use. */
  get isFollowable(): boolean {
    return this.dotSaid && this.kept;
  }

  /** Send what may be sent now. */
  advance(): void {
    while (!this.over && !this.dataSaid) {
      const stage = this.upcoming();
      const line = this.lineOf(stage);
      if (!this.talk.maySay(line)) return;
      if (this.hopeless(stage)) return this.abort();
      this.talk.say(stage, line, this);
      this.step(stage);
    }
  }

  private upcoming(): StageName {
    if (this.nextLead < this.lead.length) return this.lead[this.nextLead]!.stage;
    if (this.nextRecipient < this.transaction.recipients.length) return 'rcpt';
    return this.transaction.verify === 'rcpt' ? 'abort' : 'data';
  }

  private lineOf(stage: StageName): string {
    if (stage === 'rcpt') return rcptCommand(this.transaction.recipients.at(this.nextRecipient)!, this.talk.features);
    if (stage === 'data') return 'DATA';
    return stage === 'abort' ? 'RSET' : this.lead[this.nextLead]!.line;
  }

  // In step with the server: MAIL was refused, or every recipient.
  private hopeless(stage: StageName): boolean {
    if (this.talk.awaiting.length > 0) return false;
    return (stage === 'rcpt' && this.open.size === 0) || (stage === 'data' && this.accepted.length === 0);
  }

  private step(stage: StageName): void {
    if (this.nextLead < this.lead.length) this.nextLead++;
    else if (stage === 'rcpt') this.nextRecipient++;
    else {
      this.dataSaid = true;
      if (stage === 'abort') this.decide();
    }
  }

  /** Take back what the server has of this message. */
  abort(): void {
    this.dataSaid = true;
    this.talk.say('abort', 'RSET', this);
    this.decide();
  }

  wantContent(): void {
    this.behind = false;
    this.streaming = true;
    this.talk.armFor(this.talk.settings.timeouts.dataTransfer);
    this.talk.emit({ kind: 'content' });
  }

  /** The end of the content: one reply, or with LMTP one per accepted recipient. */
  dot(): void {
    this.streaming = false;
    this.dotSaid = true;
    this.talk.write('.\r\n');
    this.talk.transcript?.said('.');
    const perRecipient = this.talk.settings.dialect === 'lmtp' && this.accepted.length > 0;
    for (const recipient of perRecipient ? this.accepted : [-1]) this.talk.expect('dot', this, recipient);
    this.decide();
  }

  // Before the last reply is known: with pipelining QUIT goes out together with the dot, which saves a round trip.
  decide(): void {
    this.kept = this.transaction.keep && reusable(this.talk);
    if (!this.kept && this.talk.features.pipelining) this.quit();
  }

  private quit(): void {
    if (this.quitSaid) return;
    this.quitSaid = true;
    this.talk.say('quit', 'QUIT', this);
  }

  /** They were taken out of `open`; so with fail(). */
  deliver(recipients: readonly number[], status: string, reply: Reply): void {
    this.talk.emit({ kind: 'delivered', recipients, status, text: oneLine(reply) });
  }

  fail(recipients: readonly number[], failure: Failure): void {
    if (recipients.length > 0) this.talk.emit({ kind: 'failed', recipients, failure });
  }

  failOpen(failure: Failure): void {
    this.fail(this.open.takeAll(), failure);
  }

  /** The server would have nothing more to do with this connection, and nothing was lost. */
  stale(): void {
    this.over = true;
    this.talk.emit({ kind: 'stale' });
    this.talk.close();
  }

  /** The connection closes while the message before it is still at hand. */
  abandon(): void {
    if (this.over) return;
    this.over = true;
    this.talk.emit({ kind: 'stale' });
  }

  /** The message is done with, and the connection of no further use, not even for QUIT. */
  hangUp(complete: boolean): void {
    this.over = true;
    this.talk.emit({ kind: 'done', complete });
    this.talk.close();
  }

  /** The message is done with in an orderly way: keep the connection, or take leave. */
  finish(complete = true): void {
    if (this.over) return;
    const { talk } = this;
    this.over = true;
    talk.emit({ kind: 'done', complete });
    // The next message is under way already: what becomes of the connection is decided with that one.
    if (talk.follower && talk.follower !== this) return;
    if (this.kept && !talk.suspect) {
      talk.armFor(undefined);
      talk.emit({ kind: 'ready' });
      return;
    }
    this.quit();
    if (talk.settings.skipQuitResponse) talk.close();
  }
}

/** What need not even be tried. RFC 1870 section 6.1: SIZE; RFC 6531 section 3.2: SMTPUTF8. */
export function objectionTo(talk: Conversation, { smtputf8, size }: Transaction): Failure | undefined {
  const { features, options: { peer } } = talk;
  if (smtputf8 === 'required' && !features.smtputf8) {
    const reason = `message requires SMTPUTF8, but no server was found that supports SMTPUTF8. The last attempted server was ${peer.nameAddress}`;
    return talk.own('5.6.7', reason, 'message', true);
  }
  if (features.sizeLimit > 0 && size > features.sizeLimit)
    return talk.own('5.3.4', `message size ${size} exceeds size limit ${features.sizeLimit} of server ${peer.nameAddress}`, 'message');
  return undefined;
}

function leadingCommands(talk: Conversation, transaction: Transaction, behind: boolean): Command[] {
  const commands: Command[] = [];
  // Is a connection from an earlier message still good? With pipelining the question costs no round trip.
  if (talk.uses > 1 && !behind) commands.push({ stage: 'probe', line: 'RSET' });
  for (const { group, line } of xforwardCommands(transaction.xforward, talk.features))
    commands.push({ stage: group === 0 ? 'xforwardClient' : 'xforwardSession', line });
  commands.push({ stage: 'mail', line: mailCommand(transaction, talk.features, talk.settings.dummyMailAuth) });
  return commands;
}

function reusable({ suspect, settings, uses, now, openedAt }: Conversation): boolean {
  if (suspect || now > openedAt + settings.reuseTime * 1000) return false;
  return settings.reuseCount <= 0 || uses <= settings.reuseCount;
}
