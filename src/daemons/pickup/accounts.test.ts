import assert from 'node:assert/strict';
import test from 'node:test';
import { getpwuid } from '../../host/identity.ts';
import { AccountsOfCallers, accountsIn } from './accounts.ts';

test('accounts of a password file, odd lines passed over, the first of equal numbers', () => {
  const text = 'root:x:0:0:Charlie &:/root:/bin/sh\ntoor:x:0:0::/:\n\n+::::::\nj\xe4:x:1000:1000:J\xe4,,,:/:\nbad:x:12x:1:::\n';
  assert.deepEqual([...accountsIn(text)], [[0, { name: 'root', gecos: 'Charlie &' }], [1000, { name: 'j\xe4', gecos: 'J\xe4,,,' }]]);
});

test('the system is asked, and asked again after a minute', () => {
  let now = 0;
  const accounts = new AccountsOfCallers(() => now, false);
  const { name, gecos } = getpwuid(process.getuid!())!;
  const first = accounts.find(process.getuid!());
  assert.deepEqual(first, { name, gecos });
  now = 59_999;
  assert.equal(accounts.find(process.getuid!()), first);
  now = 60_000;
  assert.notEqual(accounts.find(process.getuid!()), first);
  assert.equal(accounts.find(4_000_000_000), undefined);
});

test('in a chroot the local file of the start answers', () => {
  const accounts = new AccountsOfCallers(() => 0, true);
  assert.equal(accounts.find(0)?.name, 'root');
  assert.equal(accounts.find(4_000_000_000), undefined);
});
