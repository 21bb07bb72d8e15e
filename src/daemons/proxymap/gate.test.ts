import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test, { after } from 'node:test';
import { approvedTables } from './gate.ts';

const folder = mkdtempSync(`${tmpdir()}/gate-`);
after(() => rmSync(folder, { recursive: true }));

const fails = (text: string): never => assert.fail(text);

for (const [list, want] of [
  ['', []],
  ['hash:/a texthash:/b', []],
  ['proxy:hash:/a, proxy:proxy:mysql:/b.cf', ['hash:/a', 'mysql:/b.cf']],
  ['permit_mynetworks check_client_access proxy:cidr:/c, reject', ['cidr:/c']],
  ['check_sender_access {proxy:hash:/a default=x}', ['hash:/a']],
  ['unionmap:{proxy:hash:/a, hash:/b} pipemap:{unionmap:{proxy:mysql:/c}, static:x}', ['hash:/a', 'mysql:/c']],
  ['proxy:unionmap:{hash:/a}', ['unionmap:{hash:/a}']],
  ['[::1] 192.0.2.0/24 !proxy:hash:/a', []],
] as const) test(`approved by "${list}"`, () => assert.deepEqual([...approvedTables(list, 'x', fails)], want));

test('lists in files, and files that cannot be read', () => {
  writeFileSync(`${folder}/list`, `# comment\nproxy:hash:/a\n  proxy:hash:/b\n${folder}/list\n`);
  const said: string[] = [];
  assert.deepEqual([...approvedTables(`${folder}/list ${folder}/none`, 'x', (text) => said.push(text))], ['hash:/a', 'hash:/b']);
  assert.equal(said.filter((text) => text.endsWith('none: No such file or directory')).length, 1);
});
