/**
 * The queue of the process that runs cleanup and the queue manager: files as ever, and in front of them the journal, where most
 * messages live and end without ever being a file.
 *
 * Durable means durable: `commit` answers after the journal's write is on the disk, and nothing leaves the journal before it was
 * delivered or is a durable file. Without a queue manager that serves (`residents.serve`), and whenever the journal has no room,
 * messages are files at once.
 */
import { afterThisTurn } from '../host/turn.ts';
import type { Envelope } from '../message/envelope.ts';
import { timeValue } from '../text/time.ts';
import { FileStore, wallClock, type FileStoreOptions } from './file-store.ts';
import { JournalWriter, type JournalDoor } from './journal-writer.ts';
import { journalDirectory } from './journal/directory.ts';
import { Journal } from './journal/journal.ts';
import { placeText } from './journal/place.ts';
import { Spares, type Spare } from './journal/spares.ts';
import { composeQueueId, inodeText } from './queue-id.ts';
import { recoverMessages } from './recovery.ts';
import { openResident, ResidentMap, type Resident } from './residents.ts';
import {
  QueueTrouble, type LogName, type MessageFacts, type MessageReader, type MessageWriter, type OpenOptions, type QueueEntry, type QueueName, type QueueStore, type Reservation,
  type Reserved, type Residents,
} from './store.ts';

export interface JournalStoreOptions extends FileStoreOptions {
  readonly clock: { now(): number; after(milliseconds: number, run: () => void, idle?: boolean): { cancel(): void } };
  readonly warn: (text: string) => void;
  /** A message of a process that died was found to be delivered. */
  readonly removed: (queueId: string) => void;
  /** journal_* */
  readonly journal: {
    readonly segmentSize: number; readonly sizeLimit: number; readonly messageSizeLimit: number; readonly messageCountLimit: number;
    /** Seconds. */
    readonly delayLimit: number;
  };
}

/** Messages that become files at once, so many at a time. */
const settleWidth = 32;

interface Lease extends Reservation { readonly spare: Spare }

type Listener = Parameters<Residents['serve']>[0];

export class JournalStore implements QueueStore, Residents {
  readonly #options: JournalStoreOptions;
  readonly #files: FileStore;
  readonly #residents: ResidentMap;
  /** Opened with `recover`, when the process is who it will be. */
  #opened: { readonly journal: Journal; readonly spares: Spares } | undefined;
  readonly #door: JournalDoor;
  #listener: Listener | undefined;
  #isMissing = false;
  /** Spares that others have: reservations and residents. */
  #lent = 0;
  #isRetired = false;
  /** Left by other processes, and not to be touched yet. */
  readonly #waiting = new Set<string>();
  /** Messages on their way into the journal, and who waits until there are none. */
  #coming = 0;
  readonly #allCome: (() => void)[] = [];
  /** Durable, and not announced yet. */
  #newcomers: { readonly resident: Resident; readonly envelope: Envelope | undefined }[] = [];
  #sweeping = false;
  #filing = false;

