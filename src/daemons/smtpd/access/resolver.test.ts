import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveFlag, type rewriteService } from '../../../ipc/rewrite.ts';
import type { Calls } from '../../../ipc/service.ts';
import type { Clock } from '../../../server/clock.ts';
import { createResolver } from './resolver.ts';

for (const [what, flags, want] of [['an address of ours', resolveFlag.relay, [1, 1, 1, 2]], ['an address that is none of ours', resolveFlag.other, [1, 1, 2, 3]]] as const) {
  test(`${what} is remembered as long as is good`, async () => {
    let now = 0;
    let asked = 0;
    const resolve = async (): Promise<{ transport: string; nexthop: string; recipient: string; flags: number }> => ({ transport: 'relay', nexthop: '', recipient: 'a@b.test', flags: (asked++, flags) });
    const calls = { rewrite: async ({ address }: { address: string }) => ({ address }), resolve } as unknown as Calls<typeof rewriteService>;
    const ask = createResolver(calls, { monotonic: () => now } as Clock);
    const counts: number[] = [];
    for (const at of [0, 999, 1000, 30_000]) {
      now = at;
      await ask('', 'a@b.test');
      counts.push(asked);
    }
    assert.deepEqual(counts, want);
  });
}
