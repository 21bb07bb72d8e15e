/** Work of many, done in one go with a user's rights. Parts that need root say so in their titles. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isRoot } from './identity.ts';
import { asUserSoon } from './user-turns.ts';

const needsRoot = { skip: isRoot() ? false : 'only root can become another user' };
const self = { uid: process.getuid!(), gid: process.getgid!() };
const one = { uid: 65534, gid: 65534 };
const two = { uid: 65533, gid: 65532 };

function ids(): string {
  return `${process.geteuid!()}:${process.getegid!()}:${process.getgroups!().join()}`;
}

test('nothing is done at once; all is done in the order in which it came, and nothing comes in between', async () => {
  const done: string[] = [];
  const waiting = ['a', 'b', 'c'].map(async (name) => {
    await asUserSoon(self, () => done.push(name));
    done.push(`after ${name}`);
  });
  assert.deepEqual(done, []);
  await Promise.all(waiting);
  assert.deepEqual(done, ['a', 'b', 'c', 'after a', 'after b', 'after c']);
});

test('each has its own result: a throw or a promise is a failure of one only', async () => {
  const results = await Promise.allSettled([
    asUserSoon(self, () => 1), asUserSoon(self, () => { throw new Error('boom'); }), asUserSoon(self, async () => 2), asUserSoon(self, () => 3),
  ]);
  assert.deepEqual(results.map((result) => (result.status === 'fulfilled' ? result.value : (result.reason as Error).message)),
    [1, 'boom', 'panic: asUserSoon was given work that is not synchronous', 3]);
});

test('as root: every work has its own user\'s rights, and what waits for it has ours again', needsRoot, async () => {
  const before = ids();
  const seen = await Promise.all([one, two, one, { ...one, gid: 65532 }].map(async (user) => {
    const within = await asUserSoon(user, ids);
    return [within, ids()];
  }));
  assert.deepEqual(seen.map(([within]) => within), ['65534:65534:65534', '65533:65532:65532', '65534:65534:65534', '65534:65532:65532']);
  assert.deepEqual(seen.map(([, outside]) => outside), [before, before, before, before]);
});

test('as root: work that asks for more work has it done later, with the rights asked for', needsRoot, async () => {
  let inner: Promise<string> | undefined;
  const outer = await asUserSoon(one, () => {
    inner = asUserSoon(two, ids);
    return ids();
  });
  assert.deepEqual([outer, await inner], ['65534:65534:65534', '65533:65532:65532']);
});

test('as root: when the identity cannot be taken on, all are refused and nothing is done', needsRoot, async () => {
  let done = 0;
  const nobodyAtAll = { uid: 0xffff_ffff, gid: -1 };
  const results = await Promise.allSettled([asUserSoon(nobodyAtAll, () => done++), asUserSoon(nobodyAtAll, () => done++)]);
  assert.deepEqual([results.map(({ status }) => status), done, process.geteuid!()], [['rejected', 'rejected'], 0, 0]);
});
