/**
 * How far long work has come, on the last line of a terminal: what is done of how many, how fast, how long it still takes.
 *
 * Silent in a pipe, on a terminal that cannot rewrite a line, and for work that is done in a blink. Takes the clock from its caller, who
 * calls `clear` before anything else is written there, and at the end. Colour only where NO_COLOR is not set (no-color.org). Never throws.
 */
export interface Terminal {
  write(bytes: Uint8Array): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressSettings {
  /** What is being done, in front of the numbers. */
  readonly what: string;
  /** Milliseconds, from any point. */
  readonly now: () => number;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Milliseconds of silence before the first line, and between two lines. */
const patience = 400;
const pause = 100;
/** The clock is asked once in so many steps. */
const stride = 64;
const barWidth = 20;
const erase = '\r\x1b[K';

export class Progress {
  readonly #terminal: Terminal;
  readonly #settings: ProgressSettings;
  readonly #live: boolean;
  readonly #colour: boolean;
  readonly #started: number;
  #total: number | undefined;
  #done = 0;
  #next: number;
  #shown = false;

  /** @param total undefined: nobody knows how much there is */
  constructor(terminal: Terminal, settings: ProgressSettings, total?: number) {
    const { NO_COLOR, TERM } = settings.environment;
    this.#terminal = terminal;
    this.#settings = settings;
    this.#live = terminal.isTTY === true && TERM !== 'dumb';
    this.#colour = NO_COLOR === undefined || NO_COLOR === '';
    this.#total = total;
    this.#started = this.#live ? settings.now() : 0;
    this.#next = this.#started + patience;
  }

  /** Is there a terminal to show it on? Where there is none, nobody need count in advance. */
  get live(): boolean {
    return this.#live;
  }

  /** How much there will be. */
  expect(total: number): void {
    this.#total = total;
  }

  step(count = 1): void {
    const before = this.#done;
    this.#done += count;
    if (!this.#live || Math.floor(before / stride) === Math.floor(this.#done / stride)) return;
    const now = this.#settings.now();
    if (now < this.#next) return;
    this.#next = now + pause;
    this.#show(progressLine(this.#settings.what, { done: this.#done, total: this.#total, seconds: (now - this.#started) / 1000 }, this.#colour));
  }

  /** Take the line away: before anything else is written there, and at the end. */
  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#terminal.write(Buffer.from(erase, 'latin1'));
  }

  #show(line: string): void {
    this.#shown = true;
    this.#terminal.write(Buffer.from(erase + fitted(line, (this.#terminal.columns || 80) - 1), 'latin1'));
  }
}

export interface Extent {
  readonly done: number;
  readonly total: number | undefined;
  readonly seconds: number;
}

/** The line itself: `postmap: access [#####     ]  43%  1,234,567  250,000/s  0:03 left`. */
export function progressLine(what: string, { done, total, seconds }: Extent, colour = false): string {
  const rate = seconds > 0 ? done / seconds : 0;
  const speed = `${grouped(done)}  ${grouped(Math.round(rate))}/s`;
  if (total === undefined || total <= 0) return `${what}  ${speed}`;
  const share = Math.min(done / total, 1);
  const left = rate > 0 ? `  ${clock((total - Math.min(done, total)) / rate)} left` : '';
  const bar = '#'.repeat(Math.floor(share * barWidth));
  const painted = colour ? `\x1b[32m${bar}\x1b[0m` : bar;
  return `${what} [${painted}${' '.repeat(barWidth - bar.length)}] ${String(Math.floor(share * 100)).padStart(3)}%  ${speed}${left}`;
}

function grouped(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** Minutes and seconds, hours where there are any. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (number: number): string => String(number).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** Cut to what a line of the terminal shows; colours take no room. */
function fitted(line: string, width: number): string {
  const plain = line.replace(/\x1b\[[0-9;]*m/g, '');
  return plain.length <= width ? line : plain.slice(0, width);
}
