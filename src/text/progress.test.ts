/** What a terminal gets to see of long work, and what a pipe does not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Progress, progressLine } from './progress.ts';

class Screen {
  readonly isTTY: boolean;
  readonly columns = 100;
  text = '';

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString('latin1');
  }

  /** The lines as one sees them in the end: what was erased is gone. */
  get lines(): string[] {
    return this.text.split('\n').map((line) => line.split('\r\x1b[K').at(-1)!);
  }
}

/** Ten seconds of work, a thousand steps each. */
function work(screen: Screen, environment: Record<string, string>, total?: number): Progress {
  let time = 0;
  const progress = new Progress(screen, { what: 'count', now: () => time, environment }, total);
  for (let step = 0; step < 10_000; step++) {
    time += 1;
    progress.step();
    if (step !== 5000) continue;
    progress.clear();
    screen.write(Buffer.from('a warning\n'));
  }
  return progress;
}

test('on a terminal: share, count, rate and time left; words of others stay, the line goes away', () => {
  const screen = new Screen(true);
  const progress = work(screen, { NO_COLOR: '1' }, 20_000);
  assert.equal(screen.lines[0], 'a warning');
  assert.match(screen.lines[1]!, /^count \[#{9} {11}\] {2}49%  9,9\d\d  1,000\/s  0:11 left$/);
  progress.clear();
  assert.deepEqual(screen.lines, ['a warning', '']);
  assert.ok(screen.text.split('\r\x1b[K').length < 120, 'not more than ten times a second');
});

for (const [name, screen, environment] of [
  ['in a pipe', new Screen(false), {}],
  ['on a terminal that cannot rewrite a line', new Screen(true), { TERM: 'dumb' }],
] as const) {
  test(`${name}: nothing but the words of others`, () => {
    work(screen, environment, 10_000).clear();
    assert.equal(screen.text, 'a warning\n');
  });
}

test('work that is done in a blink shows nothing', () => {
  const screen = new Screen(true);
  const progress = new Progress(screen, { what: 'count', now: () => 0, environment: {} }, 1000);
  progress.step(1000);
  progress.clear();
  assert.equal(screen.text, '');
});

test('colour, unless NO_COLOR has a value', () => {
  for (const [environment, want] of [[{}, true], [{ NO_COLOR: '' }, true], [{ NO_COLOR: '1' }, false]] as const) {
    const screen = new Screen(true);
    work(screen, environment, 10_000);
    assert.equal(screen.text.includes('\x1b[32m'), want, JSON.stringify(environment));
  }
});

for (const [extent, want] of [
  [{ done: 0, total: 10, seconds: 0 }, `x [${' '.repeat(20)}]   0%  0  0/s`],
  [{ done: 10, total: 10, seconds: 2 }, `x [${'#'.repeat(20)}] 100%  10  5/s  0:00 left`],
  [{ done: 12, total: 10, seconds: 2 }, `x [${'#'.repeat(20)}] 100%  12  6/s  0:00 left`],
  [{ done: 1_000_000, total: 101_000_000, seconds: 100 }, `x [${' '.repeat(20)}]   0%  1,000,000  10,000/s  2:46:40 left`],
  [{ done: 1500, total: undefined, seconds: 1 }, 'x  1,500  1,500/s'],
] as const) {
  test(`line: ${want}`, () => assert.equal(progressLine('x', extent), want));
}
