/**
 * One message to two mail systems: Debian's Postfix (or the build that POSTFIX_DAEMONS names) and ours, with the same settings and the
 * same tables; what each answers, logs and keeps in its queue comes back in one form, to be compared.
 *
 *     const cases: PairCase[] = [{ name: 'a header is refused', settings: { header_checks: 'regexp:@etc@/hc' }, message: 'Subject: x\n\nbody\n' }, ...];
 *     const results = await playPair(cases, { files: { hc: '/^Subject: x/ REJECT no x\n' }, mainCf: 'virtual_alias_maps = texthash:@etc@/virtual\n' });
 *     for (const [name, { ours, theirs }] of results) test(name, () => assert.deepEqual(ours, theirs));
 *
 * Nothing is delivered: there is no queue manager, so a message stays in the queue where cleanup put it. Each set of `settings` gets rows
 * of its own for smtpd, cleanup and trivial-rewrite (`-o` options in master.cf), so hundreds of cases need one instance of each kind.
 * `@etc@` stands for the configuration directory. What differs by nature is made the same: queue ids, times, dates, our process ids.
 * Only root can do this: see noDebianPostfix().
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { recordText, recordType, renderType } from './cleanup-records.ts';
import { DebianPostfix } from '../debian-postfix.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

export interface PairCase {
  /** Unique. */
  readonly name: string;
  /** Parameters of smtpd, cleanup and trivial-rewrite for this case. */
  readonly settings?: { readonly [parameter: string]: string };
  /** Default: me@client.test; '' is the null sender. In external form; parameters may follow behind a '>'. */
  readonly sender?: string;
  /** Default: you@there.test. In external form. */
  readonly recipients?: readonly string[];
  /** Byte string with LF line ends; they become CRLF, and dots are doubled. A Buffer goes as it is, the final dot included. */
  readonly message: string | Buffer;
  /** By sendmail(1) with these arguments instead of SMTP; `settings` must be those of PairOptions.local. */
  readonly sendmail?: readonly string[];
}

export interface PairOptions {
  /** Lines of main.cf for both. */
  readonly mainCf?: string;
  /** Files in the configuration directory: texts, for texthash:, regexp:, cidr: and so on. */
  readonly files?: { readonly [name: string]: string };
  /** The settings of the one cleanup that takes local mail. */
  readonly local?: { readonly [parameter: string]: string };
}

export interface Outcome {
  /** The reply to the message, or to the first command that was refused; the words of sendmail. */
  readonly reply: string;
  /** Messages in the queue, sorted by record text: where each stands, its records as `type text`. */
  readonly kept: readonly { readonly queue: string; readonly records: readonly string[] }[];
  /** What cleanup and trivial-rewrite logged, in order. */
  readonly log: readonly string[];
}

export interface PairResult { readonly ours: Outcome; readonly theirs: Outcome }

interface System { readonly directory: string; start(): Promise<void>; stop(): Promise<void>; log(): string }

const queues = ['incoming', 'hold', 'active', 'deferred'];
const settingsKey = (settings: PairCase['settings'] = {}): string => JSON.stringify(Object.entries(settings).sort());

/** Play all cases on both systems. */
export async function playPair(cases: readonly PairCase[], options: PairOptions = {}): Promise<Map<string, PairResult>> {
  const groups = [...new Set(cases.map(({ settings }) => settingsKey(settings)))];
  const ports = new Map<string, number>();
  for (const key of groups) ports.set(key, await freePort());
  const theirs = await playAll(await theirSystem(groups, ports, options), cases, ports, options, (etc, words) => [process.env['POSTFIX_SENDMAIL'] ?? '/usr/sbin/sendmail', '-C', etc, ...words]);
  const ports2 = new Map<string, number>();
  for (const key of groups) ports2.set(key, await freePort());
  const ours = await playAll(await ourSystem(groups, ports2, options), cases, ports2, options, (etc, words) => [process.execPath, runner, 'sendmail', '-C', etc, ...words]);
  const isOld = !JSON.stringify([...theirs.values()]).includes('A message_id=');
  return new Map(cases.map(({ name }) => [name, { ours: isOld ? older(ours.get(name)!) : ours.get(name)!, theirs: theirs.get(name)! }]));
}

/** As a Postfix before 3.9 writes it. */
function older(outcome: Outcome): Outcome {
  return { ...outcome, log: outcome.log.filter((line) => !line.startsWith('cleanup: ID: removed (')), kept: outcome.kept.map(({ queue, records }) => ({ queue, records: records.filter((record) => !record.startsWith('A message_id=')) })) };
}

