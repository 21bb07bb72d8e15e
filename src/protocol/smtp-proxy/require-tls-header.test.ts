import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RequireTlsHeader } from './require-tls-header.ts';

function through(text: string, cuts: readonly number[] = []): string {
  const header = new RequireTlsHeader();
  const content = Buffer.from(text, 'latin1');
  const out: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts.map((each) => Math.min(each, content.length)).sort((one, other) => one - other), content.length]) {
    out.push(...header.take(content.subarray(from, cut)));
    from = cut;
  }
  out.push(...header.end());
  return Buffer.concat(out).toString('latin1');
}

const line = 'Require-TLS-ESMTP: yes\r\n';

const cases: readonly [name: string, text: string, want: string][] = [
  ['at the end of the header', 'A: x\r\nB: y\r\n\r\nbody: z\r\n', `A: x\r\nB: y\r\n${line}\r\nbody: z\r\n`],
  ['behind continuation lines', 'A: x\r\n y\r\n\tz\r\n \r\n\r\nbody', `A: x\r\n y\r\n\tz\r\n \r\n${line}\r\nbody`],
  ['before a body without an empty line', 'A: x\r\nno header\r\nB: y\r\n', `A: x\r\n${line}no header\r\nB: y\r\n`],
  ['no header at all', '\r\nbody\r\n', `${line}\r\nbody\r\n`],
  ['nothing but a header', 'A: x\r\n', `A: x\r\n${line}`],
  ['nothing but a header that does not end', 'A: x', `A: x\r\n${line}`],
  ['nothing', '', line],
  ['there is one', 'require-tls-esmtp: YES\r\n\r\nbody', 'require-tls-esmtp: YES\r\n\r\nbody'],
  ['there is one, without a line end', 'A: x\r\nRequire-TLS-ESMTP:yes', 'A: x\r\nRequire-TLS-ESMTP:yes'],
  ['there is another word', 'Require-TLS-ESMTP: no\r\n\r\nbody', `Require-TLS-ESMTP: no\r\n${line}\r\nbody`],
  ['there is more behind the word', 'Require-TLS-ESMTP: yes.\r\n\r\nbody', `Require-TLS-ESMTP: yes.\r\n${line}\r\nbody`],
  ['it stands in the body', 'A: x\r\n\r\nRequire-TLS-ESMTP: yes\r\n', `A: x\r\n${line}\r\nRequire-TLS-ESMTP: yes\r\n`],
  ['lines end in LF', 'A: x\n\nbody\n', `A: x\n${line}\nbody\n`],
  ['a blank before the colon', 'A : x\r\n\r\n', `A : x\r\n${line}\r\n`],
];

for (const [name, text, want] of cases) {
  test(name, () => {
    assert.equal(through(text), want);
    fc.assert(fc.property(fc.array(fc.nat(60), { maxLength: 8 }), (cuts) => assert.equal(through(text, cuts), want)), { numRuns: 50 });
  });
}

test('a first line without end is not gathered', () => {
  const header = new RequireTlsHeader();
  let held = 0;
  for (let count = 0; count < 100; count++) held += 1000 - header.take(Buffer.alloc(1000, 65)).reduce((sum, { length }) => sum + length, 0);
  assert.ok(held <= 4096, `${held} bytes are held`);
});
