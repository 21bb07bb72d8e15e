import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test, { type TestContext } from 'node:test';
import { createLog } from './log.ts';
import { sinkOf } from './target.ts';
import { flushLogs } from './turn.ts';

function file(t: TestContext) {
  const directory = mkdtempSync(`${tmpdir()}/turn-`);
  const path = `${directory}/log`;
  const fd = openSync(path, 'a');
  t.after(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  const sink = sinkOf({ kind: 'descriptor', fd, hostname: 'mx' }, 'services');
  const log = createLog(sink, 'postfix/test', 1, () => { throw new Error('exit'); });
  return { log, lines: () => readFileSync(path, 'latin1').split('\n').slice(0, -1).map((line) => line.replace(/^.*?: /, '')) };
}

test('lines of several steps of one turn leave together, at its end', async (t) => {
  const { log, lines } = file(t);
  log.info('one');
  await Promise.resolve();
  log.info('two');
  assert.deepEqual(lines(), []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(lines(), ['one', 'two']);
});

test('who is about to tell another process has them written first', (t) => {
  const { log, lines } = file(t);
  log.info('one');
  flushLogs();
  assert.deepEqual(lines(), ['one']);
});

test('the last words of a process do not wait', (t) => {
  const { log, lines } = file(t);
  log.info('one');
  assert.throws(() => log.fatal('no more'), /exit/);
  assert.deepEqual(lines(), ['one', 'fatal: no more']);
});
