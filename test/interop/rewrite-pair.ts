/**
 * Debian's trivial-rewrite(8) and ours, asked the same: theirs by its socket, one row of its master.cf per set of settings, ours by call.
 */
import net from 'node:net';
import { writeFileSync } from 'node:fs';
import { Configuration } from '../../src/config/configuration.ts';
import { parseMainCf } from '../../src/config/main-cf.ts';
import { daemon } from '../../src/daemons/trivial-rewrite/trivial-rewrite.ts';
import type { Calls } from '../../src/ipc/service.ts';
import { resolveFlag, type rewriteService } from '../../src/ipc/rewrite.ts';
import type { Service, Tools } from '../../src/server/daemon.ts';
import { DebianPostfix } from '../debian-postfix.ts';

export interface RewritePair {
  /** Both answers: an address, or transport, nexthop, recipient and flags on lines. */
  ask(setting: string, question: Question): Promise<{ readonly theirs: string; readonly ours: string }>;
  /** What their log says of this row's warnings, without names and numbers of processes. */
  stop(): Promise<void>;
  readonly postfix: DebianPostfix;
}

export type Question =
  | { readonly request: 'rewrite'; readonly rule: 'local' | 'remote'; readonly address: string }
  | { readonly request: 'resolve' | 'verify'; readonly sender: string; readonly address: string };

/** main.cf text beside the base, by name of the setting. */
export type Settings = ReadonlyMap<string, readonly string[]>;

const base = `compatibility_level = 3.6
myhostname = mx.here.test
mydomain = here.test
mydestination = here.test, mx.here.test, localhost
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
virtual_alias_maps =
local_recipient_maps =
`;

/** @param files tables and lists to be written into the configuration directory, which stands for `$config_directory` */
export async function startRewritePair(settings: Settings, files: Readonly<Record<string, string>> = {}): Promise<RewritePair> {
  const names = [...settings.keys()];
  const row = (name: string): string => `${name} unix - - n - - trivial-rewrite\n${settings.get(name)!.map((line) => `  -o { ${line} }\n`).join('')}`;
  const postfix = await DebianPostfix.create({ mainCf: base, masterCf: `rewrite unix - - n - - trivial-rewrite\n${names.map(row).join('')}` });
  for (const [name, text] of Object.entries(files)) writeFileSync(`${postfix.directory}/etc/${name}`, text, 'latin1');
  await postfix.start();
  const theirs = new Map(names.map((name) => [name, new Asker(`${postfix.directory}/queue/private/${name}`)]));
  const ours = new Map(names.map((name) => [name, ourService(`${postfix.directory}/etc`, `${base}${settings.get(name)!.join('\n')}\n`)]));
  return {
    postfix,
    ask: async (setting, question) => ({ theirs: shown(question, await theirs.get(setting)!.ask(question)), ours: await asked(ours.get(setting)!, question) }),
    stop: async () => {
      for (const asker of theirs.values()) asker.close();
      await postfix.stop();
    },
  };
}

type Answer = ReadonlyMap<string, string>;

function shown({ request }: Question, answer: Answer): string {
  if (request === 'rewrite') return answer.get('address')!;
  return resolved({ transport: answer.get('transport')!, nexthop: answer.get('nexthop')!, recipient: answer.get('recipient')!, flags: Number(answer.get('flags')) });
}

interface Resolved { readonly transport: string; readonly nexthop: string; readonly recipient: string; readonly flags: number }

/** Where an address does not resolve, only the flags mean something; where it could not be looked up, nothing else. */
function resolved({ transport, nexthop, recipient, flags }: Resolved): string {
  if (flags & resolveFlag.fail) return 'later';
  return flags & resolveFlag.error ? `flags ${flags}` : `${transport}\n${nexthop}\n${recipient}\n${flags}`;
}

async function asked(calls: Calls<typeof rewriteService>, question: Question): Promise<string> {
  if (question.request === 'rewrite') return (await calls.rewrite(question)).address;
  return resolved(await calls[question.request](question));
}

function ourService(directory: string, mainCf: string): Calls<typeof rewriteService> {
  const config = new Configuration(directory, parseMainCf(`config_directory = ${directory}\n${mainCf}`, 'main.cf', () => undefined));
  const log = { info: () => undefined, warning: () => undefined, error: () => undefined, fatal: () => undefined, panic: () => undefined };
  const tools = { config, log, clock: { monotonic: () => performance.now(), now: () => Date.now() }, restart: () => undefined, row: {}, services: {}, store: {} };
  return (daemon.open(tools as unknown as Tools) as Service).calls as Calls<typeof rewriteService>;
}

/** One question at a time over one connection, in Postfix's attribute protocol. */
class Asker {
  readonly #path: string;
  #socket: net.Socket | undefined;
  #heard = '';
  #wake: (() => void) | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async ask(question: Question): Promise<Answer> {
    const { request, ...rest } = question;
    if (this.#socket === undefined) {
      this.#socket = net.connect(this.#path);
      this.#socket.on('error', () => undefined).on('close', () => { this.#socket = undefined; this.#wake?.(); });
      this.#socket.on('data', (chunk) => { this.#heard += chunk.toString('latin1'); this.#wake?.(); });
      await this.#answer(); // their greeting
    }
    const words = ['request', request, ...Object.entries(rest).flat()];
    this.#socket.write(`${words.join('\0')}\0\0`, 'latin1');
    return this.#answer();
  }

  close(): void {
    this.#socket?.destroy();
  }

  /** Values by name: of a name that comes twice the last. Rejects when they hang up. */
  async #answer(): Promise<Answer> {
    for (;;) {
      const answer = this.#complete();
      if (answer !== undefined) return answer;
      if (this.#socket === undefined) throw new Error('they hung up');
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }

  #complete(): Answer | undefined {
    const answer = new Map<string, string>();
    for (let at = 0; at < this.#heard.length; ) {
      const name = this.#string(at);
      if (name === undefined) return undefined;
      at += name.length + 1;
      if (name === '') {
        this.#heard = this.#heard.slice(at);
        return answer;
      }
      const value = this.#string(at);
      if (value === undefined) return undefined;
      at += value.length + 1;
      answer.set(name, value);
    }
    return undefined;
  }

  #string(at: number): string | undefined {
    const end = this.#heard.indexOf('\0', at);
    return end < 0 ? undefined : this.#heard.slice(at, end);
  }
}
