/**
 * Reports to senders, of ours and of Debian's Postfix: the same main.cf, the same mail, the same next hop, which answers each recipient
 * as its name says. What the next hop gets of reports, and what the log says of each message, comes back with everything taken out that
 * differs from run to run.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { DebianPostfix } from './debian-postfix.ts';
import { SmtpClient } from './faults/smtp-client.ts';
import { eventually, freePort, Instance } from './instance.ts';
import { masterRows } from './master-rows.ts';

/** One message. Its name stands in every address of it: `no.NAME@plain.test`. */
export interface ReportCase {
  readonly name: string;
  /** Default `NAME@sender.test`. */
  readonly sender?: string;
  /** Parameters of MAIL FROM. */
  readonly mail?: string;
  /** Addresses without `.NAME`, with the parameters of RCPT TO behind a blank. */
  readonly to: readonly string[];
  /** Lines end in LF. */
  readonly text?: string;
  /** So many messages must have come to the next hop: for mail that the log does not tell of beforehand. */
  readonly least?: number;
  /** Handed over by sendmail(1) with these options instead of by SMTP. */
  readonly options?: readonly string[];
}

/** What came of one message. */
export interface CaseOutcome {
  readonly replies: readonly string[];
  /** Envelope and text of each report. */
  readonly reports: readonly string[];
  readonly log: readonly string[];
  /** What waits in the log of delays, entry by entry. */
  readonly delays: readonly string[];
}

interface Taken { readonly sender: string; readonly recipients: readonly string[]; readonly text: string }

/** `full` offers DSN, SMTPUTF8 and 8BITMIME; `plain` nothing. */
export type HopKind = 'plain' | 'full';
export const hopAddress: Readonly<Record<HopKind, string>> = { plain: '127.0.0.66', full: '127.0.0.67' };

const keywords: Readonly<Record<HopKind, string>> = { plain: '250 hop.test\r\n', full: '250-hop.test\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n' };

/** Milliseconds before a recipient `late` is put off: longer than delay_warning_time. */
const lateness = 2100;
const long = 'a reason that is told at some length, because the people who run this host believe that a sender reads such things to the end and acts on them';

const commands = process.env['POSTFIX_COMMANDS'] ?? '/usr/sbin';

/** By the first word of a recipient's local part. */
const answers: ReadonlyMap<string, string> = new Map([
  ['no', '550 5.1.1 <%>: Recipient address rejected: User unknown'], ['bare', '550 no such user here'], ['multi', '550-5.7.1 first line\r\n550-5.7.1 second line\r\n550 5.7.1 third line'],
  ['long', `554 5.7.1 ${long}`], ['word', `550 5.2.0 ${'x'.repeat(150)}`], ['eight', '550 5.1.1 k\xe4se \xc3\xa4'], ['full', '552 5.2.2 mailbox full'], ['wrong', '550 4.1.1 a status of another class'],
  ['soft', '450 4.2.0 try again'], ['late', '450 4.2.0 try again'], ['later', '452 no room'], ['syntax', '501 5.5.4 <%>: syntax error'], ['odd', '250-fine\r\nwhat is this\r\n250 fine'], ['strange', '399 what shall I say'], ['tabs', '550 5.1.1 one\ttwo  three\x07 four'],
]);

/** Local part's first word, in the end of the data. */
const dataAnswers: ReadonlyMap<string, string> = new Map([['refuse', '554 5.6.0 content refused'], ['put-off', '451 4.3.0 content put off']]);

class Hop {
  readonly taken: Taken[] = [];
  readonly #servers: net.Server[] = [];
  readonly #sockets = new Set<net.Socket>();

  async open(port: number): Promise<void> {
    for (const kind of ['plain', 'full'] as const) {
      const server = net.createServer((socket) => {
        this.#sockets.add(socket);
        this.#serve(socket, kind);
      });
      this.#servers.push(server);
      await new Promise<void>((resolve) => server.listen(port, hopAddress[kind], resolve));
    }
  }

