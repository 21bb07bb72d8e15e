/**
 * Two mail systems with the same settings - Debian's Postfix and ours - and filters that both ask: what clients hear, what filters are told,
 * what the log says and what the queue file has, in a form that can be compared. No queue manager runs, so that messages stay.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Filter } from '../../src/network/milter-testing.ts';
import { DebianPostfix } from '../debian-postfix.ts';
import { eventually, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { freePort } from '../ports.ts';

const ourCommands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

type System = DebianPostfix | Instance;

/** Lines for the client to send; a line that begins with `=` is content (\n for line ends), sent with the final dot. */
export type Talk = readonly string[];

export interface Outcome {
  readonly replies: readonly string[];
  readonly heard: readonly string[];
  readonly log: readonly string[];
  /** Queue files, as postcat shows them. */
  readonly queue: readonly string[];
}

export interface PairOptions {
  readonly mainCf: string;
  /** Settings of smtpd rows, by name. */
  readonly rows: Readonly<Record<string, string>>;
  readonly services?: string;
}

export class MilterSide {
  readonly system: System;
  readonly ports: ReadonlyMap<string, number>;
  #read = 0;

  constructor(system: System, ports: ReadonlyMap<string, number>) {
    this.system = system;
    this.ports = ports;
  }

  static async start(kind: 'debian' | 'ours', { mainCf, rows, services = 'cleanup rewrite anvil verify' }: PairOptions): Promise<MilterSide> {
    const ports = new Map<string, number>();
    let masterCf = `${masterRows(services)}\n`;
    for (const [name, settings] of Object.entries(rows)) {
      ports.set(name, await freePort());
      masterCf += `127.0.0.1:${ports.get(name)} inet n - n - - smtpd${settings.split('\n').filter((each) => each !== '').map((each) => ` -o { ${each} }`).join('')}\n`;
    }
    const options = { mainCf: `myhostname = mx.pair.test\nmydestination =\ninet_protocols = ipv4\nsmtpd_peername_lookup = no\nrelay_domains = b.test\nsmtpd_recipient_restrictions = reject_unauth_destination\nsmtpd_relay_restrictions =\nlocal_recipient_maps =\nmilter_default_action = tempfail\nin_flow_delay = 0\nsmtpd_error_sleep_time = 0\nmilter_macro_v = V\nnotify_classes =\n${mainCf}`, masterCf };
    const system = kind === 'debian' ? await DebianPostfix.create(options) : await Instance.create(options);
    await system.start();
    return new MilterSide(system, ports);
  }

