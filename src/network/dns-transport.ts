/**
 * One question to one name server: over UDP from a port and with an id that nobody can guess, over TCP when the answer
 * does not fit (RFC 1035 section 4.2, RFC 5452, RFC 7766).
 *
 * What is not the answer to this very question is not looked at. No answer in time, or no way to the server, is undefined.
 */
import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import * as codec from 'dns-packet';
import type { Packet } from 'dns-packet';
import type { RecordType } from './dns.ts';
import type { NameServer } from './resolv-conf.ts';
import type { Ticker } from './ticker.ts';

/** RFC 9715: what passes everywhere without fragments. */
const udpPayload = 1232;

export interface Question {
  readonly name: string;
  readonly type: RecordType;
}

export async function askServer(server: NameServer, question: Question, milliseconds: number, ticker: Ticker): Promise<Packet | undefined> {
  const id = randomInt(0x10000);
  const query = encodeQuery(id, question);
  const until = ticker.monotonic() + milliseconds;
  const answer = await overUdp(server, query, (bytes) => readAnswer(bytes, id, question), milliseconds, ticker);
  if (!answer?.flag_tc) return answer;
  const left = Math.max(until - ticker.monotonic(), milliseconds / 2);
  return overTcp(server, query, (bytes) => readAnswer(bytes, id, question), left, ticker);
}

function encodeQuery(id: number, { name, type }: Question): Buffer {
  return codec.encode({
    id, type: 'query',
    // RFC 6840 section 5.7: AD in a question asks for AD in the answer, without all the signatures.
    flags: codec.RECURSION_DESIRED | codec.AUTHENTIC_DATA,
    questions: [{ name, type, class: 'IN' }],
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: udpPayload, flags: 0, options: [] }],
  });
}

function readAnswer(bytes: Buffer, id: number, { name, type }: Question): Packet | undefined {
  try {
    const packet = codec.decode(bytes);
    const asked = packet.questions?.[0];
    const mine = packet.id === id && packet.type === 'response';
    // A server that cannot read the question need not repeat it.
    if (mine && asked === undefined && packet.rcode !== 'NOERROR') return packet;
    return mine && asked?.type === type && sameName(asked.name, name) ? packet : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 4343: names are compared without regard to case. */
export function sameName(one: string, other: string): boolean {
  const plain = (name: string): string => (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  return plain(one) === plain(other);
}

type Read = (bytes: Buffer) => Packet | undefined;

function overUdp(server: NameServer, query: Buffer, read: Read, milliseconds: number, ticker: Ticker): Promise<Packet | undefined> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket({ type: net.isIP(server.address) === 6 ? 'udp6' : 'udp4', lookup: asItIs });
    const timer = ticker.after(milliseconds, () => finish(undefined));
    let over = false;
    const finish = (answer: Packet | undefined): void => {
      if (over) return;
      over = true;
      timer.cancel();
      socket.close();
      resolve(answer);
    };
    socket.on('error', () => finish(undefined));
    socket.on('message', (bytes) => {
      const answer = read(bytes);
      if (answer) finish(answer);
    });
    // A connected socket hears from this server only, and learns at once when nobody is there.
    socket.connect(server.port, server.address, () => { if (!over) socket.send(query, (error) => { if (error) finish(undefined); }); });
  });
}

function asItIs(address: string, _options: unknown, done: (error: null, address: string, family: number) => void): void {
  done(null, address, net.isIP(address));
}

function overTcp(server: NameServer, query: Buffer, read: Read, milliseconds: number, ticker: Ticker): Promise<Packet | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: server.address, port: server.port });
    const timer = ticker.after(milliseconds, () => socket.destroy());
    let bytes = Buffer.alloc(0);
    let answer: Packet | undefined;
    socket.on('error', () => {});
    socket.on('close', () => {
      timer.cancel();
      resolve(answer);
    });
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const length = bytes.length >= 2 ? bytes.readUInt16BE(0) : Number.POSITIVE_INFINITY;
      if (bytes.length < 2 + length) return;
      answer = read(bytes.subarray(2, 2 + length));
      socket.destroy();
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}
