/** What the tests of this folder share: a clock that is moved by hand, and a name server that says what it is told. */
import dgram from 'node:dgram';
import net from 'node:net';
import * as codec from 'dns-packet';
import type { Packet } from 'dns-packet';
import type { Ticker } from './ticker.ts';

export const realTicker: Ticker = {
  monotonic: () => performance.now(),
  after: (milliseconds, run) => {
    const timer = setTimeout(run, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Time stands still until it is moved. */
export class HandTicker implements Ticker {
  private now = 0;
  private timers: { due: number; run: () => void }[] = [];

  monotonic(): number {
    return this.now;
  }

  after(milliseconds: number, run: () => void): { cancel(): void } {
    const timer = { due: this.now + milliseconds, run };
    this.timers.push(timer);
    return { cancel: () => { this.timers = this.timers.filter((other) => other !== timer); } };
  }

  pass(milliseconds: number): void {
    this.now += milliseconds;
    const due = this.timers.filter((timer) => timer.due <= this.now);
    this.timers = this.timers.filter((timer) => timer.due > this.now);
    for (const { run } of due) run();
  }

  get waiting(): number {
    return this.timers.length;
  }
}

/** What to answer; undefined: nothing at all. A Buffer goes out as it is. */
export type Script = (question: { name: string; type: string }, over: 'udp' | 'tcp', query: Packet) => Partial<Packet> | Buffer | undefined;

export interface FakeNameServer extends AsyncDisposable {
  readonly port: number;
  readonly asked: string[];
}

/** Serves on a port of 127.0.0.1, UDP and TCP. `silent` is called when it was asked and says nothing of use. */
export async function fakeNameServer(script: Script, silent = (): void => {}): Promise<FakeNameServer> {
  const asked: string[] = [];
  const reply = (bytes: Buffer, over: 'udp' | 'tcp'): Buffer | undefined => {
    const query = codec.decode(bytes);
    const question = query.questions![0]!;
    asked.push(`${over} ${question.type} ${question.name}`);
    const answer = script(question, over, query);
    if (answer === undefined || Buffer.isBuffer(answer)) {
      setImmediate(silent);
      return answer;
    }
    const packet = { id: query.id!, type: 'response' as const, questions: query.questions!, ...answer };
    const encoded = codec.encode(packet);
    if (answer.rcode) encoded[3] = (encoded[3]! & 0xf0) | rcodes.indexOf(answer.rcode);
    return encoded;
  };
  const tcp = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const answer = reply(chunk.subarray(2), 'tcp');
      if (!answer) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      socket.write(Buffer.concat([length, answer]));
    });
  });
  await new Promise<void>((resolve) => { tcp.listen(0, '127.0.0.1', resolve); });
  const { port } = tcp.address() as net.AddressInfo;
  const udp = dgram.createSocket('udp4');
  udp.on('message', (bytes, from) => {
    const answer = reply(bytes, 'udp');
    if (answer) udp.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => { udp.bind(port, '127.0.0.1', resolve); });
  return {
    port, asked,
    async [Symbol.asyncDispose]() {
      udp.close();
      await new Promise((resolve) => { tcp.close(resolve); });
    },
  };
}

const rcodes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
export const truncated = 1 << 9;
export const authentic = 1 << 5;
