/** TLS log options, by name. Pure. */
import type { NameTable } from '../../text/name-mask.ts';

export const logs = {
  none: 0, summary: 1, untrusted: 2, peercert: 4, certmatch: 8, verbose: 16, cache: 32, debug: 64, packets: 128, allPackets: 256, dane: 512, trace: 1024,
} as const;

const two = logs.summary | logs.verbose | logs.cache | logs.debug;
const three = two | logs.packets;
const four = three | logs.allPackets;

export const logNames: NameTable = [
  ['0', 0], ['none', 0], ['1', logs.summary], ['routine', logs.summary], ['2', two], ['debug', two], ['3', three], ['ssl-expert', three],
  ['4', four], ['ssl-developer', four], ['5', four], ['6', four], ['7', four], ['8', four], ['9', four], ['summary', logs.summary],
  ['untrusted', logs.untrusted], ['peercert', logs.peercert], ['certmatch', logs.certmatch], ['verbose', logs.verbose], ['cache', logs.cache],
  ['dane', logs.dane], ['ssl-debug', logs.debug], ['ssl-handshake-packet-dump', logs.packets],
  ['ssl-session-packet-dump', logs.packets | logs.allPackets], ['trace', logs.trace],
];
