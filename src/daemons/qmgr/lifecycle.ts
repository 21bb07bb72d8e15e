/**
 * The end of a delivery attempt: reports to the sender, then the message leaves the queue, or waits in the deferred queue for
 * the next attempt. qmgr_active(3).
 *
 * Every step that fails leaves the message in the queue: a report that could not be sent is sent at a later attempt.
 */
import type { bounceService } from '../../ipc/bounce.ts';
import type { Calls } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { quote822Local } from '../../message/address.ts';
import type { LogName, QueueStore } from '../../queue/store.ts';
import type { ActiveMessage } from './message.ts';

export interface LifecycleTools {
  readonly log: Log;
  readonly store: QueueStore;
  readonly now: () => number;
  readonly bounce: Calls<typeof bounceService>;
  readonly defer: Calls<typeof bounceService>;
  readonly trace: Calls<typeof bounceService>;
  /** Is there such a log for this message? */
  hasLog(queueId: string, log: LogName): boolean;
  /** Seconds. */
  readonly rules: { readonly minimalBackoff: number; readonly maximalBackoff: number; readonly queueLifetime: number; readonly bounceLifetime: number; /** disable_verp_bounces */ readonly plainBounces: boolean };
}

/** Delivered, and nothing to be told to anyone: the way most messages go. False: there is more to do (`conclude`). */
export function finish(message: ActiveMessage, { store, log }: LifecycleTools): boolean {
  if (message.deferred || message.logs !== 0 || message.wantsTrace || store.residents?.finish(message.queueId) !== true) return false;
  log.info(`${message.queueId}: removed`);
  return true;
}

/** What is left to do with a message all of whose entries came back. Never rejects for trouble of the report services. */
export async function conclude(message: ActiveMessage, tools: LifecycleTools): Promise<'removed' | 'deferred'> {
  await tools.store.residents?.settle(message.queueId);
  await sendFailures(message, tools);
  if (message.deferred && isExpired(message, tools)) await returnToSender(message, tools);
  else if (message.deferred) await warnOfDelay(message, tools);
  await sendTrace(message, tools);
  if (message.deferred) return defer(message, tools);
  remove(message, tools);
  return 'removed';
}

/** Log names are given their place by the services' own names. */
async function sendFailures(message: ActiveMessage, tools: LifecycleTools): Promise<void> {
  if (!tools.hasLog(message.queueId, 'bounce')) return;
  if (!(await reported(returned(tools.bounce, message, tools), message, tools, 'bounce'))) message.deferred = true;
}

async function sendTrace(message: ActiveMessage, tools: LifecycleTools): Promise<void> {
  const { traceFlags } = message;
  if (!message.wantsTrace || !tools.hasLog(message.queueId, 'trace')) return;
  if (!(await reported(tools.trace.trace({ ...aboutMessage(message), flags: traceFlags }), message, tools, 'trace'))) message.deferred = true;
}

function isExpired({ about, born, forcedExpire }: ActiveMessage, { now, rules }: LifecycleTools): boolean {
  const lifetime = about.sender === '' ? Math.min(rules.bounceLifetime, rules.queueLifetime) : rules.queueLifetime;
  return forcedExpire || now() / 1000 >= born + lifetime;
}

async function returnToSender(message: ActiveMessage, tools: LifecycleTools): Promise<void> {
  const { queueId, about, forcedExpire } = message;
  const sender = about.sender === '' ? '' : quote822Local(about.sender);
  tools.log.info(`${queueId}: from=<${sender}>, status=${forcedExpire ? 'force-expired' : 'expired'}, returned to sender`);
  if (await reported(returned(tools.defer, message, tools), message, tools, 'defer')) message.deferred = false;
}

/** The report that mail comes back; one for each recipient where the sender wants to see by the address who it is. */
function returned(service: Calls<typeof bounceService>, message: ActiveMessage, { rules }: LifecycleTools): ReturnType<Calls<typeof bounceService>['flush']> {
  const { verpDelimiters } = message;
  return verpDelimiters === undefined || rules.plainBounces ? service.flush(aboutMessage(message)) : service.verp({ ...aboutMessage(message), verpDelimiters });
}

async function warnOfDelay(message: ActiveMessage, tools: LifecycleTools): Promise<void> {
  const { queueId, warnTime, warnOffset } = message;
  if (warnTime <= 0 || tools.now() / 1000 < warnTime) return;
  if (!(await reported(tools.defer.warn(aboutMessage(message)), message, tools, 'defer'))) return;
  const file = tools.store.open('active', queueId, { write: true });
  try {
    file.kill(warnOffset);
  } finally {
    file.close();
  }
}

async function reported(answer: Promise<{ status: number }> | { status: number }, message: ActiveMessage, tools: LifecycleTools, service: string): Promise<boolean> {
  try {
    return (await answer).status === 0;
  } catch (error) {
    tools.log.warning(`${message.queueId}: ${service} service failure: ${(error as Error).message}`);
    return false;
  }
}

function aboutMessage({ queueId, about: { queueName, encoding, smtputf8, sender, dsnEnvid, dsnRet } }: ActiveMessage) {
  return { flags: 0, queueName, queueId, encoding, smtputf8, sender, dsnEnvid, dsnRet };
}

/** Waits as long as it is old, within bounds: each wait doubles the age (qmgr(8), minimal and maximal_backoff_time). */
function defer({ queueId, born }: ActiveMessage, { store, now, rules }: LifecycleTools): 'deferred' {
  const age = now() / 1000 - born;
  const wait = Math.min(Math.max(age, rules.minimalBackoff), rules.maximalBackoff);
  store.stamp(queueId, 'active', now() + wait * 1000);
  store.move(queueId, 'active', 'deferred');
  return 'deferred';
}

function remove({ queueId }: ActiveMessage, { store, log }: LifecycleTools): void {
  store.removeLog(queueId, 'defer');
  store.remove(queueId, 'active');
  log.info(`${queueId}: removed`);
}
