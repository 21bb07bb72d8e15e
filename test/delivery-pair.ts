/**
 * Two mail systems with the same main.cf, the same accounts and the same mail: Debian's and ours. What each did with a message is
 * told as a Trace in which only what must differ (queue ids, times, directories) is made equal.
 *
 * Each runs in a scene of its own (delivery-scene.ts): both see the same paths. Each set of `settings` gets rows of its own
 * for the agent that its mail goes to (`-o` options in master.cf) and domains of its own (s3.example.org), so hundreds of cases
 * need one instance of each kind.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { before, test } from 'node:test';
import { DebianPostfix } from './debian-postfix.ts';
import { collected, noScene, Scene, type GivenFile } from './delivery-scene.ts';
import { fileTrace, LogTail, logTrace, type Trace } from './delivery-trace.ts';
import { SmtpClient } from './faults/smtp-client.ts';
import { Instance } from './instance.ts';
import { masterRows } from './master-rows.ts';
import { freePort } from './ports.ts';

export interface DeliveryCase {
  readonly name: string;
  /** Lines of main.cf for the agent alone: `name = value`. The domains of the recipients get the name of the set in front. */
  readonly settings?: string;
  /** The word DOMAIN in a name stands for the domain of the recipient. */
  readonly files?: Readonly<Record<string, GivenFile | string>>;
  readonly from?: string;
  /** Behind MAIL FROM and RCPT TO: parameters. */
  readonly mailOptions?: string;
  readonly rcptOptions?: string;
  readonly to: string | readonly string[];
  /** The message, lines ending in LF; a short one when absent. */
  readonly text?: string;
  /** Attributes of an XCLIENT command. */
  readonly client?: string;
  /** What older Postfix than 3.12 does otherwise: played with a newer one only (POSTFIX_DAEMONS). */
  readonly newer?: string;
  /** Played with Debian's only: another build (POSTFIX_DAEMONS) may lack this. */
  readonly feature?: string;
  /** What older Postfix does not log. */
  readonly older?: { readonly why: string; readonly leaveOut: RegExp };
  /** A file without which it is not played: the program it is about. */
  readonly needs?: string;
  /** A line that must be in the trace of both. */
  readonly expects?: RegExp;
  /** Send it so many times, one after the other. */
  readonly times?: number;
  /** Why ours does otherwise, and what of the traces is left out: lines of it that match. */
  readonly but?: { readonly why: string; readonly leaveOut?: RegExp; readonly replace?: readonly (readonly [from: RegExp, to: string])[] };
}

/** What both systems are given at the start. */
export interface PairOptions {
  /** Files in /home/etc, in the form of texthash: `aliases`, `boxes` (virtual_mailbox_maps), `transport` and others. */
  readonly tables: Readonly<Record<string, GivenFile | string>>;
  /** Tables whose keys are addresses: they are there for the domains of each set of settings too. */
  readonly addressTables?: readonly string[];
  /** Lines of main.cf behind the usual ones. */
  readonly mainCf?: string;
  /** Rows of master.cf behind the usual ones, by the name of the service. */
  readonly rows?: ReadonlyMap<string, string>;
  /** The service and nexthop that the mail of a domain goes to, and its row behind the name. */
  readonly agentOf: (domain: string) => { readonly service: string; readonly nexthop: string; readonly row: string };
}

const usualMain = `compatibility_level = 3.6
myhostname = host.example.test
myorigin = example.org
transport_maps = texthash:/home/etc/transport
max_idle = 5s
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mail_name = Mailer
alias_maps = texthash:/home/etc/aliases
local_recipient_maps =
default_transport = collect
virtual_mailbox_base = /home/boxes
virtual_mailbox_maps = texthash:/home/etc/boxes
virtual_uid_maps = static:4005
virtual_gid_maps = static:4005
recipient_delimiter = +
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_recipient_restrictions =
smtpd_relay_restrictions = check_client_access static:OK, reject
mail_spool_directory = /var/mail
smtputf8_enable = no
default_process_limit = 10
always_add_missing_headers = yes
smtpd_reject_unlisted_recipient = no
`;

