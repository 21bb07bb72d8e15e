/** Plays the scenes of postscreen-scenes.ts on a mail system: one master.cf row per scene, each client from an address of its own. */
import { copyFileSync, mkdtempSync, chmodSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { DebianPostfix } from '../debian-postfix.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { startNameServer } from '../name-server.ts';
import type { Act, Scene } from './postscreen-scenes.ts';

export interface Played {
  readonly heard: readonly string[];
  /** Lines of postscreen, dnsblog and tlsproxy that name the client. */
  readonly logged: readonly string[];
}

const zone = (clients: readonly number[], answer: string): string => clients.map((client) => `${client}.77.0.127 A ${answer}\n`).join('');

const zones: Readonly<Record<string, string>> = {
  'black.test': `${zone([9, 10, 11, 12, 13], '127.0.0.2')}${zone([14], '127.0.0.2').replace('14.77.0.127', '14.77.0.127.secret')}`,
  'grey.test': zone([10, 52], '127.0.0.9'),
  'white.test': zone([15, 16], '127.0.1.1'),
};

const pem = fileURLToPath(new URL('../dialogues/tls.pem', import.meta.url));
const rest = 'cleanup qmgr rewrite bounce defer trace smtp error retry discard local anvil tlsmgr proxymap';

export async function playAll(peer: 'ours' | 'postfix', scenes: readonly Scene[]): Promise<Map<string, Played>> {
  // The resolver of the C library knows no other port.
  const address = peer === 'ours' ? '127.0.0.1' : `127.54.${process.pid >> 8 & 255}.${process.pid & 255 || 1}`;
  const port = peer === 'ours' ? await freePort() : 53;
  const names = await startNameServer(address, port, zones);
  const directory = mkdtempSync(`${tmpdir()}/postscreen-names-`);
  chmodSync(directory, 0o755);
  writeFileSync(`${directory}/resolv.conf`, `nameserver ${address}${peer === 'ours' ? `:${port}` : ''}\n`);
  copyFileSync(pem, `${directory}/tls.pem`);
  const ports = new Map<string, number>();
  for (const { name } of scenes) ports.set(name, await freePort());
  const cacheType = peer === 'ours' ? 'lmdb' : 'btree';
  const masterCf = `${scenes.map((scene, at) => row(scene, ports.get(scene.name)!, `${cacheType}:$data_directory/cache${at}`)).join('')}smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
${masterRows(rest)}
`;
  const mainCf = `myhostname = host.example.test
inet_protocols = ipv4
postscreen_access_list =
postscreen_greet_wait = 1s
postscreen_cache_cleanup_interval = 0
respectful_logging = yes
smtpd_peername_lookup = no
smtpd_forbid_unauth_pipelining = no
smtpd_tls_security_level = none
tlsproxy_tls_security_level = may
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_cert_file = ${directory}/tls.pem
alias_maps =
local_recipient_maps =
maximal_backoff_time = 1000s
${peer === 'ours' ? `resolver_configuration = ${directory}/resolv.conf\n` : ''}`;
  const system = await (peer === 'ours' ? Instance : DebianPostfix).create({ mainCf, masterCf });
  try {
    if (system instanceof DebianPostfix) await system.start(['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', `mount --bind ${directory}/resolv.conf /etc/resolv.conf && exec "$@"`, 'sh']);
    else await system.start();
    const played = new Map<string, Played>();
    await Promise.all(scenes.map(async (scene) => { played.set(scene.name, await play(scene, ports.get(scene.name)!, system)); }));
    return played;
  } finally {
    await system.stop();
    await names.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function row({ settings }: Scene, port: number, cache: string): string {
  const options = Object.entries({ postscreen_cache_map: cache, ...settings }).map(([name, value]) => `  -o { ${name} = ${value} }\n`);
  return `127.0.0.1:${port} inet n - n - 1 postscreen\n${options.join('')}`;
}

async function play(scene: Scene, port: number, system: Instance | DebianPostfix): Promise<Played> {
  const from = `127.0.77.${scene.client}`;
  const heard: string[] = [];
  if (scene.together) heard.push(...(await Promise.all(scene.visits.map((acts) => visit(acts, port, from)))));
  else for (const acts of scene.visits) heard.push(await visit(acts, port, from));
  // Whoever was let in leaves the SMTP server.
  const left = new RegExp(`(?:DISCONNECT \\[|disconnect from [^ ]*\\[)${from.replaceAll('.', '\\.')}\\]`, 'g');
  const encrypted = (word: string): number => linesOf(system.log(), from).filter((line) => line.startsWith(`tlsproxy: ${word}`)).length;
  await eventually(`${scene.name}: the log tells of every end`, () =>
    (system.log().replaceAll(/ postfix\/tlsproxy.*/g, '').match(left)?.length ?? 0) >= scene.visits.length && encrypted('CONNECT') === encrypted('DISCONNECT'));
  return { heard, logged: linesOf(system.log(), from) };
}

function linesOf(log: string, client: string): string[] {
  const found: string[] = [];
  for (const line of log.split('\n')) {
    const [, program, text] = / postfix\/(postscreen|dnsblog|tlsproxy)\[[0-9]+\]: (.*)$/.exec(line) ?? [];
    if (text === undefined || !new RegExp(`${client.replaceAll('.', '\\.')}(?![0-9])`).test(text)) continue;
    found.push(`${program}: ${text.replace(/\]:?[0-9]+(?=[ :;]|$)/g, ']:P').replace(/ after [0-9.]+ from/, ' after T from')}`);
  }
  // Programs of Postfix do not wait for each other.
  const of = (program: string): string[] => found.filter((line) => line.startsWith(program));
  return [...of('postscreen'), ...of('dnsblog').sort(), ...of('tlsproxy')];
}

/** What the server says in one visit, with `<end>` where it hangs up. */
async function visit(acts: readonly Act[], port: number, from: string): Promise<string> {
  const talk = new Talk(net.connect({ port, host: '127.0.0.1', localAddress: from }));
  let heard = '';
  for (const act of acts) {
    if ('say' in act) talk.say(act.say);
    else if ('hear' in act) heard += await talk.hear();
    else if ('pause' in act) await new Promise((resolve) => setTimeout(resolve, act.pause * 1000));
    else if ('tls' in act) heard += await talk.encrypt();
    else talk.end();
  }
  talk.end();
  return heard;
}

/** Milliseconds after which nobody says anything any more. */
const patience = 9000;

class Talk {
  #socket: net.Socket;
  #text = '';
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#listen();
  }

  say(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  async hear(): Promise<string> {
    for (;;) {
      // A line that goes on is an answer too, where no more comes.
      const found = /^(?:[0-9]{3}-.*\r\n)*[0-9]{3} .*\r\n/.exec(this.#text)?.[0];
      if (found !== undefined) {
        this.#text = this.#text.slice(found.length);
        return found;
      }
      if (this.#ended) {
        const left = this.#text;
        this.#text = '';
        return `${left}<end>`;
      }
      await this.#more();
    }
  }

  async encrypt(): Promise<string> {
    this.#socket.removeAllListeners();
    const secure = tls.connect({ socket: this.#socket, rejectUnauthorized: false });
    const trouble = await new Promise<Error | undefined>((resolve) => secure.once('secureConnect', () => resolve(undefined)).on('error', resolve));
    this.#socket = secure;
    this.#listen();
    return trouble === undefined ? '<TLS>' : '<no TLS>';
  }

  end(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    const stop = (): void => {
      this.#ended = true;
      this.#wake();
    };
    this.#socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      this.#wake();
    }).on('end', stop).on('close', stop).on('error', stop);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, patience);
      timer.unref();
      const late = setTimeout(() => {
        this.#ended = true;
        resolve();
      }, patience);
      this.#wake = () => {
        clearTimeout(timer);
        clearTimeout(late);
        resolve();
      };
    });
  }
}
