import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../../log/log.ts';
import { emptyEnvelope, type Envelope } from '../../message/envelope.ts';
import type { QueueStore } from '../../queue/store.ts';
import { conclude, finish, type LifecycleTools } from './lifecycle.ts';
import { activeMessage, type ActiveMessage } from './message.ts';

const start = 1_700_000_000;

interface Scene { readonly done: string[]; readonly tools: LifecycleTools; readonly message: ActiveMessage }

interface Setting {
  /** Seconds since the message came. */
  readonly age?: number;
  readonly deferred?: boolean;
  readonly envelope?: Partial<Envelope>;
  readonly logs?: readonly string[];
  readonly failing?: readonly string[];
  readonly forcedExpire?: boolean;
  readonly spoiled?: boolean;
  readonly incomplete?: boolean;
  readonly confirmDelay?: boolean;
}

/** A message at the end of an attempt; what happens to it is noted in `done`. */
function scene({ age = 0, deferred = false, envelope = {}, logs = [], failing = [], forcedExpire = false, spoiled = false, incomplete = false, confirmDelay = false }: Setting): Scene {
  const done: string[] = [];
  const service = (name: string) => new Proxy({}, {
    get: (_target, request) => async () => {
      done.push(`${name}.${String(request)}`);
      return { status: failing.includes(name) ? 1 : 0 };
    },
  }) as LifecycleTools['bounce'];
  const now = (start + age) * 1000;
  const store = {
    stamp: (_id: string, _queue: string, time: number) => done.push(`wait ${Math.round((time - now) / 1000)}`),
    move: (_id: string, from: string, to: string) => done.push(`${from} to ${to}`),
    remove: () => done.push('removed'),
    removeLog: (_id: string, log: string) => done.push(`no ${log} log`),
    open: () => ({ kill: (offset: number) => done.push(`kill ${offset}`), warned: (offset: number) => done.push(`warned ${offset}`), close() {} }),
  } as unknown as QueueStore;
  const log = { info: (text: string) => done.push(text), warning: (text: string) => done.push(`warning: ${text}`) } as unknown as Log;
  const tools: LifecycleTools = {
    log, store, now: () => now, bounce: service('bounce'), defer: service('defer'), trace: service('trace'),
    hasLog: (_id, name) => logs.includes(name),
    isSpoiled: () => spoiled, verpReports: true,
    rules: { minimalBackoff: 300, maximalBackoff: 4000, queueLifetime: 432_000, bounceLifetime: 432_000 },
  };
  const full = { ...emptyEnvelope(), sender: 'me@x.test', createTime: start, arrivalTime: { seconds: start, microseconds: 0 }, ...envelope };
  const message = activeMessage('Q', full, { forcedExpire, again: false, confirmDelay }, now);
  Object.assign(message, { deferred, incomplete });
  return { done, tools, message };
}

async function after(setting: Setting): Promise<string[]> {
  const { done, tools, message } = scene(setting);
  await conclude(message, tools);
  return done;
}