const usualRows = `${masterRows('cleanup qmgr rewrite bounce defer trace verify error retry discard local virtual anvil')}
collect unix - n n - - virtual -o virtual_mailbox_base=/ -o virtual_mailbox_maps=static:${collected} -o virtual_uid_maps=static:4009 -o virtual_gid_maps=static:4009
`;

interface System {
  readonly directory: string;
  start(around?: readonly string[]): Promise<void>;
  stop(): Promise<void>;
  log(): string;
}

/** Sets of settings: where the cases of each have their mail, and by which rows. */
class Layout {
  readonly #names = new Map<string, string>();
  readonly #rows: Map<string, string>;
  readonly #options: PairOptions;
  /** Domains of the sets. */
  readonly domains: { readonly domain: string; readonly like: string; readonly service: string; readonly nexthop: string }[] = [];

  constructor(cases: readonly DeliveryCase[], options: PairOptions) {
    this.#options = options;
    this.#rows = new Map(options.rows);
    for (const each of cases) if (each.settings !== undefined) for (const address of recipientsOf(each)) this.#place(each.settings, domainOf(address));
  }

  get rows(): string {
    return [...this.#rows].map(([name, row]) => `${name} ${row}\n`).join('');
  }

  #place(settings: string, like: string): void {
    const set = this.#names.get(settings) ?? `s${this.#names.size + 1}`;
    this.#names.set(settings, set);
    const domain = `${set}.${like}`;
    if (this.domains.some((each) => each.domain === domain)) return;
    const { service, nexthop, row } = this.#options.agentOf(like);
    const own = settings.split('\n').filter((line) => line !== '').map((line) => `  -o { ${line} }\n`).join('');
    // Options go in front of what pipe(8) is told.
    const [command, ...words] = row.split(/(?<=^(?:\S+ ){6}\S+)(?= |$)/);
    this.#rows.set(`${service}-${set}`, `${command}\n${own}  -o rewrite_service_name=rewrite-${set}${words.join('').replace(/^(?=.)/, '\n ')}`);
    // What an alias expands to belongs to the same set.
    if (service === 'local') this.#rows.set(`rewrite-${set}`, `unix - - n - - trivial-rewrite\n  -o myorigin=${domain}`);
    this.domains.push({ domain, like, service: `${service}-${set}`, nexthop });
  }

  /** The recipient as the case has it, in the domain of the settings. */
  address(address: string, settings: string | undefined): string {
    return settings === undefined ? address : address.replace(/@([^@]+)$/, (_, domain: string) => `@${this.#names.get(settings)}.${domain}`);
  }

  table(name: string, text: string): string {
    if (this.#options.addressTables?.includes(name) !== true) return text;
    const copies = this.domains.flatMap(({ domain, like }) => text.split('\n').filter((line) => line.split(/[ \t]/)[0]!.endsWith(`@${like}`)).map((line) => `${line.replace(`@${like}`, `@${domain}`)}\n`));
    return text + copies.join('');
  }
}

const recipientsOf = ({ to }: DeliveryCase): readonly string[] => (typeof to === 'string' ? [to] : to);
const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);

/** One of the two. */
class Side {
  readonly #scene = new Scene();
  readonly #system: System;
  readonly #port: number;
  readonly #layout: Layout;
  readonly #log: LogTail;

  private constructor(system: System, port: number, layout: Layout) {
    this.#system = system;
    this.#port = port;
    this.#layout = layout;
    this.#log = new LogTail(`${system.directory}/maillog`);
  }

  static async open(whose: 'Debian' | 'ours', layout: Layout): Promise<Side> {
    const given = { masterCf: '' };
    const system = whose === 'Debian' ? await DebianPostfix.create(given) : await Instance.create({ ...given, compiled: true });
    return new Side(system, await freePort(), layout);
  }

