import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, describe, test } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { readSettings, type Program } from './settings.ts';

const place = mkdtempSync(`${tmpdir()}/smtp-settings-`);
after(() => rmSync(place, { recursive: true }));

const read = (program: Program, text: string) => {
  writeFileSync(`${place}/main.cf`, `myhostname = host.example.org\ninet_interfaces = 127.0.0.1\n${text}\n`);
  return readSettings(Configuration.load(place), program, []);
};

describe('for how long a connection is kept', () => {
  for (const [text, smtp, lmtp] of [
    ['', 2, 2],
    ['smtp_connection_cache_time_limit = 1s\nlmtp_connection_cache_time_limit = 5s', 1, 2],
    ['smtp_connection_cache_time_limit = 1m\nconnection_cache_ttl_limit = 5s', 5, 2],
    ['connection_cache_ttl_limit = 1', 1, 1],
  ] as const) {
    test(text === '' ? 'by default' : text, () => assert.deepEqual([read('smtp', text).cache.timeLimit, read('lmtp', text).cache.timeLimit], [smtp, lmtp]));
  }
});
