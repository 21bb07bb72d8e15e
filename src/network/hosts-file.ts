/**
 * Host names that this machine knows by itself: /etc/hosts (hosts(5)).
 *
 * Read again when it changes; kept when it vanishes (after chroot). A file that is not there knows no names.
 */
import { readFileSync, statSync } from 'node:fs';
import net from 'node:net';
import { lowerAscii, splitWhite } from '../text/ascii.ts';
import type { Ticker } from './ticker.ts';

const interval = 5000;

/** Names, lower-case, with their addresses in the order of the file. */
export function parseHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = splitWhite(line.replace(/#.*/, ''));
    if (net.isIP(address) === 0) continue;
    for (const name of names.map(lowerAscii)) {
      const known = hosts.get(name);
      if (!known) hosts.set(name, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return hosts;
}

export class HostsFile {
  private readonly path: string;
  private readonly ticker: Ticker;
  private hosts: ReadonlyMap<string, readonly string[]> = new Map();
  private stamp = '';
  private seen = Number.NEGATIVE_INFINITY;

  constructor(path: string, ticker: Ticker) {
    this.path = path;
    this.ticker = ticker;
    this.refresh();
  }

  /** Addresses of the name; empty when the file does not have it. */
  addresses(name: string): readonly string[] {
    this.refresh();
    return this.hosts.get(lowerAscii(name)) ?? [];
  }

  /** The first name that the file gives this address; undefined when it has none. */
  nameOf(address: string): string | undefined {
    this.refresh();
    for (const [name, addresses] of this.hosts) if (addresses.includes(address)) return name;
    return undefined;
  }

  private refresh(): void {
    if (this.ticker.monotonic() < this.seen + interval) return;
    this.seen = this.ticker.monotonic();
    try {
      const { mtimeMs, size, ino } = statSync(this.path);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp === this.stamp) return;
      this.hosts = parseHosts(readFileSync(this.path, 'latin1'));
      this.stamp = stamp;
    } catch { /* what was read before still holds */ }
  }
}
