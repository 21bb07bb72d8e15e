/**
 * `postqueue -f`, `-i` and `-s`: have deferred mail tried now.
 *
 * One message or one site is flush(8)'s work; where that service does not run, whoever may change the queue does it for one message.
 */
import { statSync } from 'node:fs';
import type { Configuration } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import { becomeUser, isRoot } from '../../host/identity.ts';
import { remoteCalls } from '../../ipc/connection.ts';
import { flushService, flushStatus } from '../../ipc/flush.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { flushQueue, scanIncoming, sendTrigger, wakeUp } from '../../ipc/trigger.ts';
import { flushMessage } from '../../queue/flush-message.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import { mailOwner } from '../../server/mail-owner.ts';
import { domainsWithParents } from '../../tables/lists.ts';
import type { Voice } from '../voice.ts';
import { ownsQueue } from './authorization.ts';

const down = 'Cannot flush mail queue - mail system is down';

/** All deferred mail, and what waits in maildrop. */
export async function flushAll(config: Configuration, voice: Voice): Promise<void> {
  const timeout = config.get('trigger_timeout') * 1000;
  for (const [name, request] of [[config.get('queue_service_name'), flushQueue], [config.get('pickup_service_name'), wakeUp]] as const) {
    const path = `public/${name}`;
    try {
      statSync(path);
    } catch (error) {
      voice.warning(`unable to look up ${path}: ${errorText(error)}`);
      voice.fatal(down);
    }
    await sendTrigger(path, request, timeout).catch(() => voice.fatal(down));
  }
}

export async function flushOne(queueId: string, config: Configuration, voice: Voice): Promise<void> {
  const answer = await ask(config, (flush) => flush.send_file({ queue_id: queueId }));
  const status = typeof answer === 'number' ? answer : await flushDirectly(queueId, config, voice, answer);
  if (status === flushStatus.ok) return;
  if (status === flushStatus.bad) voice.fatal(`Invalid request: "${queueId}"`);
  if (status === flushStatus.failed) voice.fatal(down);
  voice.fatal(`Unexpected flush server reply status ${status}`);
}

export async function flushSite(site: string, config: Configuration, voice: Voice): Promise<void> {
  const status = await siteStatus(site, config, voice);
  if (status === flushStatus.ok) return;
  if (status === flushStatus.bad) voice.fatal(`Invalid request: "${site}"`);
  if (status === flushStatus.failed) voice.fatal(down);
  if (status === flushStatus.denied) voice.fatal(`Flush service is not configured for destination "${site}"`);
  voice.fatal(`Unknown flush server reply status ${status}`);
}

async function siteStatus(site: string, config: Configuration, voice: Voice): Promise<number> {
  const context = {
    parameter: (parameter: string) => config.text(parameter),
    warn: (text: string) => voice.warning(text),
    error: (text: string): never => voice.fatal(text),
  };
  try {
    if (!await domainsWithParents('fast_flush_domains', config, context)(site)) return flushStatus.denied;
  } catch {
    return flushStatus.failed;
  }
  const answer = await ask(config, (flush) => flush.send_site({ site }));
  return typeof answer === 'number' ? answer : failed(config, voice, answer);
}

type Flush = ReturnType<typeof remoteCalls<typeof flushService>>;

/** What flush(8) says, or why it says nothing. */
async function ask(config: Configuration, request: (flush: Flush) => { status: number } | Promise<{ status: number }>): Promise<number | ServiceTrouble> {
  const limits = { timeout: config.get('ipc_timeout') * 1000, idle: 1, retries: 0 };
  try {
    return (await request(remoteCalls(flushService, `public/${config.get('flush_service_name')}`, limits))).status;
  } catch (error) {
    if (error instanceof ServiceTrouble) return error;
    throw error;
  }
}

const connectTroubles: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'Connection refused'], [/ENOENT/, 'No such file or directory'], [/EACCES/, 'Permission denied'],
];

function failed(config: Configuration, voice: Voice, { message }: ServiceTrouble): number {
  const reason = connectTroubles.find(([pattern]) => pattern.test(message))?.[1] ?? message;
  voice.warning(`connect to public/${config.get('flush_service_name')}: ${reason}`);
  return flushStatus.failed;
}

async function flushDirectly(queueId: string, config: Configuration, voice: Voice, trouble: ServiceTrouble): Promise<number> {
  if (!isRoot() && !ownsQueue()) return failed(config, voice, trouble);
  if (isRoot()) becomeUser(mailOwner(config));
  const paths = new QueuePaths({ hashQueueNames: config.get('hash_queue_names'), hashQueueDepth: config.get('hash_queue_depth') });
  // As with flush(8), a message that is not there is no error.
  flushMessage(paths, queueId, (text) => voice.warning(text));
  try {
    await sendTrigger(`public/${config.get('queue_service_name')}`, scanIncoming, config.get('trigger_timeout') * 1000);
    return flushStatus.ok;
  } catch {
    return failed(config, voice, trouble);
  }
}