  #serve(socket: net.Socket, kind: HopKind): void {
    let input = '';
    let isData = false;
    let work = Promise.resolve();
    let [sender, recipients, all] = ['', [] as string[], [] as string[]];
    const say = (reply: string): void => void socket.write(`${reply}\r\n`, 'latin1');
    const command = async (line: string): Promise<void> => {
      const verb = line.slice(0, 4).toUpperCase();
      const path = /<([^]*)>/.exec(line)?.[1] ?? '';
      if (verb === 'EHLO') return void socket.write(keywords[kind]);
      if (verb === 'MAIL') [sender, recipients, all] = [line.slice(10), [], []];
      if (verb === 'RCPT') {
        const word = path.split(/[.@]/)[0]!;
        if (word === 'late') await new Promise((resolve) => setTimeout(resolve, lateness));
        const answer = answers.get(word);
        if (answer !== undefined) return say(answer.replace('%', path));
        recipients.push(line.slice(8));
        all.push(word);
      }
      if (verb === 'DATA') isData = true;
      say(verb === 'DATA' ? '354 go' : verb === 'QUIT' ? '221 bye' : '250 2.1.5 fine');
      if (verb === 'QUIT') socket.end();
    };
    const text = (content: string): void => {
      isData = false;
      const refusal = all.map((word) => dataAnswers.get(word)).find((answer) => answer !== undefined);
      if (refusal !== undefined) return say(refusal);
      this.taken.push({ sender, recipients, text: content.replace(/^\./gm, '').replaceAll('\r\n', '\n') });
      say('250 2.0.0 taken');
    };
    const next = async (): Promise<void> => {
      for (;;) {
        const mark = isData ? '\r\n.\r\n' : '\r\n';
        const end = input.indexOf(mark);
        if (end < 0) return;
        const part = input.slice(0, end);
        input = input.slice(end + mark.length);
        if (isData) text(`${part}\r\n`);
        else await command(part);
      }
    };
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    say('220 hop.test ESMTP');
    socket.on('data', (chunk: Buffer) => {
      input += chunk.toString('latin1');
      work = work.then(next);
    });
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
  }
}

const settings = (port: number): string => `
myhostname = host.example.test
mydomain = example.test
myorigin = example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
smtpd_authorized_verp_clients = 127.0.0.0/8
smtpd_discard_ehlo_keywords =
alias_maps =
alias_database =
local_recipient_maps =
recipient_delimiter = +
relayhost = [${hopAddress.full}]
transport_maps = inline:{ { plain.test = smtp:[${hopAddress.plain}] } { error.test = error:5.4.6 this domain is closed } { retry.test = retry:4.3.2 not now } { discard.test = discard: } }
virtual_alias_maps = regexp:{ { /^two\\.(.*)@alias\\.test$$/ no.$$1@plain.test, bare.$$1@full.test } { /^(.*)@alias\\.test$$/ $$1@plain.test } }
virtual_alias_domains = alias.test
smtp_tcp_port = ${port}
smtp_address_preference = ipv4
smtp_connection_cache_on_demand = no
smtp_tls_security_level = none
smtp_log_tls_feature_status = no
hash_queue_names = corrupt
delay_warning_time = 1s
default_destination_concurrency_limit = 50
initial_destination_concurrency = 50
default_destination_recipient_limit = 50
minimal_backoff_time = 1h
queue_run_delay = 1h
`;

const rows = (door: number): string => `127.0.0.1:${door} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry discard anvil')}
`;

export type SideName = 'ours' | 'theirs';

/** @param mainCf more of it. Outcomes by the names of the cases. */
export async function outcomes(side: SideName, mainCf: string, cases: readonly ReportCase[]): Promise<ReadonlyMap<string, CaseOutcome>> {
  const [door, port] = [await freePort(), await freePort()];
  const hop = new Hop();
  await hop.open(port);
  const options = { mainCf: settings(port) + mainCf, masterCf: rows(door) };
  const house = side === 'ours' ? await Instance.create(options) : await DebianPostfix.create(options);
  try {
    await house.start();
    const posted = new Map<string, readonly string[]>();
    await Promise.all([0, 1, 2].map(async (lane) => {
      for (const [at, one] of cases.entries()) if (at % 3 === lane) posted.set(one.name, one.options === undefined ? await post(door, one) : await submitted(side, house, one));
    }));
    const now: Now = { side, directory: house.directory, log: () => house.log() };
    const left = new Set([...posted.values()].map(idOf).filter((id) => id !== ''));
    await eventually('everything has been reported', () => {
      for (const id of left) if (isSettled(now, id)) left.delete(id);
      return left.size === 0 && cases.every(({ name, least = 0 }) => of(hop.taken, name).length >= least);
    }).catch((error: Error) => { throw new Error(`${error.message}\n${house.log().slice(-2000)}`); });
    const log = house.log();
    return new Map(cases.map(({ name }) => {
      const replies = posted.get(name)!;
      const clean = cleaner(port, house.directory, idOf(replies));
      return [name, {
        replies: replies.map(clean), reports: of(hop.taken, name).map((each) => clean(render(each))).sort(),
        log: linesOf(log, idOf(replies)).map(clean).sort(), delays: delaysOf(house.directory, idOf(replies)).map(clean).sort(),
      }];
    }));
  } finally {
    await house.stop();
    hop.close();
  }
}