  async start({ tables, mainCf = '' }: PairOptions): Promise<void> {
    const main = `${this.#system.directory}/etc/main.cf`;
    const own = fs.readFileSync(main, 'latin1').replace(/^(?:compatibility_level|myhostname|inet_interfaces) .*\n/gm, '');
    const { domains, rows } = this.#layout;
    const mine = (service: string): string => domains.filter((each) => each.service.startsWith(`${service}-`)).map(({ domain }) => `${domain} `).join('');
    fs.writeFileSync(main, `${own}${usualMain}mydestination = example.org ${mine('local')}\nvirtual_mailbox_domains = box.example caught.example ${mine('virtual')}\n${mainCf}`);
    const postlog = this.#system instanceof DebianPostfix ? 'postlog unix-dgram n - n - 1 postlogd\n' : '';
    fs.writeFileSync(`${this.#system.directory}/etc/master.cf`, `127.0.0.1:${this.#port} inet n - n - - smtpd\n${usualRows}${rows}${postlog}`);
    this.#scene.make('/home/etc', { kind: 'directory' });
    const transport = domains.map(({ domain, service, nexthop }) => `${domain} ${service}:${nexthop}\n`).join('');
    for (const [name, file] of Object.entries({ transport: '', ...tables })) {
      const given = typeof file === 'string' ? { text: file } : file;
      this.#scene.make(`/home/etc/${name}`, { ...given, text: this.#layout.table(name, given.text ?? '') + (name === 'transport' ? transport : '') });
    }
    await this.#system.start(this.#scene.within);
  }

  /** A system that is stuck is not asked again and again. */
  async play(cases: readonly DeliveryCase[]): Promise<Map<string, Trace>> {
    const traces = new Map<string, Trace>();
    let stuck = 0;
    for (const each of cases) {
      const trace = stuck >= 5 ? ['not played: five others before did not end'] : await this.#one(each).catch((error: unknown) => [`not played: ${String(error)}`, this.#log.more()]);
      if (trace[0]?.startsWith('not played') === true) stuck++;
      traces.set(each.name, trace);
    }
    return traces;
  }

  async close(): Promise<void> {
    this.#log.close();
    await this.#system.stop();
    this.#scene.remove();
  }

