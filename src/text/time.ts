/**
 * Lengths of time as the operator writes them ("5m") and as the log shows them ("delay=0.12").
 *
 * Seconds are whole numbers unless a TimeValue says otherwise. Nothing here asks a clock and nothing throws: a text that
 * is no time gives undefined.
 */

/** A moment or a length of time, as in C struct timeval. */
export interface TimeValue {
  readonly seconds: number;
  /** 0 to 999999 */
  readonly microseconds: number;
}

export type TimeUnit = 's' | 'm' | 'h' | 'd' | 'w';

const unitSeconds: ReadonlyMap<string, number> = new Map([['s', 1], ['m', 60], ['h', 3600], ['d', 86400], ['w', 604800]]);
const largestInt = 0x7fffffff;

/**
 * Seconds for "30", "30s", "5m", "1h", "2d", "1w". A bare number is in `defaultUnit`. As Postfix's conv_time(): only the first
 * character behind the number is looked at, and the result must fit in 31 bits.
 */
export function parseTime(text: string, defaultUnit: TimeUnit = 's'): number | undefined {
  if (text === '') return undefined;
  const number = /^[ \t\n\v\f\r]*[+-]?[0-9]+/.exec(text)?.[0] ?? '';
  const value = number === '' ? 0 : Number(number);
  const scale = unitSeconds.get(text[number.length] ?? defaultUnit);
  if (scale === undefined || value < 0 || value > largestInt) return undefined;
  if (scale > 1 && value >= Math.floor(largestInt / scale)) return undefined;
  return value * scale;
}

/** Seconds with the largest unit that leaves no fraction: 300 is "5m", 0 is "0s". */
export function renderTime(seconds: number): string {
  for (const [unit, scale] of [...unitSeconds].reverse())
    if (seconds !== 0 && seconds % scale === 0) return `${seconds / scale}${unit}`;
  return `${seconds}s`;
}

/** `later` minus `earlier`, and zero when the clock went backwards. */
export function elapsed(later: TimeValue, earlier: TimeValue): TimeValue {
  const difference = (later.seconds - earlier.seconds) * 1_000_000 + later.microseconds - earlier.microseconds;
  if (difference < 0) return { seconds: 0, microseconds: 0 };
  return { seconds: Math.floor(difference / 1_000_000), microseconds: difference % 1_000_000 };
}

/** A TimeValue from milliseconds since the epoch, with their fraction. */
export function timeValue(milliseconds: number): TimeValue {
  const microseconds = Math.round(milliseconds * 1000);
  return { seconds: Math.floor(microseconds / 1_000_000), microseconds: ((microseconds % 1_000_000) + 1_000_000) % 1_000_000 };
}

/**
 * A length of time with no more than `significant` digits (1-6) and at most `decimals` of them (0-6) behind the point:
 * 0.0123 s is "0.01" with 2 and 2, 12.3 s is "12". This is how Postfix logs delays (delay_logging_resolution_limit = decimals).
 */
export function renderDelay(time: TimeValue, significant = 2, decimals = 2): string {
  let { seconds, microseconds } = time;
  const resolution = delayResolution(time, 10 ** significant, 1_000_000 / 10 ** decimals);
  if (resolution > 1) microseconds += Math.floor(resolution / 2);
  if (resolution > 1 && microseconds >= 1_000_000) {
    seconds += 1;
    microseconds -= 1_000_000;
  }
  return `${seconds}${fraction(microseconds, resolution)}`;
}

// How many microseconds the last digit that is worth showing stands for.
function delayResolution({ seconds, microseconds }: TimeValue, width: number, finest: number): number {
  if (finest >= 1_000_000) return finest;
  if (seconds > 0) {
    let scale = 1;
    while (seconds >= scale && scale <= width / 10) scale *= 10;
    return (1_000_000 / width) * scale;
  }
  let resolution = finest;
  while (microseconds >= width * resolution) resolution *= 10;
  return resolution;
}

function fraction(microseconds: number, resolution: number): string {
  if (microseconds < resolution) return '';
  let digits = '.';
  for (let rest = microseconds, place = 100_000; rest >= resolution && place >= 1; place = Math.floor(place / 10)) {
    digits += Math.floor(rest / place);
    rest %= place;
  }
  return digits;
}

/** When a message passed which door. Only `arrival` is always known. */
export interface DeliveryTimes {
  readonly arrival: TimeValue;
  readonly active?: TimeValue | undefined;
  readonly handoff?: TimeValue | undefined;
  readonly connected?: TimeValue | undefined;
  /** end of the delivery, or now */
  readonly done: TimeValue;
}

/** The four parts of a delivery: before the queue manager, in it, connection set-up, transmission; and their sum. */
export interface DeliveryDelays {
  readonly total: TimeValue;
  readonly parts: readonly [TimeValue, TimeValue, TimeValue, TimeValue];
}

const none: TimeValue = { seconds: 0, microseconds: 0 };

export function deliveryDelays({ arrival, active, handoff, connected, done }: DeliveryTimes): DeliveryDelays {
  const total = elapsed(done, arrival);
  if (!active) return { total, parts: [total, none, none, none] };
  const before = elapsed(active, arrival);
  if (!handoff) return { total, parts: [before, elapsed(done, active), none, none] };
  const queued = elapsed(handoff, active);
  if (!connected) return { total, parts: [before, queued, none, elapsed(done, handoff)] };
  return { total, parts: [before, queued, elapsed(connected, handoff), elapsed(done, connected)] };
}

/** "delay=0.12, delays=0.01/0/0.1/0.01", as in every delivery line of the mail log. */
export function renderDelays(times: DeliveryTimes, decimals = 2): string {
  const { total, parts } = deliveryDelays(times);
  return `delay=${renderDelay(total, 2, decimals)}, delays=${parts.map((part) => renderDelay(part, 2, decimals)).join('/')}`;
}
