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
  readonly recipient: number;
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

function answerRcpt(exchange: Exchange, reply: Reply, { recipient }: Awaited): void {
  if (!exchange.open.has(recipient)) return; // MAIL was refused
  if (!isPositive(reply)) exchange.fail([recipient], exchange.talk.refused(reply, 'rcpt', 'recipient'));
  else if (exchange.transaction.verify === 'rcpt') exchange.deliver([recipient], reply.status, reply);
  else exchange.accepted.push(recipient);
}

function answerData(exchange: Exchange, reply: Reply): void {
  const { talk, transaction, accepted } = exchange;
  if (replyClass(reply) !== 3) {
    if (accepted.length > 0) exchange.failOpen(talk.refused(reply, 'data', 'message'));
    exchange.abort();
  } else if (transaction.verify === 'data') {
    // The server waits for content that will not come: all that is left is to hang up.
    exchange.deliver([...exchange.open], '2.0.0', reply);
    exchange.hangUp(true);
  } else if (accepted.length === 0) exchange.dot();
  else exchange.wantContent();
}

function answerDot(exchange: Exchange, reply: Reply, { recipient }: Awaited): void {
  const { talk, accepted } = exchange;
  const concerned = recipient >= 0 ? [recipient] : [...exchange.open];
  if (accepted.length > 0 && isPositive(reply)) exchange.deliver(concerned, reply.status, reply);
  else if (accepted.length > 0) exchange.fail(concerned, talk.refused(reply, 'dot', recipient >= 0 ? 'recipient' : 'message'));
  if (talk.head?.stage !== 'dot' || talk.head.exchange !== exchange) exchange.finish();
}

export class Exchange {
  readonly talk: Conversation;
  readonly transaction: Transaction;
  /** Recipients without outcome. */
  readonly open: Set<number>;
  /** Recipients that the server has taken, in order. */
  readonly accepted: number[] = [];
  /** The content is being asked for. */
  streaming = false;
  over = false;
  /** The connection stays for the next message: decided with the last command. */
  kept = false;
  /** Its commands followed another message directly, and its content has not begun. */
  behind: boolean;
  private readonly lead: Command[];
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
    this.open = new Set(transaction.recipients.keys());
    this.lead = leadingCommands(talk, transaction, behind);
  }

  /** It was said to its end, and the connection is for further use. */
  get isFollowable(): boolean {
    return this.dotSaid && this.kept;
  }

  /** Send what may be sent now. */
  advance(): void {
    for (let command = this.upcoming(); command && this.talk.maySay(command.line); command = this.upcoming()) {
      if (this.hopeless(command)) return this.abort();
      this.talk.say(command.stage, command.line, this, command.recipient);
      this.step(command);
    }
  }

  private upcoming(): Command | undefined {
    if (this.over || this.dataSaid) return undefined;
    if (this.lead.length > 0) return this.lead[0];
    const recipient = this.transaction.recipients[this.nextRecipient];
    if (recipient) return { stage: 'rcpt', line: rcptCommand(recipient, this.talk.features), recipient: this.nextRecipient };
    if (this.transaction.verify === 'rcpt') return { stage: 'abort', line: 'RSET', recipient: -1 };
    return { stage: 'data', line: 'DATA', recipient: -1 };
  }

  // In step with the server: MAIL was refused, or every recipient.
  private hopeless({ stage }: Command): boolean {
    if (this.talk.awaiting.length > 0) return false;
    return (stage === 'rcpt' && this.open.size === 0) || (stage === 'data' && this.accepted.length === 0);
  }

  private step({ stage }: Command): void {
    if (this.lead.length > 0) this.lead.shift();
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

  deliver(recipients: readonly number[], status: string, reply: Reply): void {
    const { talk } = this;
    for (const recipient of recipients) this.open.delete(recipient);
    talk.emit({ kind: 'delivered', recipients, status, text: oneLine(reply) });
  }

  fail(recipients: readonly number[], failure: Failure): void {
    for (const recipient of recipients) this.open.delete(recipient);
    if (recipients.length > 0) this.talk.emit({ kind: 'failed', recipients, failure });
  }

  failOpen(failure: Failure): void {
    this.fail([...this.open], failure);
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

function leadingCommands(talk: Conversation, transaction: Transaction, behind: boolean): Command[] {
  const commands: Command[] = [];
  // Is a connection from an earlier message still good? With pipelining the question costs no round trip.
  if (talk.uses > 1 && !behind) commands.push({ stage: 'probe', line: 'RSET', recipient: -1 });
  for (const { group, line } of xforwardCommands(transaction.xforward, talk.features))
    commands.push({ stage: group === 0 ? 'xforwardClient' : 'xforwardSession', line, recipient: -1 });
  commands.push({ stage: 'mail', line: mailCommand(transaction, talk.features, talk.settings.dummyMailAuth), recipient: -1 });
  return commands;
}

function reusable({ suspect, settings, uses, now, openedAt }: Conversation): boolean {
  if (suspect || now > openedAt + settings.reuseTime * 1000) return false;
  return settings.reuseCount <= 0 || uses <= settings.reuseCount;
}