  constructor(options: JournalStoreOptions) {
    const { journal } = options;
    this.#options = options;
    this.#files = new FileStore(options);
    this.#residents = new ResidentMap({
      paths: this.#files.paths, sync: this.#files.sync,
      give: (spare) => this.#back(spare), used: () => this.#back(), release: (place) => this.#journal.release(place),
    });
    this.#door = {
      sizeLimit: journal.messageSizeLimit,
      keep: (name, pieces, length, facts) => this.#keep(name, pieces, length, facts),
      file: (name) => this.#fileOf(name),
    };
  }

  get residents(): Residents {
    return this;
  }

  get #journal(): Journal {
    return this.#begun().journal;
  }

  get #spares(): Spares {
    return this.#begun().spares;
  }

  /** Without one every message is a file. The reason is said once. */
  #hasJournal(): boolean {
    try {
      return !this.#isMissing && this.#begun() !== undefined;
    } catch (error) {
      this.#isMissing = true;
      this.#options.warn(`${QueueTrouble.from(error, 'open the journal').message}: every message becomes a queue file at once`);
      return false;
    }
  }

  #begun(): { readonly journal: Journal; readonly spares: Spares } {
    if (this.#opened !== undefined) return this.#opened;
    const { root, clock, warn, journal: { segmentSize, sizeLimit, messageCountLimit } } = this.#options;
    const journal = Journal.open({ ...(root === undefined ? {} : { root }), segmentSize, sizeLimit, messageCountLimit, clock, warn });
    return (this.#opened = { journal, spares: new Spares(root) });
  }

  // ---- new messages

  create(reserved?: Reserved, long = this.#options.longQueueIds): MessageWriter {
    if (reserved !== undefined) return new JournalWriter(this.#door, reserved);
    const reservation = this.#listener === undefined ? undefined : this.reserve(long);
    if (reservation === undefined) return this.#files.create(undefined, long);
    const arrival = timeValue(this.#now());
    return new JournalWriter(this.#door, { reservation, arrival, queueId: composeQueueId(arrival, reservation.inode, reservation.long) });
  }

  reserve(long = this.#options.longQueueIds): Lease | undefined {
    if (!this.#hasJournal()) return undefined;
    let spare: Spare;
    try {
      spare = this.#spares.take();
    } catch (error) {
      throw QueueTrouble.from(error, 'create queue file');
    }
    this.#lent++;
    return { spare, long, inode: inodeText(spare.inode, long), release: () => this.#back(spare) };
  }

  /** A spare that is lent out is not lent any more: it comes back, or is used. */
  #back(spare?: Spare): void {
    this.#lent--;
    if (spare !== undefined) this.#spares.give(spare);
    this.#tidy();
  }

  /** The end of the spares, once nobody has one. */
  #tidy(): void {
    if (this.#isRetired && this.#lent === 0 && this.#residents.size === 0) this.#spares.removeAll();
  }

  #now(): number {
    return (this.#options.now ?? wallClock)();
  }

  async #keep(name: Reserved, pieces: readonly Buffer[], length: number, facts: MessageFacts): Promise<boolean> {
    if (this.#listener === undefined) return false;
    this.#coming++;
    try {
      const resident = await this.#append(name, pieces, length, facts.recipients);
      if (resident === undefined) return false;
      this.#residents.add(resident);
      const filed = this.#welcome(resident, facts.envelope);
      if (filed !== undefined) await filed;
      return true;
    } finally {
      if (--this.#coming === 0) for (const resolve of this.#allCome.splice(0)) resolve();
    }
  }

  /** Undefined: there is no room for it. */
  #append(name: Reserved, pieces: readonly Buffer[], length: number, recipients: readonly number[]): Promise<Resident | undefined> {
    const { spare } = name.reservation as Lease;
    return new Promise<Resident | undefined>((resolve, reject) => {
      const place = this.#journal.append(
        { queueId: name.queueId, inode: name.reservation.inode, pieces, length, recipients },
        (trouble) => {
          if (trouble === undefined) return resolve({ queueId: name.queueId, place: place!, spare, recipients, since: this.#options.clock.now(), active: false, taken: 0, file: undefined, settling: undefined, spoiled: false });
          this.#back(spare);
          reject(trouble);
        },
      );
      if (place === undefined) resolve(undefined);
    });
  }

  /** Announce it soon; the queue manager may have gone while it was written. */
  #welcome(resident: Resident, envelope: Envelope | undefined): Promise<void> | undefined {
    if (this.#listener === undefined) return this.#residents.settle(resident);
    // Whoever waits for the 250 goes first.
    if (this.#newcomers.push({ resident, envelope }) === 1) afterThisTurn(this.#announce);
    return undefined;
  }

  /** Tell the queue manager, unless the message is gone or becomes a file meanwhile: then it is found as one. */
  readonly #announce = (): void => {
    const all = this.#newcomers;
    this.#newcomers = [];
    for (const { resident, envelope } of all) {
      const { queueId, file, settling } = resident;
      if (this.#listener !== undefined && file === undefined && settling === undefined && this.#residents.get(queueId) === resident) this.#listener.arrived(queueId, envelope);
    }
    if (!this.#sweeping && this.#residents.size > 0 && this.#listener !== undefined) this.#sweepLater();
  };

  #fileOf({ reservation, queueId, arrival }: Reserved): MessageWriter {
    const writer = this.#files.adopt((reservation as Lease).spare.path, queueId, arrival);
    this.#back();
    return writer;
  }

  // ---- residents

  serve(listener: Listener): void {
    this.#listener = listener;
  }

  has(queueId: string): boolean {
    return this.#here(queueId) !== undefined;
  }

  get untaken(): number {
    return this.#residents.untaken;
  }

  place(queueId: string): string {
    const resident = this.#here(queueId);
    return resident === undefined ? '' : placeText(resident.place);
  }

  activate(queueId: string): boolean {
    const resident = this.#here(queueId);
    if (resident === undefined || resident.settling !== undefined) return false;
    this.#residents.activate(resident);
    return true;
  }

  taken(queueId: string): void {
    const resident = this.#residents.get(queueId);
    if (resident !== undefined) resident.taken++;
  }

  released(queueId: string): void {
    const resident = this.#residents.get(queueId);
    if (resident !== undefined) this.#residents.released(resident);
  }

  settle(queueId: string): Promise<void> {
    const resident = this.#here(queueId);
    return resident === undefined ? Promise.resolve() : this.#residents.settle(resident);
  }

  finish(queueId: string): boolean {
    const resident = this.#here(queueId);
    if (resident === undefined || resident.settling !== undefined) return false;
    this.#residents.forget(resident);
    return true;
  }

  present(): ReturnType<Residents['present']> {
    const here = [...this.#residents.values()].filter(({ file }) => file === undefined);
    return here.map((resident) => ({ queueId: resident.queueId, active: resident.active, image: () => this.#residents.image(resident) }));
  }

  async retire(final: boolean): Promise<void> {
    this.#listener = undefined;
    // What is on its way to the disk becomes a file when it has come there.
    if (this.#coming > 0) await new Promise<void>((resolve) => { this.#allCome.push(resolve); });
    await this.#settleAll([...this.#residents.values()], final);
    if (this.#opened === undefined) return;
    if (final) for (const resident of [...this.#residents.values()]) this.#residents.leave(resident);
    this.#journal.close();
    this.#isRetired = true;
    // Who still holds a name can use it, but for that no file must be left behind.
    if (final && this.#residents.size === 0) this.#spares.removeAll();
    else this.#tidy();
    await this.#syncEnd();
  }

  /** After a power cut the segments that were removed must not be there again: what was delivered would be delivered twice. */
  async #syncEnd(): Promise<void> {
    const { root } = this.#files.paths;
    // The first is gone when nothing is left in it.
    for (const path of [root + journalDirectory, root === '' ? '.' : root]) await this.#files.sync.sync(path).catch(() => undefined);
  }

  async file(): Promise<void> {
    const all = [...this.#residents.values()].filter(({ taken, file }) => taken === 0 && file === undefined);
    await this.#settleAll(all);
    if (all.some(({ active }) => !active)) this.#listener?.filed();
  }

  /** When a first segment can be written to, or none can be had. */
  ready(): Promise<void> {
    return this.#journal.ready();
  }

  async recover(): Promise<boolean> {
    if (!this.#hasJournal()) return false;
    return recoverMessages({ journal: this.#journal, spares: this.#spares, paths: this.#files.paths, sync: this.#files.sync, warn: this.#options.warn, removed: this.#options.removed, waiting: this.#waiting });
  }

  waits(queueId: string): boolean {
    return this.#waiting.has(queueId);
  }

  #here(queueId: string): Resident | undefined {
    const resident = this.#residents.get(queueId);
    return resident?.file === undefined ? resident : undefined;
  }

  /** Now and then: what has been here long, or stands in the way of a segment, becomes a file. */
  #sweepLater(): void {
    this.#sweeping = true;
    this.#options.clock.after(1000, () => {
      this.#sweeping = false;
      void this.#sweep().then(() => {
        if (this.#residents.size > 0 && !this.#sweeping && this.#listener !== undefined) this.#sweepLater();
      });
    }, true);
  }

  async #sweep(): Promise<void> {
    if (this.#filing) return;
    this.#filing = true;
    const before = this.#options.clock.now() - this.#options.journal.delayLimit * 1000;
    const old: Resident[] = [];
    // In the order of their coming, so the first young one ends the search.
    for (const resident of this.#residents.values()) {
      if (resident.since > before && !(this.#journal.isCrowded && old.length < settleWidth * 8)) break;
      if (resident.taken === 0 && resident.file === undefined) old.push(resident);
    }
    await this.#settleAll(old);
    this.#filing = false;
    if (old.some(({ active }) => !active)) this.#listener?.filed();
  }

  /** A few at a time; when one cannot be written, a warning, and the rest stays too. */
  async #settleAll(residents: readonly Resident[], takenToo = false): Promise<void> {
    const rest = [...residents];
    const work = async (): Promise<void> => {
      for (let resident = rest.shift(); resident !== undefined; resident = rest.shift()) {
        // An agent may have come since they were chosen: it would mark in the journal what is a file by then.
        if (resident.taken > 0 && !takenToo) continue;
        try {
          await this.#residents.settle(resident);
        } catch (error) {
          this.#options.warn((error as Error).message);
          rest.length = 0;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(settleWidth, residents.length) }, work));
  }

  // ---- the queue as files

  open(queue: QueueName, queueId: string, options: OpenOptions = {}): MessageReader {
    const resident = options.place === undefined || options.place === '' ? this.#here(queueId) : undefined;
    return resident === undefined ? this.#files.open(queue, queueId, options) : openResident(resident, this.#files.paths.root, options);
  }

  list(queue: QueueName): Iterable<QueueEntry> {
    return this.#files.list(queue);
  }

  move(queueId: string, from: QueueName, to: QueueName): void {
    this.#files.move(queueId, from, to);
  }

  remove(queueId: string, from: QueueName): void {
    this.#files.remove(queueId, from);
  }

  removeLog(queueId: string, log: LogName): boolean {
    return this.#files.removeLog(queueId, log);
  }

  stamp(queueId: string, queue: QueueName, time: number): void {
    this.#files.stamp(queueId, queue, time);
  }

  scan(queue: QueueName, size?: number): AsyncIterable<QueueEntry[]> {
    return this.#files.scan(queue, size);
  }
}
