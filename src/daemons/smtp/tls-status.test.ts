import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { X509Certificate } from 'node:crypto';
import { TlsSessions } from './tls-sessions.ts';
import { TlsStatus } from './tls-status.ts';

for (const [level, required, come, want] of [
  ['may', false, [], 'may?'], ['may', false, [['level', 'may', false]], 'may'], ['may', false, [['level', 'none', false]], 'may:none'], ['verify', false, [['level', 'verify', true]], '!verify'],
  ['dane', false, [['level', 'encrypt', false]], 'dane:encrypt'], ['secure', true, [['level', 'secure', false], ['required', 'requiretls', false]], 'secure/requiretls'],
  ['secure', true, [['level', 'secure', true], ['required', 'nocertmatch', true]], '!secure/!requiretls:nocertmatch'], ['may', true, [], 'may?/requiretls?'], ['may', false, [['required', 'none', true]], 'may?'],
] as const) {
  test(`tls=${want}`, () => {
    const status = new TlsStatus(level, required);
    for (const [part, name, broken] of come) status[part](name, broken);
    assert.equal(status.text, want);
  });
}

test('sessions are kept for their time, and no more than a thousand', () => {
  let now = 0;
  const known = { session: Buffer.from('x'), chain: [] as X509Certificate[], verdict: { trusted: true, matched: true, error: undefined } };
  const sessions = new TlsSessions({ monotonic: () => now }, 100);
  sessions.save('first', known);
  now = 99_999;
  assert.equal(sessions.recall('first')?.session, known.session);
  now = 100_000;
  assert.equal(sessions.recall('first'), undefined);
  for (let number = 0; number < 1001; number++) sessions.save(`s${number}`, known);
  assert.deepEqual([sessions.recall('s0'), sessions.recall('s1')?.session, sessions.recall('s1000')?.session], [undefined, known.session, known.session]);
  sessions.forget('s1');
  assert.equal(sessions.recall('s1'), undefined);
  const off = new TlsSessions({ monotonic: () => now }, 0);
  off.save('x', known);
  assert.deepEqual([off.isEnabled, off.recall('x')], [false, undefined]);
});
