import assert from 'node:assert/strict';
import { test } from 'node:test';
import { masquerade, masqueradeDomains } from './masquerade.ts';

for (const [domains, address, want] of [
  ['x.test', 'joe@host.x.test', 'joe@x.test'],
  ['x.test', 'joe@a.b.x.test', 'joe@x.test'],
  ['x.test', 'joe@x.test', undefined],
  ['x.test', 'joe@notx.test', undefined],
  ['x.test', 'joe', undefined],
  ['x.test', '"a@b"@host.x.test', '"a@b"@x.test'],
  ['X.Test', 'joe@HOST.x.TEST', 'joe@x.test'],
  ['!a.x.test x.test', 'joe@h.a.x.test', undefined],
  ['!a.x.test x.test', 'joe@a.x.test', undefined],
  ['!a.x.test x.test', 'joe@b.x.test', 'joe@x.test'],
  ['!!x.test', 'joe@b.x.test', 'joe@x.test'],
  ['b.x.test, x.test', 'joe@h.b.x.test', 'joe@b.x.test'],
  ['x.test b.x.test', 'joe@h.b.x.test', 'joe@x.test'],
  ['! !', 'joe@h.x.test', undefined],
  ['', 'joe@h.x.test', undefined],
] as const) test(`masquerade_domains = ${domains}: ${address}`, () => assert.equal(masquerade({ domains: masqueradeDomains(domains), isExcepted: undefined }, address), want));

test('users that are excepted keep their domain, also when the list answers late', async () => {
  const domains = masqueradeDomains('x.test');
  const asked: string[] = [];
  const isExcepted = (local: string): Promise<boolean> => Promise.resolve(asked.push(local) > 0 && local === 'root');
  assert.equal(await masquerade({ domains, isExcepted }, 'root@h.x.test'), undefined);
  assert.equal(await masquerade({ domains, isExcepted: (local) => local === 'root' }, 'joe@h.x.test'), 'joe@x.test');
  assert.equal(await masquerade({ domains, isExcepted }, '"a b"@h.x.test'), '"a b"@x.test');
  assert.deepEqual(asked, ['root', '"a b"']);
});
