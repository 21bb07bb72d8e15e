/**
 * `postfix reload` forty times while 2,000 clients come, one message each: every client is greeted and served, every message arrives.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Account } from '../faults/account.ts';
import { Routes } from '../faults/routes.ts';
import { handOver } from '../faults/senders.ts';
import { GoneAway, SmtpClient } from '../faults/smtp-client.ts';
import { eventually } from '../instance.ts';

const connections = 2000;
const reloads = 40;
/** Now and then one whose server takes its time: such deliveries outlast the queue manager that began them. */
const recipientOf = (turn: number): string => (turn % 8 === 0 ? 'joe@relay.example.test' : 'joe@virtual.example.test');
const slowness = 100;
const postfix = fileURLToPath(new URL('../../bin/postfix', import.meta.url));

const followed = /\/master\[[0-9]+\]: reload -- version/;

interface Tally { served: number; readonly turnedAway: string[]; readonly cutOff: string[] }

async function visit(port: number, account: Account, tally: Tally): Promise<void> {
  const recipient = recipientOf(tally.served);
  const message = account.message('sender@client.example.test', recipient, 300);
  let client: SmtpClient | undefined;
  try {
    client = await SmtpClient.meet(port);
    if (!(await handOver(client, account, message, recipient))) tally.cutOff.push('not taken');
    await client.quit();
    tally.served++;
  } catch (error) {
    if (!(error instanceof GoneAway)) throw error;
    (error.atTheDoor ? tally.turnedAway : tally.cutOff).push(error.message);
  } finally {
    client?.drop();
  }
}

test(`reload ${reloads} times during ${connections} connections: none refused, nothing lost`, async (t) => {
  const routes = await Routes.open({ sink: { wait: slowness } });
  t.after(() => routes.close());
  const { instance, port } = routes;
  await instance.start();
  const account = new Account();
  const descriptors = (): number => readdirSync(`/proc/${instance.pid}/fd`).length;
  // Every process that will be is there.
  for (const served of [0, 1]) await visit(port, account, { served, turnedAway: [], cutOff: [] });
  await eventually('the first messages are there', () => account.verdict(routes.arrived()).lost.length === 0);
  const [openBefore, processesBefore] = [descriptors(), instance.children().size];
  const tally: Tally = { served: 0, turnedAway: [], cutOff: [] };
  let begun = 0;
  let asked = 0;
  let heard: Promise<unknown> = Promise.resolve();
  const reload = async (): Promise<void> => {
    await promisify(execFile)(postfix, ['-c', `${instance.directory}/etc`, 'reload']);
    const wanted = ++asked;
    await eventually(`reload ${wanted}`, () => instance.lines(followed).length >= wanted);
  };
  const visitors = Array.from({ length: 8 }, async () => {
    while (begun < connections) {
      // Signals that come too fast are one signal: the next reload waits until master has followed the last.
      if (begun++ % (connections / reloads) === 0) await (heard = heard.then(reload));
      await visit(port, account, tally);
    }
  });
  await Promise.all(visitors);
  await eventually('the queue is empty', () => routes.queued().length === 0);
  const verdict = account.verdict(routes.arrived());
  t.diagnostic(JSON.stringify({ ...tally, acknowledged: verdict.acknowledged, lost: verdict.lost.length, corrupt: verdict.corrupt.length, extra: verdict.extra, reloads: asked }));
  assert.deepEqual(tally, { served: connections, turnedAway: [], cutOff: [] });
  assert.deepEqual({ ...verdict, acknowledged: verdict.acknowledged }, { acknowledged: connections + 2, unanswered: 0, refused: 0, lost: [], corrupt: [], extra: 0, extraBy: {} });
  await eventually('processes of earlier generations have ended', () => instance.children().size <= processesBefore);
  await eventually('no descriptor is left open', () => descriptors() <= openBefore);
  assert.equal(instance.lines(followed).length, reloads);
  assert.deepEqual(instance.lines(/: (panic|fatal): |throttling/).slice(0, 5), []);
});