const defaultText = 'From: someone@sender.test\nMessage-Id: <m1@sender.test>\nDate: Sat, 1 Jan 2000 00:00:00 +0000\nSubject: the subject\n\nhello\n';

/** Replies to the commands of one message, the last of them with its queue id. */
async function post(port: number, { name, sender = `${name}@sender.test`, mail = '', to, text = defaultText }: ReportCase): Promise<string[]> {
  const client = await SmtpClient.meet(port);
  const replies: string[] = [];
  const paths = to.map((each) => {
    const [address, ...rest] = each.split(' ');
    const at = address!.lastIndexOf('@');
    return [`<${address!.slice(0, at)}.${name}${address!.slice(at)}>`, ...rest].join(' ');
  });
  try {
    for (const line of [`MAIL FROM:<${sender}> ${mail}`.trimEnd(), ...paths.map((path) => `RCPT TO:${path}`), 'DATA']) replies.push((await client.command(line)).text);
    if (replies.at(-1)!.startsWith('354')) replies.push((await client.content(Buffer.from(`${text.replace(/^\./gm, '..')}.\n`.replaceAll('\n', '\r\n'), 'latin1'))).text);
    return replies;
  } finally {
    await client.quit();
  }
}

const runner = fileURLToPath(new URL('../src/commands/run.ts', import.meta.url));

/** The exit status, and the queue id that pickup(8) gives. */
async function submitted(side: SideName, house: { readonly directory: string; log(): string }, { name, sender = `${name}@sender.test`, to, options = [], text = defaultText }: ReportCase): Promise<string[]> {
  const recipients = to.map((each) => each.replace('@', `.${name}@`));
  const words = ['-C', `${house.directory}/etc`, '-f', sender, ...options, ...recipients];
  const [file, argv] = side === 'ours' ? [process.execPath, [runner, 'sendmail', ...words]] : [`${commands}/sendmail`, words];
  const child = spawn(file, argv, { stdio: ['pipe', 'ignore', 'pipe'], timeout: 20_000 });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
  child.stdin.on('error', () => undefined).end(Buffer.from(text, 'latin1'));
  const status = await new Promise((resolve) => child.on('close', resolve));
  const id = await eventually(`the message is picked up: ${said}`, () => new RegExp(`pickup\\[[0-9]+\\]: ([0-9A-Za-z]+): uid=[0-9]+ from=<${sender}>`).exec(house.log())?.[1]);
  return [`status ${status}, queued as ${id}`];
}

function delaysOf(directory: string, queueId: string): string[] {
  const file = `${directory}/queue/defer/${queueId}`;
  if (queueId === '' || !existsSync(file)) return [];
  return readFileSync(file, 'latin1').replace(/^offset=[0-9]+$/gm, 'offset=N').split('\n\n').map((entry) => entry.trim()).filter((entry) => entry !== '');
}

const idOf = (replies: readonly string[]): string => /queued as ([0-9A-Za-z]+)/.exec(replies.at(-1)!)?.[1] ?? '';

/** A name ends where it ends: c1 is not in c12. */
const of = (taken: readonly Taken[], name: string): Taken[] => taken.filter((each) => new RegExp(`(?<![A-Za-z0-9])${name}(?![A-Za-z0-9-])`).test(render(each)));

