import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { Configuration } from '../config/configuration.ts';
import { watchOf } from './group-process.ts';

const place = mkdtempSync(`${tmpdir()}/watch-time-`);
after(() => rmSync(place, { recursive: true }));

test('after what time a program that stands still is ended', () => {
  writeFileSync(`${place}/main.cf`, 'daemon_timeout = 100s\nqmgr_daemon_timeout = 101s\npostscreen_watchdog_timeout = 102s\npostlogd_watchdog_timeout = 103s\n');
  const config = Configuration.load(place);
  assert.deepEqual(['smtpd', 'qmgr', 'nqmgr', 'oqmgr', 'postscreen', 'postlogd', 'tlsmgr'].map((program) => watchOf(program, config)), [100, 101, 101, 101, 102, 103, 100]);
});