  /** The same for mail of a local program; what the log says of it ends with pickup's or bounce's line. */
  async submit(words: readonly string[], text: string, filters: readonly Filter[], config: string): Promise<Outcome> {
    const etc = `${this.system.directory}/etc`;
    const [command, ...first] = this.system instanceof DebianPostfix ? ['/usr/sbin/sendmail'] : [process.execPath, ourCommands, 'sendmail'];
    // The filters live in this process: it must not stand still meanwhile.
    const child = spawn(command!, [...first, '-C', etc, ...words], { stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdin.end(text);
    await new Promise((resolve) => child.on('close', resolve));
    const log = await eventually('the submission is over', () => {
      const news = this.system.log().slice(this.#read);
      return /cleanup\[/.test(news) && (readdirSync(`${this.system.directory}/queue/maildrop`).length === 0 || /error writing|try again later/.test(news)) ? news : undefined;
    });
    await eventually('the filters are left', () => filters.every(({ isLeft }) => isLeft));
    await eventually('the queue is settled', () => this.#isSettled());
    this.#read = this.system.log().length;
    for (const left of readdirSync(`${this.system.directory}/queue/maildrop`)) rmSync(`${this.system.directory}/queue/maildrop/${left}`);
    return { replies: [], heard: this.#heard(filters), log: this.#lines(log), queue: this.#takeQueue(config) };
  }

  #isSettled(): boolean {
    const files = ['incoming', 'hold'].flatMap((name) => readdirSync(`${this.system.directory}/queue/${name}`));
    return files.every((file) => ['incoming', 'hold'].some((name) => existsSync(`${this.system.directory}/queue/${name}/${file}`) && (statSync(`${this.system.directory}/queue/${name}/${file}`).mode & 0o100) !== 0));
  }

  #heard(filters: readonly Filter[]): string[] {
    return filters.flatMap(({ heard }) => heard).map((each) => clean(each));
  }

  #lines(log: string): string[] {
    return log.split('\n').map((line) => /postfix[^/]*\/(\w+)\[\d+\]: (.*)$/.exec(line)).filter((found) => found !== null).map(([, , text]) => clean(text!))
      .filter((line) => /milter|reject:|warning|fatal|panic/.test(line) && !/public\/qmgr|daemon started|^fatal: \S+\(0\): |error writing queue file/.test(line)).sort(); // two processes may speak at once
  }

  /** `config`: the configuration directory of a Postfix of Debian, whose postcat looks at the files. */
  async play(row: string, talk: Talk, filters: readonly Filter[], config: string): Promise<Outcome> {
    const replies = await converse(this.ports.get(row)!, talk);
    const log = await eventually('the session is in the log', () => {
      const text = this.system.log().slice(this.#read);
      return /disconnect from/.test(text) ? text : undefined;
    });
    this.#read += log.length;
    await eventually('the filters are left', () => filters.every(({ isLeft }) => isLeft));
    await eventually('the queue is settled', () => this.#isSettled());
    const queue = this.#takeQueue(config);
    return { replies: replies.map((reply) => clean(reply)), heard: this.#heard(filters), log: this.#lines(log), queue };
  }

  #takeQueue(config: string): string[] {
    const shown: string[] = [];
    for (const name of ['incoming', 'hold']) {
      const directory = `${this.system.directory}/queue/${name}`;
      for (const file of readdirSync(directory, { recursive: true }) as string[]) {
        const path = `${directory}/${file}`;
        if (!statSync(path).isFile()) continue;
        shown.push(`${name}\n${cleanQueueFile(execFileSync('/usr/sbin/postcat', ['-c', config, path], { encoding: 'latin1' }))}`);
        rmSync(path);
      }
    }
    return shown;
  }

  async stop(): Promise<void> {
    await this.system.stop();
  }
}

const clean = (line: string): string => line
  .replace(/\b[0-9A-F]{8,15}\b/g, 'ID').replace(/\[127\.0\.0\.1\]:\d+/g, '[127.0.0.1]:PORT').replace(/\{(client_port|daemon_port)\}=\d+/g, '$1=PORT').replace(/followed by \d+ data/, 'followed by DATA')
  .replace(/unreasonable packet length: .*/, 'unreasonable packet length')
  .replace(/^L Date .* \(\w+\)$/, 'L Date NOW').replace(/^C (\S+) 4../s, 'C $1 4PP').replace(/(message-id=)<.*>/, '$1<ID>').replace(/Postfix [\d.]+/g, 'VERSION').replace(/Postern [\w.-]+/g, 'VERSION');

function cleanQueueFile(text: string): string {
  return text.split('\n').filter((line) => !/^(message_size|message_arrival_time|create_time|named_attribute: (create_time|log_client_port|client_port|server_port|log_ident|message_id)|warning_message_time|queue_file|\*\*\* )/.test(line))
    .map((line) => clean(line).replace(/\b\w{3},\s+\d+ \w{3} \d{4} [\d:]+ .*$/, 'DATE').replace(/<[\d.]+ID@/, '<ID@').replace(/<\d{14}\.ID@/, '<ID@').replace(/\(Post\w+\)/, '(NAME)')).join('\n');
}

/** Every reply, as it came; the greeting first. */
export async function converse(port: number, talk: Talk): Promise<string[]> {
  const socket = connect({ host: '127.0.0.1', port });
  const replies: string[] = [];
  const reader = new Replies(socket);
  const first = await reader.next();
  if (first !== undefined) replies.push(first);
  for (const line of talk) {
    if (reader.isOver) break;
    if (line === '<close>') break;
    socket.write(line.startsWith('=') ? `${line.slice(1).replaceAll('\n', '\r\n')}\r\n.\r\n` : `${line}\r\n`, 'latin1');
    const reply = await reader.next();
    if (reply === undefined) break;
    replies.push(reply);
  }
  socket.destroy();
  return replies;
}

class Replies {
  isOver = false;
  #input = '';
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#input += chunk.toString('latin1');
      this.#wake?.();
    });
    const over = (): void => {
      this.isOver = true;
      this.#wake?.();
    };
    socket.on('error', over).on('end', over).on('close', over);
  }

  async next(): Promise<string | undefined> {
    for (;;) {
      const found = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(this.#input);
      if (found !== null) {
        this.#input = this.#input.slice(found[0].length);
        return found[0].trimEnd();
      }
      if (this.isOver) return undefined;
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }
}