const render = ({ sender, recipients, text }: Taken): string => `MAIL FROM:${sender}\n${recipients.map((each) => `RCPT TO:${each}\n`).join('')}${text}`;

/** Lines about a message: pid and time taken off. Of reports that nobody wanted only newer releases say something. */
function linesOf(log: string, queueId: string): string[] {
  if (queueId === '') return [];
  return log.split('\n').flatMap((line) => {
    const found = /postfix\/([a-z]+)\[[0-9]+\]: (.*)$/.exec(line);
    return found !== null && found[2]!.includes(queueId) && found[1] !== 'smtpd' && isReal(log, found[2]!) ? [`${found[1]}: ${found[2]}`] : [];
  });
}

function isReal(log: string, line: string): boolean {
  const id = / notification: ([0-9A-Za-z]+)$/.exec(line)?.[1];
  return id === undefined || log.includes(`: ${id}: from=`);
}

/** It is gone or waits for another day, and so do the reports of it. A report that nobody wants has an id, but is never queued. */
interface Now { readonly side: SideName; readonly directory: string; readonly log: () => string }

// What is a file is looked for first, so that the log knows of everything that was done before it became one.
function isSettled(now: Now, queueId: string): boolean {
  const isDeferred = isFile(now, 'deferred', queueId);
  const log = now.log();
  if (!isDeferred && !log.includes(`: ${queueId}: removed\n`)) return false;
  const reports = [...log.matchAll(new RegExp(`: ${queueId}: [a-z -]+ notification: ([0-9A-Za-z]+)$`, 'gm'))].map((match) => match[1]!);
  return reports.every((id) => !isUnderWay(now, id) || isSettled(now, id));
}

const isFile = ({ directory }: Now, queue: string, queueId: string): boolean => existsSync(`${directory}/queue/${queue}/${queueId}`);

// Ours has it in the journal, where it is no file; Postfix logs a Message-Id also of what it gives up.
function isUnderWay(now: Now, queueId: string): boolean {
  if (now.side === 'ours') return now.log().includes(`: ${queueId}: message-id=`);
  return ['incoming', 'active', 'deferred'].some((queue) => isFile(now, queue, queueId)) || now.log().includes(`: ${queueId}: from=`);
}

const date = /(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [ 0-9]{1,2} (?!Jan 2000)[A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [-+][0-9]{4} \([A-Z]+\)/g;

/** Of a text that is built in: everything but its first and its last line is each one's own. */
const wording = /^(This is the mail system at host [^\n]*\n\n)[^]*?(\n {19}The mail system\n)/gm;

/** Who comes first is the queue manager's matter, and chance. */
const inOrder = (paragraphs: string): string => `${paragraphs.slice(0, -2).split('\n\n').sort().join('\n\n')}\n\n`;

function cleaner(port: number, directory: string, queueId: string): (text: string) => string {
  return (text) => text
    .replaceAll(directory, 'DIR').replaceAll(queueId === '' ? 'QUEUEID' : queueId, 'QUEUEID')
    .replace(new RegExp(`(\\]):${port}\\b`, 'g'), '$1:PORT')
    .replace(date, 'DATE')
    .replace(/QUEUEID\.[0-9]{10}\/host\.example\.test/g, 'BOUNDARY')
    .replace(/<[0-9]{14}\.[0-9A-Z]+@host\.example\.test>/g, '<MESSAGEID>')
    .replace(/^(Received: by host[^;]*?[ \t]id )[0-9A-Z]+/gm, '$1NEWID')
    .replace(wording, '$1WORDS$2')
    .replace(/(?:^<[^\n]*:[^\n]*\n(?: {4}[^\n]*\n)*\n)+(?=--BOUNDARY)/gm, inOrder).replace(/(?:^Final-Recipient: [^]*?\n\n)+(?=--BOUNDARY)/gm, inOrder)
    .replace(/(notification: )[0-9A-F]+$/gm, '$1NEWID')
    .replace(/\b(?:conn_use=[0-9]+, )?delay=[0-9.]+, delays=[0-9./]+/g, 'DELAYS')
    .replace(/\(127\.0\.0\.1\) \[127\.0\.0\.1\]|\[127\.0\.0\.1\]/g, '[CLIENT]')
    .replace(/size=[0-9]+/g, 'size=N');
}
