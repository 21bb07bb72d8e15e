/** What access tables want to have done to a message reaches cleanup as records, in the place where cleanup takes them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { cleanupFlag, type Cleanup, type CleanupSession } from '../../ipc/cleanup.ts';
import { recordType } from '../../message/record.ts';
import { bench } from './access/testing.ts';
import type { SideEffects } from './access/state.ts';
import { Transaction, type TransactionFacts } from './transaction.ts';

const names: ReadonlyMap<number, string> = new Map((['flags', 'filter', 'redirect', 'recipient'] as const).map((name) => [recordType[name], name]));

/** What cleanup is told of the effects, in order; `message` and `extracted` stand between the segments. */
async function told(early: Partial<SideEffects>, late: Partial<SideEffects> = {}): Promise<string[]> {
  const words: string[] = [];
  const session = {
    queueId: 'ABC', record: (type: number, text: string) => { if (names.has(type)) words.push(`${names.get(type)} ${text}`);
      else if (type === recordType.attribute && text.startsWith('notify')) words.push(text); },
    message: () => words.push('message'), content: (chunk: Buffer) => words.push(...chunk.toString('latin1').split('\r\n').filter((line) => line.startsWith('X-'))), drained: () => Promise.resolve(),
    extracted: () => words.push('extracted'), end: () => Promise.resolve({ status: 0, reason: '' }), abort: () => undefined,
  } as unknown as CleanupSession;
  const { state } = bench();
  const facts = { state, sender: 'ann@example.org', parameters: { dsnRet: 0 }, arrival: 0, isLocalRewriting: false, contentFilter: '', withoutFlags: 0 } as unknown as TransactionFacts;
  const transaction = await Transaction.open({ open: () => session } as unknown as Cleanup, facts);
  Object.assign(state.effects, early);
  transaction.begin({ hostname: 'mx.example.org', mailName: 'Postern', hideClient: false, date: () => 'now' });
  Object.assign(state.effects, late);
  await transaction.end();
  return words;
}

for (const [name, early, late, want] of [
  ['nothing', {}, {}, ['message', 'extracted']],
  ['HOLD', { hold: true }, {}, [`flags ${cleanupFlag.hold}`, 'message', 'extracted']],
  ['HOLD at the end of the data', {}, { hold: true }, ['message', 'extracted', `flags ${cleanupFlag.hold}`]],
  ['DISCARD at the end of held data', { hold: true }, { discard: true }, [`flags ${cleanupFlag.hold}`, 'message', 'extracted', `flags ${cleanupFlag.hold | cleanupFlag.discard}`]],
  ['FILTER', { filter: 'smtp:there' }, {}, ['message', 'extracted', 'filter smtp:there']],
  ['REDIRECT', { redirect: 'other@example.org' }, {}, ['message', 'extracted', 'redirect other@example.org']],
  ['BCC', { bcc: ['a@example.org', 'b@example.org'] }, {}, ['message', 'extracted', 'notify_flags=1', 'recipient a@example.org', 'notify_flags=1', 'recipient b@example.org']],
  ['PREPEND', { prepend: ['X-One: 1', 'X-Two: 2'] }, {}, ['message', 'X-One: 1', 'X-Two: 2', 'extracted']],
] as const) {
  test(`effects: ${name}`, async () => assert.deepEqual(await told(early as Partial<SideEffects>, late), want));
}
