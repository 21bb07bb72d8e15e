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
import type { LogName, MessageReader, QueueStore } from '../../queue/store.ts';
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
  readonly rules: { readonly minimalBackoff: number; readonly maximalBackoff: number; readonly queueLifetime: number; readonly bounceLifetime: number };
  /** Reports about mail with a sender address per recipient go to that address; else to the sender as it was given (disable_verp_bounces). */
  readonly verpReports: boolean;
  /** An agent has found that the file is no good; then it has been put out of the way. */
  isSpoiled(queueId: string): boolean;
}

/** Delivered, and nothing to be told to anyone: the way most messages go. False: there is more to do (`conclude`). */
export function finish(message: ActiveMessage, { store, log }: LifecycleTools): boolean {
  if (message.deferred || message.logs !== 0 || message.wantsTrace || store.residents?.finish(message.queueId) !== true) return false;
  log.info(`${message.queueId}: removed`);
  return true;
}

/** What is left to do with a message all of whose entries came back. Never rejects for trouble of the report services. */
export async function conclude(message: ActiveMessage, tools: LifecycleTools): Promise<'removed' | 'deferred' | 'corrupt'> {
  await tools.store.residents?.settle(message.queueId);
  await sendFailures(message, tools);
  if (message.deferred && tools.isSpoiled(message.queueId)) return 'corrupt';
  await sendTrace(message, tools);
  if (message.deferred && isExpired(message, tools)) await returnToSender(message, tools);
  else if (message.deferred) await warnOfDelay(message, tools);
  if (message.deferred) return defer(message, tools);
  remove(message, tools);
  return 'removed';
}

/** Log names are given their place by the services' own names. */
async function sendFailures(message: ActiveMessage, tools: LifecycleTools): Promise<void> {
  if (!tools.hasLog(message.queueId, 'bounce')) return;
  if (!(await reported(flush(tools.bounce, message, tools), message, tools, 'bounce'))) message.deferred = true;
}

async function sendTrace(message: ActiveMessage, tools: LifecycleTools): Promise<void> {
  const { traceFlags } = message;
  if (!message.wantsTrace || !tools.hasLog(message.queueId, 'trace')) return;
  const isSent = await reported(tools.trace.trace({ ...aboutMessage(message), flags: traceFlags }), message, tools, 'trace');
  if (!isSent) message.deferred = true;
  // Once is enough, also if the message stays.
  else if (message.traceFlagsOffset > 0) withFile(message, tools, (file) => file.kill(message.traceFlagsOffset));
}

/** One report, or with a sender address per recipient one for each of these. */
function flush(service: Calls<typeof bounceService>, message: ActiveMessage, { verpReports }: LifecycleTools): ReturnType<Calls<typeof bounceService>['flush']> {
  const { verpDelimiters } = message;
  return verpDelimiters === undefined || !verpReports ? service.flush(aboutMessage(message)) : service.verp({ ...aboutMessage(message), verpDelimiters });
}

function withFile({ queueId }: ActiveMessage, { store }: LifecycleTools, use: (file: MessageReader) => void): void {
  const file = store.open('active', queueId, { write: true });
  try {
    use(file);
  } finally {
    file.close();
  }
}

function isExpired({ about, born, forcedExpire, incomplete }: ActiveMessage, { now, rules }: LifecycleTools): boolean {
  if (incomplete) return false;
  const lifetime = about.sender === '' ? Math.min(rules.bounceLifetime, rules.queueLifetime) : rules.queueLifetime;
  return forcedExpire || now() / 1000 >= born + lifetime;
}

async function returnToSender(message: ActiveMessage, tools: LifecycleTools): Promise<void> {
  const { queueId, about, forcedExpire } = message;
  const sender = about.sender === '' ? '' : quote822Local(about.sender);
  tools.log.info(`${queueId}: from=<${sender}>, status=${forcedExpire ? 'force-expired' : 'expired'}, returned to sender`);
  if (await reported(flush(tools.defer, message, tools), message, tools, 'defer')) message.deferred = false;
}

async function warnOfDelay(message: ActiveMessage, tools: LifecycleTools): Promise<void> {
  const { warnTime, warnOffset } = message;
  if (warnTime <= 0 || tools.now() / 1000 < warnTime - 1) return;
  if (!(await reported(tools.defer.warn(aboutMessage(message)), message, tools, 'defer'))) return;
  withFile(message, tools, (file) => file.warned(warnOffset));
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
