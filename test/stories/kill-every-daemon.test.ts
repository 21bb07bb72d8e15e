/**
 * kill -9 of every process of the mail system, one after the other, while messages go through it by every route: what was
 * acknowledged arrives, as it was sent.
 *
 * A process that dies between delivering a message and saying so makes the next one deliver it again, where what it has left does not
 * tell: a server at the other end and a program tell nothing, a mailbox and a Maildir do. So the extra copies are bounded.
 *
 * POSTERN_KILLS=1000 sets how many processes are killed, each after fifty messages more.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Killer } from '../faults/killer.ts';
import { Routes } from '../faults/routes.ts';
import { sendAll } from '../faults/senders.ts';
import { Account } from '../faults/account.ts';
import { eventually } from '../instance.ts';

const kills = Number(process.env['POSTERN_KILLS'] ?? 40);
const messagesPerKill = 50;
const messages = kills * messagesPerKill;

test(`kill -9 of every daemon during ${messages} messages: nothing lost, nothing corrupt`, async (t) => {
  const routes = await Routes.open();
  t.after(() => routes.close());
  const { instance, port, recipients } = routes;
  await instance.start();
  const account = new Account();
  const killer = new Killer(instance, ['queue', 'network-in', 'delivery', 'network-out', 'queue', 'network-in', 'network-out', 'master']);
  await sendAll({
    port, account, recipients, count: messages, connections: 10, perConnection: 5,
    acknowledged: (count) => { if (count % messagesPerKill === 0) killer.strike(); },
  });
  await killer.rest();
  await eventually('the queue is empty', () => routes.queued().length === 0);
  const verdict = account.verdict(routes.arrived());
  t.diagnostic(JSON.stringify({ ...verdict, lost: verdict.lost.length, corrupt: verdict.corrupt.length, kills: Object.fromEntries(killer.kills) }));
  assert.deepEqual(verdict.lost, []);
  assert.deepEqual(verdict.corrupt, []);
  assert.ok(verdict.acknowledged >= messages);
  for (const kind of ['queue', 'network-in', 'delivery', 'network-out', 'master']) assert.ok((killer.kills.get(kind) ?? 0) > 1, `${kind} was killed`);
  assert.ok(verdict.extra <= 0.2 * killer.count + 5, `${verdict.extra} extra copies after ${killer.count} kills`);
  const { maildir = 0, mailbox = 0 } = verdict.extraBy;
  assert.ok(maildir + mailbox <= 0.02 * killer.count + 4, `${maildir} extra copies in the Maildir, ${mailbox} in the mailbox`);
  assert.equal(await instance.end(), 0);
  assert.deepEqual(instance.inhabitants(), [], 'stop leaves no process behind');
  assert.deepEqual(instance.lines(/: (panic|fatal): /).slice(0, 5), []);
});
