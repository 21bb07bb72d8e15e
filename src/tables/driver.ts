/**
 * What one table type must do, and all that is common to them: folding of keys, UTF-8, opening again what has changed.
 *
 * A driver finds a key as it is. OpenedTable stands in front of it and is what callers hold: it stays valid for ever, also
 * while the file cannot be opened; each look-up then throws TableTrouble, and a second later it is tried again. A daemon that has
 * the old contents and cannot open the new ones (chroot jail, no rights any more) keeps them, and asks to be started again.
 */
import { closeSync, constants, fstatSync, openSync, statSync, type Stats } from 'node:fs';
import { hasChangedRoot } from '../host/process.ts';
import { lowerAscii } from '../text/ascii.ts';
import { chain, type MaybePromise } from '../text/maybe.ts';
import { foldCase, isUtf8 } from '../text/utf8.ts';
import { TableTrouble, type LookupTable, type TableContext, type TableOwner } from './table.ts';

export interface TableDriver {
  find(key: string): MaybePromise<string | undefined>;
  entries?(): Iterable<readonly [string, string]>;
  update?(key: string, value: string): MaybePromise<void>;
  /** False: it was not there. */
  remove?(key: string): MaybePromise<boolean>;
  close?(): void;
}

/** A driver and how to get one. `open` throws an Error whose message is the reason, in Postfix's words. */
export interface TableKind {
  open(): TableDriver;
  readonly fixed: boolean;
  /** The file whose change calls for opening again; a getter where it may be another one next time. */
  readonly file?: string;
  /**
   * How the file changes: 'replaced' by rename, 'in place' so that the reader sees it (open again only if it is another file),
   * or by an editor, so that a reader may meet it 'half written'.
   */
  readonly changes?: 'replaced' | 'in place' | 'half written';
  /** What the index was made from: warn when it is newer. */
  readonly source?: string;
  /** For types that are made of other tables. */
  readonly owner?: TableOwner;
  /** Do not touch the case of keys although folding is on. */
  readonly keepsCase?: boolean;
}

export interface Treatment {
  readonly fold: boolean;
  readonly utf8: boolean;
}

const notAscii = /[\x80-\xff]/;
const checkEvery = 1000;
/** Milliseconds after a look at the file in which a key that is not there need not be looked for again. */
const trustMissFor = 50;
const coolAfter = 1000;
/** Milliseconds after which a file is looked at again that was read while somebody may have been writing it. */
const lookSoon = 100;

interface Seen {
  readonly identity: string;
  readonly modified: number;
  readonly uid: number;
}

export class OpenedTable implements LookupTable {
  readonly type: string;
  readonly name: string;
  readonly fixed: boolean;
  readonly #kind: TableKind;
  /** Asked once: the name may take looking at files. */
  readonly #hasFile: boolean;
  readonly #context: TableContext;
  readonly #fold: (key: string) => string;
  readonly #utf8: boolean;
  #driver: TableDriver | undefined;
  #reason = '';
  #seen: Seen | undefined;
  #nextCheck = 0;
  #closed = false;
  /** The file as it was opened: in a jail the only way to see that it has changed. */
  #file: number | undefined;
  #restarting = false;
  /** What we have was read while an editor may have been at it: no better than what is there now. */
  #wasHot = false;

  constructor(type: string, name: string, kind: TableKind, treatment: Treatment, context: TableContext) {
    this.type = type;
    this.name = name;
    this.fixed = kind.fixed;
    this.#kind = kind;
    this.#hasFile = kind.file !== undefined;
    this.#context = context;
    this.#utf8 = treatment.utf8;
    const folds = treatment.fold && kind.fixed && !kind.keepsCase;
    this.#fold = !folds ? (key) => key : treatment.utf8 ? foldCase : lowerAscii;
    this.#open(this.#look());
  }

