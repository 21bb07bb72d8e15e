/**
 * What is said of several runs of the same thing. Pure.
 */

/** Median, lowest and highest of some figures: the spread is the machine's noise. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The value in the middle; between two of them, halfway. NaN of nothing. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value that the given share (0 to 1) of the values does not exceed, between two neighbours in proportion. NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? NaN;
  const above = sorted[Math.ceil(place)] ?? NaN;
  return below + (above - below) * (place - Math.floor(place));
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Half of the distance between lowest and highest, in percent of the median. */
export function noise({ median, min, max }: Spread): number {
  return median === 0 ? 0 : (max - min) / 2 / median * 100;
}

/** Three digits that say something, and never an exponent: 4982, 49.8, 0.179. */
export function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
