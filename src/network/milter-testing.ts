/**
 * A filter of the Milter protocol for tests: it does what a script says, and remembers what it was told. Loopback only. It has its own idea of the
 * protocol (protocol/milter/testing.ts), not that of our machine.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { long, packetBytes, text, type Packet } from '../protocol/milter/testing.ts';

/** Packets to answer with, or a way to misbehave. */
export type Answer = readonly Packet[] | 'silence' | 'close' | { readonly bytes: Buffer };

export interface Script {
  readonly version?: number;
  readonly actions?: number;
  readonly steps?: number;
  /** Macro lists of its own: stage number and names. */
  readonly macros?: readonly (readonly [number, string])[];
  /** By command letter; each answers one after the other, the last one again and again. */
  readonly answers?: Readonly<Record<string, readonly Answer[]>>;
}

const silentSteps: Readonly<Record<string, number>> = { L: 1 << 7, C: 1 << 12, H: 1 << 13, M: 1 << 14, R: 1 << 15, T: 1 << 16, U: 1 << 17, N: 1 << 18, B: 1 << 19 };

export class Filter {
  script: Script = {};
  /** What it was told since `begin`: `M <ann@a.test>`, `D M i=...`. Bodies by length and beginning. */
  heard: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #counts = new Map<string, number>();

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  begin(script: Script): void {
    this.script = script;
    this.heard = [];
    this.#counts = new Map();
  }

  /** Is nobody connected any more? */
  get isLeft(): boolean {
    return this.#sockets.size === 0;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let input = Buffer.alloc(0);
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk]);
      while (input.length >= 5 && input.length >= 4 + input.readUInt32BE()) {
        const end = 4 + input.readUInt32BE();
        const [code, data] = [String.fromCharCode(input[4]!), input.toString('latin1', 5, end)];
        input = input.subarray(end);
        this.#hear(socket, code, data);
      }
    });
  }

  #hear(socket: Socket, code: string, data: string): void {
    this.heard.push(told(code, data));
    const { script } = this;
    if (code === 'O' && script.answers?.['O'] === undefined) {
      const macros = (script.macros ?? []).map(([stage, names]) => long(stage) + text(names)).join('');
      const version = Math.min(script.version ?? 6, Buffer.from(data, 'latin1').readUInt32BE());
      return this.#answer(socket, [['O', long(version) + long(script.actions ?? 0x1ff) + long(script.steps ?? 0) + macros]]);
    }
    if ('DAQK'.includes(code)) return;
    const count = this.#counts.get(code) ?? 0;
    this.#counts.set(code, count + 1);
    const own = script.answers?.[code];
    const silent = ((script.steps ?? 0) & (silentSteps[code] ?? 0)) !== 0;
    const answer = own?.[Math.min(count, own.length - 1)] ?? (silent ? [] : [['c'] as const]);
    this.#answer(socket, answer);
  }

  #answer(socket: Socket, answer: Answer): void {
    if (answer === 'silence') return;
    if (answer === 'close') socket.end();
    else if ('bytes' in answer) socket.write(answer.bytes);
    else for (const packet of answer) socket.write(packetBytes(packet));
  }
}

function told(code: string, data: string): string {
  if (code === 'B') return `B ${data.length} ${data.slice(0, 200)}`;
  if (code === 'O') return `O ${Buffer.from(data, 'latin1').toString('hex')}`;
  const words = data.endsWith('\0') ? data.slice(0, -1).split('\0') : data === '' ? [] : data.split('\0');
  if (code !== 'D') return [code, ...words].join(' ');
  const event = words[0]?.[0] ?? '';
  const rest = [words[0]?.slice(1) ?? '', ...words.slice(1)].filter((word, at) => at > 0 || word !== '');
  const pairs: string[] = [];
  for (let at = 0; at + 1 < rest.length + (rest.length % 2); at += 2) pairs.push(`${rest[at]}=${rest[at + 1] ?? ''}`);
  return ['D', event, ...pairs].join(' ');
}
