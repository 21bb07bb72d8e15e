// Names of TCP services and their ports: known_tcp_ports first, then /etc/services. Nothing here throws.
import { readFileSync } from 'node:fs';
import { allDigits, splitList, splitWhite } from '../text/ascii.ts';

/** What known_tcp_ports says when nobody says otherwise. */
export const usualTcpPorts = 'lmtp=24, smtp=25, smtps=submissions=465, submission=587';

/** The port of a service name or decimal number; undefined when nothing knows it. */
export function tcpPort(service: string, knownTcpPorts: string = usualTcpPorts): number | undefined {
  if (allDigits(service)) return validPort(Number(service));
  return knownPorts(knownTcpPorts).get(service) ?? systemPort(service);
}

function validPort(port: number): number | undefined {
  return port <= 65535 ? port : undefined;
}

/** Reads `name = name = port, ...`; entries that are no such list are passed over. */
export function knownPorts(text: string): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  for (const entry of splitList(text.replace(/[ \t\r\n]*=[ \t\r\n]*/g, '='))) {
    const names = entry.split('=');
    const port = names.pop() ?? '';
    if (!allDigits(port) || validPort(Number(port)) === undefined) continue;
    for (const name of names) ports.set(name, Number(port));
  }
  return ports;
}

let systemPorts: ReadonlyMap<string, number> | undefined;

function systemPort(service: string): number | undefined {
  systemPorts ??= readServices('/etc/services');
  return systemPorts.get(service);
}

function readServices(file: string): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  let text = '';
  try {
    text = readFileSync(file, 'latin1');
  } catch { /* without the file only the known ports have names */ }
  for (const line of text.split('\n')) {
    const [name, port, ...aliases] = splitWhite(line.replace(/#.*/, ''));
    const match = /^([0-9]{1,5})\/tcp$/.exec(port ?? '');
    if (match && name !== undefined) for (const each of [name, ...aliases]) if (!ports.has(each)) ports.set(each, Number(match[1]));
  }
  return ports;
}