const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

const mainCf = (options: PairOptions): string => `inet_protocols = ipv4
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
myhostname = host.pair.test
mydomain = pair.test
mydestination = host.pair.test, pair.test
mail_name = Postfix
local_recipient_maps =
smtpd_recipient_restrictions = permit
smtpd_helo_required = no
alias_maps =
alias_database =
smtpd_tls_security_level = none
notify_classes =
smtpd_error_sleep_time = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
default_process_limit = 400
in_flow_delay = 0
${options.mainCf ?? ''}`;

function masterCf(groups: readonly string[], ports: ReadonlyMap<string, number>, options: PairOptions): string {
  const rows = groups.map((key, index) => {
    const own = Object.fromEntries(JSON.parse(key) as [string, string][]);
    const words = Object.entries({ ...own, cleanup_service_name: `cleanup${index}`, rewrite_service_name: `rewrite${index}` }).map(([name, value]) => `  -o { ${name} = ${value} }\n`).join('');
    return `127.0.0.1:${ports.get(key)} inet n - n - - smtpd\n${words}cleanup${index} unix n - n - 0 cleanup\n${words}rewrite${index} unix - - n - - trivial-rewrite\n${words}`;
  });
  const local = groups.indexOf(settingsKey(options.local));
  const pickup = `pickup unix n - n 60 1 pickup\n${local < 0 ? '' : `  -o cleanup_service_name=cleanup${local}\n`}`;
  return `${rows.join('')}${pickup}${masterRows('cleanup rewrite bounce defer trace verify anvil proxymap')}\n`;
}

async function theirSystem(groups: readonly string[], ports: ReadonlyMap<string, number>, options: PairOptions): Promise<System> {
  return laidOut(await DebianPostfix.create({ mainCf: mainCf(options), masterCf: masterCf(groups, ports, options) }), options);
}

async function ourSystem(groups: readonly string[], ports: ReadonlyMap<string, number>, options: PairOptions): Promise<System> {
  const system = laidOut(await Instance.create({ mainCf: mainCf(options), masterCf: masterCf(groups, ports, options) }), options);
  writeFileSync(`${system.directory}/etc/main.cf`, readFileSync(`${system.directory}/etc/main.cf`, 'latin1').replace(/^(?:compatibility_level|inet_interfaces = loopback-only|myhostname = host\.example).*\n/gm, ''));
  writeFileSync(`${system.directory}/etc/main.cf`, 'compatibility_level = 3.6\n', { flag: 'a' });
  return system;
}

/** Tables, and `@etc@` made what it stands for. */
function laidOut<S extends System>(system: S, { files = {} }: PairOptions): S {
  const etc = `${system.directory}/etc`;
  for (const [name, text] of Object.entries(files)) writeFileSync(`${etc}/${name}`, text, 'latin1');
  for (const name of [...Object.keys(files), 'main.cf', 'master.cf']) writeFileSync(`${etc}/${name}`, readFileSync(`${etc}/${name}`, 'latin1').replaceAll('@etc@', etc), 'latin1');
  return system;
}

async function playAll(system: System, cases: readonly PairCase[], ports: ReadonlyMap<string, number>, options: PairOptions, sendmail: (etc: string, words: readonly string[]) => string[]): Promise<Map<string, Outcome>> {
  try {
    await system.start();
    const outcomes = new Map<string, Outcome>();
    for (const each of cases) outcomes.set(each.name, await play(system, each, ports.get(settingsKey(each.settings))!, sendmail));
    return outcomes;
  } finally {
    if (process.env['PAIR_KEEP'] !== undefined) writeFileSync(`${process.env['PAIR_KEEP']}.${system.constructor.name}`, system.log(), 'latin1');
    await system.stop();
  }
}