const day = 86_400;
const cases: [name: string, setting: Setting, want: string[]][] = [
  ['delivered', {}, ['no defer log', 'removed', 'Q: removed']],
  ['some bounced, the rest delivered', { logs: ['bounce'] }, ['bounce.flush', 'no defer log', 'removed', 'Q: removed']],
  ['the report could not be sent: it is tried again', { logs: ['bounce'], failing: ['bounce'] }, ['bounce.flush', 'wait 300', 'active to deferred']],
  ['deferred, new mail', { deferred: true }, ['wait 300', 'active to deferred']],
  ['deferred, ten minutes old: the wait is its age', { deferred: true, age: 600 }, ['wait 600', 'active to deferred']],
  ['deferred, a day old: the longest wait', { deferred: true, age: day }, ['wait 4000', 'active to deferred']],
  ['five days old', { deferred: true, age: 5 * day }, ['Q: from=<me@x.test>, status=expired, returned to sender', 'defer.flush', 'no defer log', 'removed', 'Q: removed']],
  ['five days old, but nobody can be told', { deferred: true, age: 5 * day, failing: ['defer'] },
    ['Q: from=<me@x.test>, status=expired, returned to sender', 'defer.flush', 'wait 4000', 'active to deferred']],
  ['five days old and all delivered at last', { age: 5 * day }, ['no defer log', 'removed', 'Q: removed']],
  ['the operator wants it returned', { deferred: true, forcedExpire: true },
    ['Q: from=<me@x.test>, status=force-expired, returned to sender', 'defer.flush', 'no defer log', 'removed', 'Q: removed']],
  ['late, and the sender wants to know', { deferred: true, age: 7200, envelope: { warnTime: start + 3600, warnOffset: 99 } }, ['defer.warn', 'warned 99', 'wait 4000', 'active to deferred']],
  ['not late yet', { deferred: true, age: 1800, envelope: { warnTime: start + 3600, warnOffset: 99 } }, ['wait 1800', 'active to deferred']],
  ['the sender was told before', { deferred: true, age: 7200, envelope: { warnTime: -1 } }, ['wait 4000', 'active to deferred']],
  ['the warning could not be sent: next time', { deferred: true, age: 7200, failing: ['defer'], envelope: { warnTime: start + 3600, warnOffset: 99 } }, ['defer.warn', 'wait 4000', 'active to deferred']],
  ['an agent found that the file is no good', { deferred: true, spoiled: true, age: 5 * day }, []],
  ['which matters only when something is left to do', { spoiled: true }, ['no defer log', 'removed', 'Q: removed']],
  ['not all recipients could be looked at: it does not expire', { deferred: true, incomplete: true, age: 5 * day }, ['wait 4000', 'active to deferred']],
  ['not even when the operator wants it returned', { deferred: true, incomplete: true, forcedExpire: true }, ['wait 300', 'active to deferred']],
  ['success that the sender wanted to hear of is told before what failed is returned', { deferred: true, age: 5 * day, logs: ['trace'], envelope: { traceFlags: 0x400, traceFlagsOffset: 77 } },
    ['trace.trace', 'kill 77', 'Q: from=<me@x.test>, status=expired, returned to sender', 'defer.flush', 'no defer log', 'removed', 'Q: removed']],
  ['the record of a delivery could not be sent: the message stays', { logs: ['trace'], failing: ['trace'], envelope: { traceFlags: 0x400, traceFlagsOffset: 77 } }, ['trace.trace', 'wait 300', 'active to deferred']],
  ['the end of a delay is told', { logs: ['trace'], confirmDelay: true, envelope: { warnTime: -1 } }, ['trace.trace', 'no defer log', 'removed', 'Q: removed']],
  ['a sender address per recipient: a report to each of these', { logs: ['bounce'], envelope: { verpDelimiters: '+=' } }, ['bounce.verp', 'no defer log', 'removed', 'Q: removed']],
  ['a second before its time is late enough', { deferred: true, age: 3599, envelope: { warnTime: start + 3600, warnOffset: 99 } }, ['defer.warn', 'warned 99', 'wait 3599', 'active to deferred']],
];
for (const [name, setting, want] of cases) test(name, async () => assert.deepEqual(await after(setting), want));

test('a bounce expires by bounce_queue_lifetime', async () => {
  const { done, tools, message } = scene({ deferred: true, age: 100, envelope: { sender: '' } });
  await conclude(message, { ...tools, rules: { ...tools.rules, bounceLifetime: 50 } });
  assert.equal(done[0], 'Q: from=<>, status=expired, returned to sender');
});

test('disable_verp_bounces', async () => {
  const { done, tools, message } = scene({ deferred: true, age: 6 * day, envelope: { verpDelimiters: '+=' } });
  await conclude(message, { ...tools, verpReports: false });
  assert.equal(done[1], 'defer.flush');
});

test('a report service that is out of reach keeps the message', async () => {
  const { done, tools, message } = scene({ logs: ['bounce'] });
  const away = { ...tools, bounce: new Proxy({}, { get: () => () => Promise.reject(new Error('no one there')) }) as LifecycleTools['bounce'] };
  assert.equal(await conclude(message, away), 'deferred');
  assert.deepEqual(done, ['warning: Q: bounce service failure: no one there', 'wait 300', 'active to deferred']);
});

const resident = (done: string[]) => ({ finish: (id: string) => done.push(`finish ${id}`) > 0, settle: async (id: string) => void done.push(`settle ${id}`) });

for (const [name, change, want] of [
  ['a message that is no file ends without one', () => {}, ['finish Q', 'Q: removed']],
  ['a deferred one becomes a file', (message: ActiveMessage) => { message.deferred = true; }, ['settle Q', 'wait 300', 'active to deferred']],
  ['one about which a report is due becomes a file', (message: ActiveMessage) => { message.logs = 1; }, ['settle Q', 'no defer log', 'removed', 'Q: removed']],
] as const) {
  test(name, async () => {
    const { done, tools, message } = scene({});
    change(message);
    const store = Object.assign(tools.store, { residents: resident(done) });
    if (!finish(message, { ...tools, store })) await conclude(message, { ...tools, store });
    assert.deepEqual(done, want);
  });
}

test('success that the sender wants to hear of is no quiet end', () => {
  const { done, tools } = scene({});
  const recipient = { address: 'a@x', originalAddress: '', dsnOrcpt: '', dsnNotify: 2, offset: 1, done: false };
  const message = activeMessage('Q', { ...emptyEnvelope(), recipients: [recipient] }, { forcedExpire: false, again: false }, 0);
  assert.equal(finish(message, { ...tools, store: Object.assign(tools.store, { residents: resident(done) }) as never }), false);
  assert.deepEqual(done, []);
});
