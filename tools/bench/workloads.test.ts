import assert from 'node:assert/strict';
import { test } from 'node:test';
import { share } from './drivers.ts';
import { lastDurations } from './latency.ts';
import { fileSystemOf } from './machine.ts';
import { destinationTable, fiftyRestrictions } from './tables.ts';
import { quicker, workloads } from './workloads.ts';

test('names are there once, and goals only where they are measured', () => {
  assert.equal(new Set(workloads.map(({ name }) => name)).size, workloads.length);
  for (const { name, variants, goal } of workloads) for (const variant of Object.keys(goal ?? {})) assert.ok((variants as string[]).includes(variant), name);
});

test('a quick look keeps enough messages for every session', () => {
  for (const workload of workloads) {
    const { messages, load } = quicker(workload);
    assert.ok(messages.postern >= load.sessions && messages.postfix >= load.sessions, workload.name);
  }
});

test('shares add up', () => {
  for (const total of [0, 1, 7, 2000]) {
    const parts = Array.from({ length: 4 }, (_, index) => share(total, 4, index));
    assert.equal(parts.reduce((sum, part) => sum + part, 0), total);
    assert.ok(Math.max(...parts) - Math.min(...parts) <= 1);
  }
});

test('fifty restrictions are fifty', () => {
  assert.equal(fiftyRestrictions('cdb:/etc/access').length, 50);
});

test('a thousand destinations are a thousand', () => {
  const lines = destinationTable(2525, 2000).trim().split('\n');
  assert.equal(lines.length, 2001);
  assert.equal(lines[1], '1rcpt@sink.test smtp:[127.0.10.101]:2525');
  assert.equal(new Set(lines.map((line) => line.split(' ')[1])).size, 1000);
});

test('durations are the last line of what was written', () => {
  assert.deepEqual(lastDurations('sess=0 quit=0 mesg=1\rsess=0 quit=0 mesg=2\r\n[1.5,2]\n'), [1.5, 2]);
});

test('the file system is that of the deepest mount point, the later one where two are the same', () => {
  const mounts = `21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
22 21 0:20 / /tmp rw - tmpfs tmpfs rw
23 22 254:2 / /tmp/real\\040disk rw - xfs /dev/vdb rw
24 21 0:30 / /srv rw - ext4 /dev/vdc rw
25 21 0:31 / /srv rw - btrfs /dev/vdd rw
`;
  const cases: readonly [path: string, type: string][] = [['/var/tmp', 'ext4'], ['/tmp/bench', 'tmpfs'], ['/tmp/real disk/x', 'xfs'], ['/tmporary', 'ext4'], ['/srv/x', 'btrfs']];
  for (const [path, type] of cases) assert.equal(fileSystemOf(path, mounts), type, path);
  assert.equal(fileSystemOf('/tmp', ''), 'unknown');
});
