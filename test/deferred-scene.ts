/**
 * A mail system that begins with a long deferred queue, ours or Debian's Postfix: filled with files of our own writer, started, and
 * watched: when it answers, how long fresh mail takes meanwhile, how large its queue manager gets.
 */
import fs, { chownSync, lchownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { instanceAccounts } from '../tools/accounts.mjs';
import { createFileStore } from '../src/queue/file-store.ts';
import { writeSample } from '../src/queue/sample-queue.ts';
import { DebianPostfix } from './debian-postfix.ts';
import { openSink, type Sink } from './faults/sink.ts';
import { freePort, Instance } from './instance.ts';
import { submit } from './submit.ts';
import { masterRows } from './master-rows.ts';

export interface Waiting {
  readonly recipients: readonly string[];
  /** Milliseconds since the epoch. */
  readonly due: number;
}

export interface SceneOptions {
  readonly side: 'ours' | "Debian's";
  readonly waiting: Iterable<Waiting>;
  readonly mainCf?: string;
  readonly compiled?: boolean;
}

/** Fresh mail goes here; a slow host, and nobody at any other address. Addresses of loopback, but not the mail system's own. */
export const livingAddress = '127.0.0.77';
export const slowAddress = '127.0.0.76';
/** The host that nobody is at, by number: up to four million of them. */
export const deadAddress = (number: number): string => `127.${1 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;

const rows = (door: number): string => `127.0.0.1:${door} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry anvil')}
`;

/** A sender whose mail has waited for an hour. */
const age = 3600;
const batch = 500;
const slowness = 200;
/** Milliseconds for a greeting. */
const patience = 5000;

/** Files of the deferred queue. They are not flushed to the disk: nobody cuts the power here. */
export async function fillDeferred(queue: string, owner: { readonly uid: number; readonly gid: number }, messages: Iterable<Waiting>): Promise<number> {
  const store = createFileStore({ root: queue, hashQueueNames: 'deferred, defer', hashQueueDepth: 1, longQueueIds: false });
  const arrival = Math.floor(Date.now() / 1000) - age;
  const durable = fs.fsync;
  fs.fsync = ((_fd: number, done: () => void) => setImmediate(done)) as unknown as typeof fs.fsync;
  syncBuiltinESMExports();
  let [count, waiting] = [0, [] as Promise<void>[]];
  for (const { recipients, due } of messages) {
    const writer = store.create();
    writeSample(writer, { sender: 'sender@client.test', recipients, arrival });
    waiting.push(writer.commit('incoming').then(() => {
      store.move(writer.queueId, 'incoming', 'deferred');
      store.stamp(writer.queueId, 'deferred', due);
    }));
    count++;
    if (waiting.length < batch) continue;
    await Promise.all(waiting);
    waiting = [];
  }
  await Promise.all(waiting);
  fs.fsync = durable;
  syncBuiltinESMExports();
  if (process.getuid!() === 0) give(`${queue}/deferred`, owner);
  return count;
}

function give(directory: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  chownSync(directory, uid, gid);
  for (const name of readdirSync(directory, { recursive: true })) lchownSync(`${directory}/${String(name)}`, uid, gid);
}

/** Kilobytes. */
export interface Size { readonly rss: number; readonly pss: number }

const field = (text: string, name: string): number => Number(new RegExp(`^${name}:[ \\t]+([0-9]+) kB`, 'm').exec(text)?.[1] ?? 0);

export function sizeOf(pid: number): Size {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return { rss: field(text, 'Rss'), pss: field(text, 'Pss') };
}

/** The most that the process ever had, kilobytes. */
export function peakOf(pid: number): number {
  return field(readFileSync(`/proc/${pid}/status`, 'latin1'), 'VmHWM');
}

/** Seconds of processor time that the process has used. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const mailSettings = (port: number): string => `
myhostname = host.example.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtp_tcp_port = ${port}
smtp_connection_cache_on_demand = no
`;

export class Scene {
  readonly house: Instance | DebianPostfix;
  readonly port: number;
  readonly count: number;
  /** Milliseconds on the clock of `performance` when a text came, by the last line of the text. */
  readonly arrived = new Map<string, number>();
  slowlyTaken = 0;
  readonly #side: SceneOptions['side'];
  readonly #sinks: Sink[];
  #number = 0;

  private constructor(house: Instance | DebianPostfix, side: SceneOptions['side'], port: number, count: number) {
    [this.house, this.#side, this.port, this.count, this.#sinks] = [house, side, port, count, []];
  }

  static async create({ side, waiting, mainCf = '', compiled = false }: SceneOptions): Promise<Scene> {
    const [door, port] = [await freePort(), await freePort()];
    const settings = { mainCf: mailSettings(port) + mainCf, masterCf: rows(door), compiled };
    const house = side === 'ours' ? await Instance.create(settings) : await DebianPostfix.create(settings);
    const { uid, gid } = side === 'ours' ? instanceAccounts() : ownerOf(`${house.directory}/queue/active`);
    mkdirSync(`${house.directory}/queue/deferred`, { recursive: true });
    const scene = new Scene(house, side, door, await fillDeferred(`${house.directory}/queue`, { uid, gid }, waiting));
    const taken = (text: string): void => void scene.arrived.set(text.slice(text.lastIndexOf('\n') + 1), performance.now());
    scene.#sinks.push(await openSink(taken, { host: livingAddress, port }));
    scene.#sinks.push(await openSink(() => scene.slowlyTaken++, { host: slowAddress, port, pause: slowness }));
    return scene;
  }

  /** Milliseconds until the first greeting. */
  async start(): Promise<number> {
    const begin = performance.now();
    void this.house.start();
    while (!(await greets(this.port))) await pause(2);
    return performance.now() - begin;
  }

  /** Milliseconds from acceptance to arrival of a new message. */
  async fresh(): Promise<number> {
    const mark = `fresh ${++this.#number}`;
    await submit({ port: this.port, sender: 'sender@client.test', recipients: [`fresh@[${livingAddress}]`], text: `Subject: fresh\n\n${mark}\n` });
    const accepted = performance.now();
    for (let turn = 0; turn < 30_000; turn++) {
      const at = this.arrived.get(mark);
      if (at !== undefined) return Math.max(at - accepted, 0);
      await pause(2);
    }
    throw new Error(`fresh mail did not arrive: ${mark}`);
  }

  /** Process id of whoever runs the queue manager. */
  get queueManager(): number {
    const { pid } = this.house;
    for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter((word) => word !== '').map(Number)) {
      const name = readFileSync(`/proc/${child}/${this.#side === 'ours' ? 'cmdline' : 'comm'}`, 'latin1').split('\0')[0]!.trim();
      if (name === 'queue' || name === 'qmgr') return child;
    }
    throw new Error('no queue manager');
  }

  /** Files of a queue that is not hashed. */
  files(queue: string): number {
    return readdirSync(`${this.house.directory}/queue/${queue}`).length;
  }

  async stop(): Promise<void> {
    await this.house.stop();
    for (const sink of this.#sinks) await sink.close();
  }
}

function ownerOf(path: string): { uid: number; gid: number } {
  return fs.statSync(path);
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    const done = (greeted: boolean): void => {
      socket.destroy();
      resolve(greeted);
    };
    socket.on('error', () => done(false)).on('data', () => done(true)).on('close', () => done(false)).setTimeout(patience, () => done(false));
  });
}