  async #one(given: DeliveryCase): Promise<Trace> {
    this.#scene.prepare(this.#filesOf(given));
    this.#log.forget();
    const ids: string[] = [];
    for (let time = 0; time < (given.times ?? 1); time++) {
      ids.push(await within(10_000, this.#submit(given)));
      await this.#settled(ids);
    }
    const everything = [...logTrace(this.#log.more(), ids, typeof given.to === 'string'), ...fileTrace(this.#scene.places)];
    return everything.map((line) => line.replaceAll(this.#system.directory, 'SYSTEM'));
  }

  /** All mail is gone or deferred, and nothing is said any more: lines of several processes come a little later than what they tell. */
  async #settled(ids: readonly string[]): Promise<void> {
    let quiet = 0;
    let length = 0;
    for (let turn = 0; turn < 4000; turn++) {
      const log = this.#log.more();
      quiet = log.length === length ? quiet + 1 : 0;
      length = log.length;
      if (quiet >= 4 && isSettled(this.#system, log, ids, quiet >= 60)) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error('did not happen: all mail is settled');
  }

  #filesOf({ files = {}, to, settings }: DeliveryCase): Record<string, GivenFile> {
    const domain = domainOf(this.#layout.address(typeof to === 'string' ? to : to[0]!, settings));
    return Object.fromEntries(Object.entries(files).map(([path, file]) => {
      const given = typeof file === 'string' ? { text: file } : file;
      return [path.replaceAll('DOMAIN', domain), { ...given, text: (given.text ?? '').replaceAll('@PORT@', String(this.#port)) }];
    }));
  }

  async #submit(given: DeliveryCase): Promise<string> {
    const { from = 'sender@far.example', text = 'Subject: test\n\nhello\n', mailOptions = '', rcptOptions = '', client } = given;
    const smtp = await SmtpClient.meet(this.#port);
    const say = async (line: string): Promise<void> => {
      const reply = await smtp.command(line);
      if (reply.code >= 400) throw new Error(`${line}: ${reply.text}`);
    };
    if (client !== undefined) {
      await say(`XCLIENT ${client}`);
      await say('EHLO client.example.test');
    }
    await say(`MAIL FROM:<${from}> ${mailOptions}`.trimEnd());
    for (const each of recipientsOf(given)) await say(`RCPT TO:<${this.#layout.address(each, given.settings)}> ${rcptOptions}`.trimEnd());
    await say('DATA');
    const wire = `${text.replace(/^\./gm, '..').replaceAll('\n', '\r\n')}.\r\n`;
    const reply = await smtp.content(Buffer.from(wire, 'latin1'));
    await smtp.quit();
    const id = /queued as ([0-9A-Za-z]+)/.exec(reply.text)?.[1];
    if (id === undefined) throw new Error(reply.text);
    return id;
  }
}

/** A server that does not start keeps its port, and says nothing. */
function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new Error('the server does not answer')), milliseconds); });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const entered = /: ([0-9A-Za-z]{6,}): message-id=/g;

/** Is every message gone, or in the deferred queue: what was submitted, and what came of it? `isLong`: nothing has been said for a while. */
function isSettled(system: System, log: string, submitted: readonly string[], isLong: boolean): boolean {
  const ids = new Set([...submitted, ...[...log.matchAll(entered)].map((match) => match[1]!)]);
  return [...ids].every((id) => log.includes(`: ${id}: removed`) || isDeferred(system, log, id) || (isLong && !submitted.includes(id) && isTakenBack(system, log, id)));
}

/** A report for nobody: it was begun, and its file went away again. Ours writes no file before it is complete. */
function isTakenBack(system: System, log: string, id: string): boolean {
  return !(system instanceof Instance) && !log.includes(`: ${id}: from=`) && ['incoming', 'active'].every((queue) => !fs.existsSync(`${system.directory}/queue/${queue}/${id}`));
}

function isDeferred(system: System, log: string, id: string): boolean {
  const deferred = `${system.directory}/queue/deferred`;
  return (fs.existsSync(`${deferred}/${id}`) || fs.existsSync(`${deferred}/${id[0]!}/${id}`)) && log.includes(`: ${id}: to=`);
}

export interface Played { readonly Debian: ReadonlyMap<string, Trace>; readonly ours: ReadonlyMap<string, Trace> }

/** Play all cases on both. */
export async function playPair(cases: readonly DeliveryCase[], options: PairOptions): Promise<Played> {
  const layout = new Layout(cases, options);
  const one = async (whose: 'Debian' | 'ours'): Promise<Map<string, Trace>> => {
    const side = await Side.open(whose, layout);
    try {
      await side.start(options);
      return await side.play(cases);
    } finally {
      await side.close();
    }
  };
  const both = await Promise.allSettled([one('Debian'), one('ours')]);
  const values = both.map((each) => {
    if (each.status === 'rejected') throw each.reason as Error;
    return each.value;
  });
  return { Debian: values[0]!, ours: values[1]! };
}

const isOld = process.env['POSTFIX_DAEMONS'] === undefined;

/** What is left of a trace to be compared. */
export function comparable(trace: Trace, { but, older }: DeliveryCase): string[] {
  const leftOut = [but?.leaveOut, isOld ? older?.leaveOut : undefined];
  let lines = trace.filter((line) => !leftOut.some((pattern) => pattern?.test(line)));
  for (const [from, to] of but?.replace ?? []) lines = lines.map((line) => line.replace(from, to));
  return lines;
}

/** Why a case cannot be played here. */
function whyNot({ newer, needs, feature }: DeliveryCase): string | false {
  if (!isOld && feature !== undefined) return `the other build may lack ${feature}`;
  if (isOld && newer !== undefined) return `new in Postfix: ${newer}`;
  return needs !== undefined && !fs.existsSync(needs) ? `${needs} is not installed` : false;
}

/** A test for each case. */
export function compareAll(cases: readonly DeliveryCase[], options: PairOptions): void {
  const skip = noScene();
  let played: Played | undefined;
  before(async () => {
    if (skip === false) played = await playPair(cases.filter((each) => whyNot(each) === false), options);
  }, { timeout: 300_000 });
  for (const each of cases) {
    const why = each.but === undefined ? '' : ` (but: ${each.but.why})`;
    test(`${each.name}${why}`, { skip: skip || whyNot(each) }, () => {
      const [ours, theirs] = [played!.ours.get(each.name)!, played!.Debian.get(each.name)!];
      for (const [first = 'nothing happened', ...rest] of [ours, theirs]) assert.ok(!first.startsWith('not played'), [first, ...rest].join('\n'));
      if (each.expects !== undefined) for (const trace of [ours, theirs]) assert.ok(trace.some((line) => each.expects!.test(line)), `${String(each.expects)} is not in:\n${trace.join('\n')}`);
      assert.deepEqual(comparable(ours, each), comparable(theirs, each));
    });
  }
}
