/**
 * How much the log says of TLS sessions with a peer: smtpd_tls_loglevel or smtp_tls_loglevel, unless the `_maps` parameter beside it has
 * something else for the peer's name or address.
 */
import type { Log } from '../log/log.ts';
import { logMask, type LogMask } from '../network/tls-log.ts';
import type { Maps } from './maps.ts';
import { TableTrouble } from './table.ts';
import { sameIgnoringCase } from '../text/ascii.ts';
import type { MaybePromise } from '../text/maybe.ts';

export interface LogLevelOptions {
  /** The parameter without tables; the one with them has `_maps` behind it. */
  readonly parameter: string;
  readonly usual: string;
  readonly maps: Maps;
  /** A domain in a table stands for the names below it; else one with a dot in front does. */
  readonly parents: boolean;
  readonly log: Log;
}

/** Levels that tables may give: so many are remembered. */
const rememberedLimit = 100;

export class TlsLogLevels {
  /** Of all that no table names. */
  readonly usual: LogMask;
  readonly #options: LogLevelOptions;
  readonly #known = new Map<string, LogMask>();

  constructor(options: LogLevelOptions) {
    this.#options = options;
    this.usual = this.#maskOf(options.parameter, options.usual);
  }

  of(peer: { readonly name: string; readonly address: string }): MaybePromise<LogMask> {
    return this.#options.maps.isEmpty ? this.usual : this.#find(peer);
  }

  /** A table that cannot be asked says nothing: it has complained already. */
  async #find({ name, address }: { readonly name: string; readonly address: string }): Promise<LogMask> {
    const { maps, parents } = this.#options;
    try {
      for (const keys of [nameKeys(name, parents), addressKeys(address)]) {
        for (const [index, key] of keys.entries()) {
          const level = await maps.find(key, index > 0);
          if (level !== undefined) return this.#chosen(level);
        }
      }
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
    }
    return this.usual;
  }

  #chosen(level: string): LogMask {
    return sameIgnoringCase(level, 'DUNNO') ? this.usual : this.#maskOf(`${this.#options.parameter}_maps`, level);
  }

  #maskOf(parameter: string, level: string): LogMask {
    const known = this.#known.get(level);
    if (known !== undefined) return known;
    const { mask, unknown } = logMask(level);
    for (const word of unknown) this.#options.log.warning(`unknown ${parameter} value "${word}" in "${level}"`);
    if (this.#known.size >= rememberedLimit) this.#known.clear();
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