async function play(system: System, each: PairCase, port: number, sendmail: (etc: string, words: readonly string[]) => string[]): Promise<Outcome> {
  const before = files(system);
  const logged = system.log().length;
  const reply = each.sendmail === undefined ? await overSmtp(each, port) : await locally(each, sendmail(`${system.directory}/etc`, each.sendmail));
  const said = (): string => system.log().slice(logged);
  const end = each.sendmail === undefined ? /smtpd\[[0-9]+\]: disconnect from/ : /cleanup\[[0-9]+\]: [^ ]+: (message-id=|removed|reject|discard)/;
  await eventually(`the log of "${each.name}" is complete: ${said()}`, () => end.test(said()));
  if (each.sendmail !== undefined) await new Promise((resolve) => setTimeout(resolve, 250));
  const kept = [...files(system)].filter((file) => !before.has(file)).flatMap((file) => {
    const bytes = image(`${system.directory}/queue/${file}`);
    return bytes === undefined ? [] : [{ queue: file.split('/')[0]!, records: records(bytes, system.directory) }];
  });
  kept.sort((one, other) => (one.records.join() < other.records.join() ? -1 : 1));
  return { reply: reply.replace(/queued as [0-9A-Za-z]+/, 'queued as ID'), kept, log: logLines(said(), system.directory) };
}

/** A refused message may go away after the client has heard of it. */
function image(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function files(system: System): Set<string> {
  return new Set(queues.flatMap((queue) => {
    const directory = `${system.directory}/queue/${queue}`;
    return existsSync(directory) ? readdirSync(directory).filter((name) => !name.startsWith('.')).map((name) => `${queue}/${name}`) : [];
  }));
}

async function overSmtp({ sender = 'me@client.test', recipients = ['you@there.test'], message }: PairCase, port: number): Promise<string> {
  const client = await SmtpClient.meet(port);
  try {
    const from = sender.includes('>') ? sender : `${sender}>`;
    for (const line of [`MAIL FROM:<${from}`, ...recipients.map((each) => `RCPT TO:<${each.includes('>') ? each : `${each}>`}`), 'DATA']) {
      const reply = await client.command(line);
      if (reply.code >= 400) return `${line.slice(0, 4)}: ${reply.text}`;
    }
    const wire = typeof message === 'string' ? Buffer.from(`${message.replace(/^\./gm, '..')}.\n`.replaceAll('\n', '\r\n'), 'latin1') : message;
    return (await client.content(wire)).text;
  } finally {
    await client.quit();
  }
}

function locally({ message }: PairCase, [program, ...words]: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, words, { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
    child.on('error', reject).on('close', (code) => resolve(`${code} ${said}`));
    child.stdin.on('error', () => undefined).end(Buffer.from(message as string, 'latin1'));
  });
}

/** Records, with what differs by nature taken out: sizes, times, queue ids, ports. */
export function records(image: Buffer, directory: string): string[] {
  // log_ident is of Postfix before 3.9.
  return recordText(image).map(([type, text]) => `${renderType(type)} ${sameText(type, text, directory)}`).filter((record) => !record.startsWith('A log_ident='));
}

const dates = /\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [ 0-9][0-9]? [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [-+][0-9]{4} \([^)]*\)/g;

function sameText(type: number, text: string, directory: string): string {
  // Sizes follow from the records; what counts are recipients, queue flags and send options.
  if (type === recordType.size) return text.trim().split(/ +/).map((number, index) => (index === 0 || index === 1 || index === 4 ? '-' : number)).join(' ');
  if (type === recordType.time || type === recordType.warn) return '-';
  if (type === recordType.attribute) return text.replace(/^(create_time|log_client_port|client_port|server_port)=.*/, '$1=-').replace(/^(message_id=<)[0-9]{14}\.[0-9A-F]+@/, '$1STAMP@').replaceAll(directory, '@dir@');
  return text.replace(dates, 'DATE').replace(/^(\t(?:by host\.pair\.test .* )?id )[0-9A-Za-z]+/, '$1ID').replace(/^((?:Resent-)?Message-Id: <)[0-9]{14}\.[0-9A-F]+@/, '$1STAMP@').replaceAll(directory, '@dir@');
}

export function logLines(text: string, directory: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [, tag, said] = /^[^\n]{15} [^ ]+ postfix\/(?:[a-z]+\/)?(cleanup[0-9]*|cleanup|trivial-rewrite)(?:\/cleanup)?\[[0-9]+\]: ([^]*)$/.exec(line) ?? [];
    if (said === undefined || /public\/qmgr|file system clock|resetting file time stamps/.test(said)) return [];
    return [`${tag!.replace(/[0-9]+$/, '')}: ${said.replace(/^((?:warning: )?)[0-9A-F]{8,14}: /, '$1ID: ').replace(/(message-id=<)[0-9]{14}\.[0-9A-F]+@/, '$1STAMP@').replace(/\bid [0-9A-F]{8,14}(?=[ ?;"]|$)/, 'id ID').replace(dates, 'DATE').replaceAll(directory, '@dir@')}`];
  });
}
