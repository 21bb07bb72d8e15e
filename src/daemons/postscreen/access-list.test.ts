import assert from 'node:assert/strict';
import test from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { ears } from '../../delivery/testing.ts';
import { tableContext } from '../../tables/table.ts';
import { AccessList } from './access-list.ts';

function list(text: string): { access: AccessList; lines: string[] } {
  const { log, lines } = ears();
  const config = new Configuration('/', new Map(), [['compatibility_level', '3.12'], ['myhostname', 'host.test'], ['mynetworks', '192.0.2.0/28, [2001:db8::]/64'], ['postscreen_access_list', text]]);
  return { access: new AccessList(config, tableContext(config, log)), lines };
}

for (const [text, address, want, told] of [
  ['', '192.0.2.1', 'dunno', []],
  ['permit', '192.0.2.1', 'permit', []],
  ['REJECT', '192.0.2.1', 'reject', []],
  ['permit_mynetworks, reject', '192.0.2.1', 'permit', []],
  ['permit_mynetworks, reject', '192.0.2.99', 'reject', []],
  ['permit_mynetworks', '2001:db8::7', 'permit', []],
  ['dunno, reject', '192.0.2.1', 'dunno', []],
  ['cidr:{{192.0.2.1/32 dunno}} reject', '192.0.2.1', 'reject', []],
  ['cidr:{{192.0.2.0/24 permit_mynetworks, reject}}', '192.0.2.1', 'permit', []],
  ['cidr:{{192.0.2.0/24 permit_mynetworks, reject}}', '192.0.2.99', 'reject', []],
  ['inline:{{192.0.2.1=static:permit, reject}}, reject', '192.0.2.1', 'reject', ['table inline:{{192.0.2.1=static:permit, reject}}: lookup result "static:permit" is not allowed -- ignoring remainder of access list']],
  ['perhaps, permit', '192.0.2.1', 'dunno', ['postscreen_access_list: unknown command: perhaps -- ignoring the remainder of this access list']],
  ['fail:broken, permit', '192.0.2.1', 'dunno', ['postscreen_access_list: fail:broken: table lookup error -- ignoring the remainder of this access list']],
] as const) test(`"${text}" says of ${address}: ${want}`, async () => {
  const { access, lines } = list(text);
  assert.equal(await access.verdict(address), want);
  assert.deepEqual(lines.filter((line) => /ignoring/.test(line)).map((line) => line.replace(/^.*?warning: /, '')), told);
});
