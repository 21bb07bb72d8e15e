import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const module = new URL('watchdog.ts', import.meta.url).href;

/** What becomes of a process that does this under a watch of so many milliseconds. */
function fate(work: string, limit = 300): [status: number | null, signal: string | null] {
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', `import { startWatchdog } from '${module}'; const stop = startWatchdog(${limit}); ${work}`], { timeout: 20_000 });
  return [status, signal];
}

test('a loop that stands still is ended', () => {
  assert.deepEqual(fate('setTimeout(() => { for (;;); }, 10);'), [null, 'SIGALRM']);
});

test('one that goes round is not, however long', () => {
  assert.deepEqual(fate('let turns = 0; setInterval(() => { if (++turns === 25) process.exit(7); }, 100);', 2000), [7, null]);
});

test('the watch keeps no process, and can be ended', () => {
  assert.deepEqual(fate(''), [0, null]);
  assert.deepEqual(fate('stop(); const end = Date.now() + 500; while (Date.now() < end); process.exit(8);'), [8, null]);
});
