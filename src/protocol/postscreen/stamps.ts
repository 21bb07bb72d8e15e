/**
 * The tests of postscreen(8) as sets of bits, and what is remembered of a client: one time stamp per test, `1;0;1700000000;0;0` in the
 * cache, as Postfix writes it. Pure: seconds since the epoch are handed in.
 */

/** In the order of the stamps in an entry. */
export const tests = { pregreet: 1, dnsbl: 2, pipelining: 4, nonSmtp: 8, bareNewline: 16 } as const;
export type TestBit = (typeof tests)[keyof typeof tests];

export const allTests: readonly TestBit[] = [tests.pregreet, tests.dnsbl, tests.pipelining, tests.nonSmtp, tests.bareNewline];
/** Before the greeting, and behind it. */
export const earlyTests = tests.pregreet | tests.dnsbl;
export const deepTests = tests.pipelining | tests.nonSmtp | tests.bareNewline;

/** What a stamp means that is no time: `fresh` never stands in the cache. */
export const stamp = { fresh: -1, never: 0, disabled: 1 } as const;

/** When each test's result expires, in the order of `allTests`. */
export type Stamps = number[];

/** What all sessions of one client at the same time share. */
export interface ClientRecord {
  readonly stamps: Stamps;
  sessions: number;
  /** Sessions that were the first to pass everything: only one is told as new. */
  passedNew: number;
}

export const newClient = (): ClientRecord => ({ stamps: allTests.map(() => stamp.fresh), sessions: 0, passedNew: 0 });

/** Of an entry with fewer stamps than there are tests the others were switched off; so is what cannot be read, and all behind it. */
export function parseStamps(entry: string): Stamps {
  const found: number[] = [];
  let at = 0;
  for (const _test of allTests) {
    const digits = /^[0-9]*/.exec(entry.slice(at))![0];
    const end = at + digits.length;
    const isWhole = digits !== '' && (end === entry.length || entry[end] === ';');
    found.push(isWhole && digits.length < 16 ? Number(digits) : stamp.disabled);
    at = entry[end] === ';' ? end + 1 : end;
  }
  return found;
}

/** The entry. A test that is switched off now and was never passed is noted as such: switching it on makes nobody new. */
export function renderStamps(stamps: Stamps, enabled: number): string {
  for (const [at, test] of allTests.entries()) if ((enabled & test) === 0 && stamps[at] === stamp.never) stamps[at] = stamp.disabled;
  return stamps.map((time) => Math.max(time, 0)).join(';');
}

/** Tests that are switched on and whose result has expired at `seconds`. */
export function dueTests(stamps: Stamps, enabled: number, seconds: number): number {
  let due = 0;
  for (const [at, test] of allTests.entries()) if ((enabled & test) !== 0 && seconds > stamps[at]!) due |= test;
  return due;
}

/** Some test was never passed while it was switched on. */
export const isNew = (stamps: Stamps): boolean => stamps.includes(stamp.never);

export function setStamp(stamps: Stamps, test: TestBit, seconds: number): void {
  stamps[allTests.indexOf(test)] = seconds;
}

/** Where a session stands with its tests: sets of bits. */
export class Progress {
  todo = 0;
  passed = 0;
  failed = 0;
  /** The result stands; of a deep test: its offence was logged and is not looked for again. */
  done = 0;
  isNew = false;
  /** postscreen_access_list says so. */
  isDenied = false;
  /** The client came to an address where nobody is allow-listed (postscreen_allowlist_interfaces). */
  isVetoed = false;
  /** This session does not get to the SMTP server. */
  staysHere = false;
  isEncrypted = false;
  hasHungUp = false;
  /** The next command is answered with the end. */
  isExpelled = false;

  get hasFailed(): boolean {
    return this.failed !== 0 || this.isDenied || this.isVetoed;
  }

  is(set: 'todo' | 'passed' | 'failed' | 'done', test: number): boolean {
    return (this[set] & test) !== 0;
  }

  /** What is to be tested, going by what is known of the client. */
  plan(stamps: Stamps, enabled: number, seconds: number): void {
    this.todo = dueTests(stamps, enabled, seconds);
    this.isNew = isNew(stamps);
  }
}