  get owner(): TableOwner {
    if (this.#kind.owner) return this.#kind.owner;
    const uid = this.#seen?.uid;
    return { trusted: uid === undefined || uid === 0, uid };
  }

  find(key: string): MaybePromise<string | undefined> {
    const driver = this.#ready();
    if (this.#utf8 && notAscii.test(key) && !isUtf8(key)) return this.#refuseKey(key);
    const value = driver.find(this.#fold(key)) ?? this.#findAgain(key);
    if (!this.#utf8) return value;
    return chain(value, (found) => (found !== undefined && notAscii.test(found) && !isUtf8(found) ? this.#refuseValue(key, found) : found));
  }

  /** "Not found" can turn mail away for good: look first whether an entry was added a moment ago. */
  #findAgain(key: string): MaybePromise<string | undefined> {
    const isFresh = !this.#hasFile || this.#now() < this.#nextCheck - checkEvery + trustMissFor;
    return isFresh || !this.changed() ? undefined : this.#ready().find(this.#fold(key));
  }

  entries(): Iterable<readonly [string, string]> {
    const driver = this.#ready();
    if (!driver.entries) throw new TableTrouble(this.#label, `table ${this.#label}: sequence operation is not supported`);
    return driver.entries();
  }

  update(key: string, value: string): MaybePromise<void> {
    const driver = this.#ready();
    return driver.update ? driver.update(this.#fold(key), value) : this.#readOnly();
  }

  remove(key: string): MaybePromise<boolean> {
    const driver = this.#ready();
    return driver.remove ? driver.remove(this.#fold(key)) : this.#readOnly();
  }

  #readOnly(): never {
    throw new TableTrouble(this.#label, `${this.#label} map requires O_RDONLY access mode`, 'config');
  }

  changed(): boolean {
    const now = this.#now();
    this.#nextCheck = now + checkEvery;
    if (this.#closed || (this.#driver && !this.#hasFile)) return false;
    if (this.#driver && hasChangedRoot()) return this.#lookFromJail();
    const seen = this.#look();
    if (this.#driver && (seen?.identity === this.#seen?.identity || (this.#isHot(seen, now) && !this.#wasHot))) return this.#stays(seen, now);
    this.#open(seen);
    return true;
  }

  #stays(seen: Seen | undefined, now: number): false {
    this.#wasHot &&= this.#isHot(seen, now);
    if (this.#wasHot) this.#nextCheck = now + lookSoon;
    return false;
  }

  close(): void {
    this.#closed = true;
    this.#driver?.close?.();
    this.#driver = undefined;
    this.#closeFile();
    this.#reason = 'it was closed';
  }

  get #label(): string {
    return `${this.type}:${this.name}`;
  }

  #now(): number {
    return this.#context.now?.() ?? Date.now();
  }

  #ready(): TableDriver {
    const mayChange = this.#hasFile || !this.#driver;
    if (mayChange && this.#now() >= this.#nextCheck) this.changed();
    if (!this.#driver) throw new TableTrouble(this.#label, `${this.#label} is unavailable. ${this.#reason}`);
    return this.#driver;
  }

  /** An editor may be at it: keep what we have until the file rests. */
  #isHot(seen: Seen | undefined, now: number): boolean {
    return this.#kind.changes === 'half written' && seen !== undefined && seen.modified <= now && now - seen.modified < coolAfter;
  }

  /** Look before opening, so that a change during the opening is seen next time. */
  #look(): Seen | undefined {
    const { file: path } = this.#kind;
    if (path === undefined) return undefined;
    const found = statSync(Buffer.from(path, 'latin1'), { throwIfNoEntry: false });
    return found && this.#seenAs(found);
  }

  #seenAs({ dev, ino, size, mtimeMs, uid }: Stats): Seen {
    const file = `${dev}:${ino}`;
    return { identity: this.#kind.changes === 'in place' ? file : `${file}:${size}:${mtimeMs}`, modified: mtimeMs, uid };
  }

  /** The path is not to be trusted here: has the file we hold been replaced or edited? Then only a new process can open it. */
  #lookFromJail(): false {
    if (this.#file === undefined) return false;
    const status = fstatSync(this.#file);
    if (status.nlink === 0 || this.#seenAs(status).identity !== this.#seen?.identity) this.#askForRestart();
    return false;
  }

  #askForRestart(): void {
    if (this.#restarting) return;
    this.#restarting = true;
    this.#context.restart?.(`table ${this.#label} has changed -- restarting`);
  }

  #holdFile(): void {
    this.#closeFile();
    const { file: path } = this.#kind;
    try {
      if (path !== undefined && this.#context.restart) this.#file = openSync(Buffer.from(path, 'latin1'), constants.O_RDONLY | constants.O_NONBLOCK);
    } catch {
      // a table can be made of what cannot be read; then its changes are seen outside of jails only
    }
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(seen: Seen | undefined): void {
    const now = this.#now();
    this.#wasHot = this.#isHot(seen, now);
    this.#nextCheck = now + (this.#wasHot ? lookSoon : checkEvery);
    let driver: TableDriver | undefined;
    try {
      driver = this.#kind.open();
    } catch (error) {
      if (this.#driver && this.#context.restart) return this.#askForRestart();
      this.#tell((error as Error).message);
    }
    this.#driver?.close?.();
    this.#driver = driver;
    this.#seen = seen;
    if (driver) this.#holdFile();
    if (driver) {
      this.#reason = '';
      this.#compareSource(seen);
    }
  }

  /** Tell a reason once, not with each attempt. */
  #tell(reason: string): void {
    if (reason === this.#reason) return;
    this.#reason = reason;
    (this.#context.error ?? this.#context.warn).call(this.#context, reason);
  }

  #compareSource(seen: Seen | undefined): void {
    const { source, file } = this.#kind;
    if (source === undefined || !seen) return;
    const found = statSync(Buffer.from(source, 'latin1'), { throwIfNoEntry: false });
    if (!found || found.mtimeMs <= seen.modified || found.mtimeMs >= this.#now() - 100_000) return;
    this.#context.warn(`database ${file} is older than source file ${source}`);
  }

  #refuseKey(key: string): undefined {
    this.#context.warn(`${this.#label}: non-UTF-8 key "${key}": malformed UTF-8 or invalid codepoint`);
    return undefined;
  }

  #refuseValue(key: string, value: string): never {
    const text = `${this.#label}: key "${key}": non-UTF-8 value "${value}": malformed UTF-8 or invalid codepoint`;
    this.#context.warn(text);
    throw new TableTrouble(this.#label, text, 'config');
  }
}
