/**
 * This run against an earlier one: the change of Postern's own figures, row by row. Pure.
 */
import type { Results, Row } from './results.ts';
import { figure, type Spread } from './statistics.ts';

export interface Change {
  readonly row: string;
  readonly what: string;
  readonly before: number;
  readonly now: number;
  /** Percent; above zero: better (more messages per second, less of everything else). */
  readonly better: number;
  /** The spreads of the two runs do not touch: more than noise. */
  readonly clear: boolean;
}

function change(row: string, what: string, before: Spread, now: Spread, moreIsBetter: boolean): Change {
  const share = now.median / before.median;
  return {
    row, what, before: before.median, now: now.median, better: (moreIsBetter ? share - 1 : 1 - share) * 100,
    clear: now.min > before.max || now.max < before.min,
  };
}

function point(value: number): Spread {
  return { median: value, min: value, max: value };
}

/** One run each has no spread to tell noise by. */
function changesOf(name: string, { postern: before }: Row, { postern: now }: Row, severalRuns: boolean): Change[] {
  if (before === undefined || now === undefined) return [];
  return [
    ...[change(name, 'rate', before.endToEnd, now.endToEnd, true), change(name, 'CPU', before.cpu, now.cpu, false)]
      .map((one) => ({ ...one, clear: one.clear && severalRuns })),
    change(name, 'peak PSS', point(before.peakPss), point(now.peakPss), false),
    ...(before.systemCalls === undefined || now.systemCalls === undefined ? [] : [change(name, 'system calls', point(before.systemCalls), point(now.systemCalls), false)]),
  ];
}

/** Throws when the text is no results file of a format that is known here. */
export function readResults(text: string): Results {
  const results = JSON.parse(text) as Partial<Results>;
  if (results.format !== 1 || !Array.isArray(results.rows)) throw new Error('not the results of this bench');
  return results as Results;
}

export function compare(before: Results, now: Results): Change[] {
  return now.rows.flatMap((row) => {
    const old = before.rows.find(({ name, variant }) => name === row.name && variant === row.variant);
    return old === undefined ? [] : changesOf(`${row.name}, ${row.variant}`, old, row, before.rounds > 1 && now.rounds > 1);
  });
}

/** A line for people. */
export function changeLine({ row, what, before, now, better, clear }: Change): string {
  const size = Math.abs(better) < 0.5 ? 'the same' : `${Math.abs(better).toFixed(0)} % ${better > 0 ? 'better' : 'worse'}`;
  return `${row}: ${what} ${figure(before)} -> ${figure(now)}, ${size}${clear ? '' : ' (may be noise)'}`;
}
