/**
 * What a lookup table is to those who ask it.
 *
 * Keys and values are byte strings. `find` answers at once for local tables and with a promise for those behind a network;
 * `undefined` means "not found". A look-up that could not be done throws (or rejects with) TableTrouble: a temporary failure,
 * never "not found".
 */
import { lowerAscii } from '../text/ascii.ts';
import type { MaybePromise } from '../text/maybe.ts';

/** Whose rights a table's contents carry: commands in an alias table run as the owner of its file. */
export interface TableOwner {
  /** Nobody but root (or the one who configured us) could have written the contents. */
  readonly trusted: boolean;
  /** Owner of the file; undefined when unknown, or when there is no file. */
  readonly uid: number | undefined;
}

export interface LookupTable {
  readonly type: string;
  readonly name: string;
  /** Keys are texts to be found as they are; pattern tables (regexp, cidr) are not asked for parts of an address. */
  readonly fixed: boolean;
  readonly owner: TableOwner;
  find(key: string): MaybePromise<string | undefined>;
  /** Everything in it, for types that can tell. */
  entries?(): Iterable<readonly [string, string]>;
  /** For types that can be written: put a value in, or take a key out (false: it was not there). */
  update?(key: string, value: string): MaybePromise<void>;
  remove?(key: string): MaybePromise<boolean>;
  /** Look at the table's file now; true when it was opened again. Look-ups do this by themselves, at most once per second. */
  changed(): boolean;
  close(): void;
}

/** Is it the surroundings that fail (retry), or what the operator wrote (config)? */
export type TroubleKind = 'retry' | 'config';

export class TableTrouble extends Error {
  /** type:name */
  readonly table: string;
  readonly kind: TroubleKind;

  constructor(table: string, text: string, kind: TroubleKind = 'retry') {
    super(text);
    this.table = table;
    this.kind = kind;
  }
}

/** What tables need from the program that opens them. */
export interface TableContext {
  /** Expanded text of a main.cf parameter. */
  parameter(name: string): string;
  /** A line for the log at severity warning. */
  warn(text: string): void;
  /** The same at severity error; when a table cannot be opened. A command may throw here. */
  error?(text: string): void;
  info?(text: string): void;
  /** Ends this process soon, so that a new one can open what has changed: this one is in a jail, or may not open it any more. */
  restart?(reason: string): void;
  /** Milliseconds since 1970. */
  now?(): number;
  environment?: NodeJS.ProcessEnv;
  /** This is the process of proxymap(8): tables of type proxy are opened here. */
  readonly opensProxied?: boolean;
  /** A whole number from 0 to below `limit`. */
  random?(limit: number): number;
}

/** `warn` and `ignore`: the first holds; `replace`: the last. */
export type Duplicates = 'warn' | 'ignore' | 'replace';

export interface TableOptions {
  /** Keys are compared without regard to case (default). Pattern tables have their own rules. */
  readonly fold?: boolean;
  /** A source that is read itself (texthash) may have a key twice: which line holds, and is it told? Default: then it is no table that can be used. */
  readonly duplicates?: Duplicates;
  /** Keys and values must be UTF-8; default: `smtputf8_enable`. */
  readonly utf8?: boolean;
  /** Are keys and values stored with a NUL at their end? Default: find out. */
  readonly nul?: 'with' | 'without';
  /** Values are names of files in the source, and their contents in base64 in the table. */
  readonly valueIsFile?: boolean;
  /**
   * Rules of pattern tables must not put what they matched into their results: a stranger would choose them. Postfix has it so for
   * aliases, mailboxes and transports.
   */
  readonly noSubstitution?: boolean;
  /**
   * What is found says which commands run and whose mailbox is written: it must not come from just any server, and not by way of
   * proxymap(8). Postfix has it so for aliases(5) and the tables of virtual(8).
   */
  readonly sensitive?: boolean;
  /** The program changes the table too: by way of proxymap(8) both are done by the service that may write. */
  readonly written?: boolean;
}

/** A context made of a Configuration and a Log; for daemons also of their `restart`. A daemon ends at a table that cannot be opened only where main.cf says so. */
export function tableContext(
  configuration: { text(name: string): string },
  log: { warning(text: string): void; error(text: string): void; info(text: string): void; fatal?(text: string): never },
  restart?: (reason: string) => void,
): TableContext {
  const isFatal = (): boolean => restart !== undefined && lowerAscii(configuration.text('daemon_table_open_error_is_fatal')) === 'yes';
  return {
    ...(restart === undefined ? {} : { restart }),
    parameter: (name) => configuration.text(name),
    warn: (text) => log.warning(text),
    error: (text) => (log.fatal !== undefined && isFatal() ? log.fatal(text) : log.error(text)),
    info: (text) => log.info(text),
  };
}
