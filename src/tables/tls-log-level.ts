/**
 * How much the log says of a client's TLS sessions: smtpd_tls_loglevel (postscreen_tls_loglevel), unless the tables of the parameter with
 * `_maps` behind its name have something else for its name or address.
 */
import type { Log } from '../log/log.ts';
import { logMask, type LogMask } from '../network/tls-log.ts';
import { sameIgnoringCase } from '../text/ascii.ts';
import type { MaybePromise } from '../text/maybe.ts';
import type { Maps } from './maps.ts';
import { TableTrouble } from './table.ts';

/** Whom tables may name; the name is '' where nobody asked for it. */
interface Peer { readonly name: string; readonly address: string }

export class TlsLogLevels {
  /** Of all that no table names. */
  readonly usual: LogMask;
  readonly #maps: Maps;
  readonly #parents: boolean;
  readonly #log: Log;
  readonly #known = new Map<string, LogMask>();
  readonly #parameter: string;

  /** `parents`: a domain in a table stands for the names below it; else one with a dot in front does. */
  constructor(usual: string, maps: Maps, parents: boolean, log: Log, parameter = 'smtpd_tls_loglevel') {
    this.#parameter = parameter;
    this.#log = log;
    this.#maps = maps;
    this.#parents = parents;
    this.usual = this.#maskOf(parameter, usual);
  }

  of(client: Peer): MaybePromise<LogMask> {
    return this.#maps.isEmpty ? this.usual : this.#find(client);
  }

  /** A table that cannot be asked says nothing: it has complained already. */
  async #find({ name, address }: Peer): Promise<LogMask> {
    try {
      for (const [index, key] of nameKeys(name, this.#parents).entries()) {
        const level = await this.#maps.find(key, index > 0);
        if (level !== undefined) return this.#chosen(level);
      }
      for (const [index, key] of addressKeys(address).entries()) {
        const level = await this.#maps.find(key, index > 0);
        if (level !== undefined) return this.#chosen(level);
      }
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
    }
    return this.usual;
  }

  #chosen(level: string): LogMask {
    return sameIgnoringCase(level, 'DUNNO') ? this.usual : this.#maskOf(`${this.#parameter}_maps`, level);
  }

  #maskOf(parameter: string, level: string): LogMask {
    const known = this.#known.get(level);
    if (known !== undefined) return known;
    const { mask, unknown } = logMask(level);
    for (const word of unknown) this.#log.warning(`unknown ${parameter} value "${word}" in "${level}"`);
    this.#known.set(level, mask);
    return mask;
  }
}

/** `a.b.c`, `.b.c`, `.c`; with `parents` without the dots. */
export function nameKeys(name: string, parents: boolean): string[] {
  const keys = name === '' ? [] : [name];
  for (let dot = name.indexOf('.', 1); dot >= 0; dot = name.indexOf('.', dot + 1)) keys.push(name.slice(parents ? dot + 1 : dot));
  return keys;
}

/** An address and the beginnings of it: `192.0.2.1`, `192.0.2`, `192.0`, `192`. */
export function addressKeys(address: string): string[] {
  const delimiter = address.includes(':') ? ':' : '.';
  const keys = address === '' ? [] : [address];
  for (let end = address.lastIndexOf(delimiter); end > 0; end = address.lastIndexOf(delimiter, end - 1)) keys.push(address.slice(0, end));
  return keys;
}
