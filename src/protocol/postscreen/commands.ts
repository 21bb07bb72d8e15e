/**
 * The commands that the dummy SMTP engine knows. Every recipient is refused; what is logged of it is the engine's purpose.
 *
 * The replies are Postfix's, also where its SMTP server says it in another way.
 */
import { quote822Local } from '../../message/address.ts';
import { loosePath } from './address.ts';
import { discardedNames, discardSet, ehloReply, sameSet } from './keywords.ts';
import { softened } from './replies.ts';
import { outOfOrder, type Client, type ScreenSettings } from './settings.ts';
import type { Progress } from './stamps.ts';

/** The engine as its commands see it. */
export interface Desk {
  readonly settings: ScreenSettings;
  readonly client: Client;
  readonly progress: Progress;
  protocol: 'SMTP' | 'ESMTP';
  helo: string | undefined;
  sender: string | undefined;
  /** What every recipient hears. */
  readonly recipientReply: string;
  discarded: ReadonlySet<string>;
  log(text: string): void;
  /** Say a last thing and hang up. */
  drop(reply: string): void;
  /** Say 421 and hang up: something of ours is out of order. */
  give(what: string): void;
  startTls(): void;
}

export interface Command {
  /** Gives the reply; undefined when it has seen to that. */
  readonly run: (desk: Desk, args: string) => string | undefined;
  /** Allowed where encryption is required and not there yet. */
  readonly plain?: true;
  /** What follows belongs to the command: it is no offence. */
  readonly hasPayload?: true;
  /** Known, and never served. */
  readonly off?: true;
}

const isEmpty = (args: string): boolean => /^ *$/.test(args);
const firstWord = (args: string): string | undefined => /[^ ]+/.exec(args)?.[0];
const behindColon = (args: string): string | undefined => (args.includes(':') ? args.slice(args.indexOf(':') + 1) : undefined);

function hello(desk: Desk, args: string, syntax: string): string | undefined {
  const name = firstWord(args);
  if (name === undefined) return syntax;
  desk.helo = name;
  desk.sender = undefined;
  return undefined;
}

function ehlo(desk: Desk, args: string): string | undefined {
  const mistake = hello(desk, args, '501 Syntax: EHLO hostname');
  if (mistake !== undefined) return mistake;
  desk.protocol = 'ESMTP';
  const { settings, client, progress } = desk;
  const own = settings.discardsFor(client.address);
  if (own === outOfOrder) return void desk.give('postscreen_discard_ehlo_keyword_address_maps');
  let discarded = settings.discardedKeywords;
  const chosen = own === undefined ? discarded : discardSet(own);
  if (!sameSet(chosen, discarded)) {
    discarded = chosen;
    const names = discardedNames(chosen);
    if (names !== '') desk.log(`[${client.address}]${client.port}: discarding EHLO keywords: ${names}`);
  }
  desk.discarded = progress.isEncrypted ? new Set([...discarded, 'starttls']) : discarded;
  return ehloReply(settings, desk.discarded);
}

function startTls(desk: Desk, args: string): string | undefined {
  if (!isEmpty(args)) return '501 5.5.4 Syntax: STARTTLS';
  if (desk.progress.isEncrypted) return '554 5.5.1 Error: TLS already active';
  const { settings: { tls }, client } = desk;
  if (!tls.isUsed || !tls.isReady()) return '502 5.5.1 Error: command not implemented';
  if (tls.isRefused(`[${client.address}]:${client.port}`)) return '454 4.7.0 TLS not available due to local problem';
  return void desk.startTls();
}

function mail(desk: Desk, args: string): string {
  if (desk.settings.heloRequired && desk.helo === undefined) return '503 5.5.1 Error: send HELO/EHLO first';
  if (desk.sender !== undefined) return '503 5.5.1 Error: nested MAIL command';
  const path = behindColon(args);
  if (path === undefined) return '501 5.5.4 Syntax: MAIL FROM:<address>';
  desk.sender = loosePath(path);
  return '250 2.1.0 Ok';
}

function rcpt(desk: Desk, args: string): string {
  const { settings, client, sender, recipientReply: reply } = desk;
  if (sender === undefined) return '503 5.5.1 Error: need MAIL command';
  const path = behindColon(args);
  if (path === undefined) return '501 5.5.4 Syntax: RCPT TO:<address>';
  const shown = (address: string): string => (settings.logsQuoted && address !== '' ? quote822Local(address) : address);
  const said = settings.softBounce ? softened(reply) : reply;
  desk.log(`NOQUEUE: reject: RCPT from [${client.address}]:${client.port}: ${said}; `
    + `from=<${shown(sender)}>, to=<${shown(loosePath(path))}>, proto=${desk.protocol}, helo=<${desk.helo ?? ''}>`);
  return reply;
}

// Nobody who keeps to the rules gets here: every recipient was refused. The session ends rather than read a message.
function data(desk: Desk, args: string): void {
  desk.log(`DATA without valid RCPT from [${desk.client.address}]:${desk.client.port}`);
  if (!isEmpty(args)) desk.drop('501 5.5.4 Syntax: DATA');
  else desk.drop(desk.sender === undefined ? '503 5.5.1 Error: need RCPT command' : '554 5.5.1 Error: no valid recipients');
}

function bdat(desk: Desk, args: string): void {
  desk.log(`BDAT without valid RCPT from [${desk.client.address}]:${desk.client.port}`);
  if (desk.discarded.has('chunking')) desk.drop('502 5.5.1 Error: command not implemented');
  else if (isEmpty(args)) desk.drop('501 5.5.4 Syntax: BDAT count [LAST]');
  else desk.drop(desk.sender === undefined ? '554 5.5.1 Error: need MAIL command' : '554 5.5.1 Error: no valid recipients');
}

function vrfy(desk: Desk, args: string): string {
  if (isEmpty(args)) return '501 5.5.4 Syntax: VRFY address';
  return desk.settings.disablesVrfy ? '502 5.5.1 VRFY command is disabled' : desk.recipientReply;
}

function etrn(desk: Desk, args: string): string {
  if (desk.settings.heloRequired && desk.helo === undefined) return '503 5.5.1 Error: send HELO/EHLO first';
  return isEmpty(args) ? '500 Syntax: ETRN domain' : '458 Unable to queue messages';
}

const off: Command = { run: () => undefined, off: true };
const noop = (): string => '250 2.0.0 Ok';

export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['HELO', { run: (desk, args) => hello(desk, args, '501 Syntax: HELO hostname') ?? `250 ${desk.settings.myhostname}`, plain: true }],
  ['EHLO', { run: ehlo, plain: true }],
  ['STARTTLS', { run: startTls, plain: true }],
  ['XCLIENT', off],
  ['XFORWARD', off],
  ['AUTH', off],
  ['MAIL', { run: mail }],
  ['RCPT', { run: rcpt }],
  ['DATA', { run: (desk, args) => void data(desk, args) }],
  ['BDAT', { run: (desk, args) => void bdat(desk, args), hasPayload: true }],
  ['RSET', { run: (desk) => { desk.sender = undefined; return '250 2.0.0 Ok'; } }],
  ['NOOP', { run: noop, plain: true }],
  ['VRFY', { run: vrfy }],
  ['ETRN', { run: etrn }],
  ['QUIT', { run: (desk) => void desk.drop('221 2.0.0 Bye'), plain: true }],
]);
