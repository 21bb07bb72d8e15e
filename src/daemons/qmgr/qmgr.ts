/**
 * qmgr(8): takes mail from incoming and deferred into the active queue, asks where it goes, and hands it to delivery agents.
 *
 * One process per queue runs it. The parts: feeder.ts (which file is next), intake.ts (what becomes active when), message.ts (recipients
 * by destination), scheduler.ts (what goes next; pure), lifecycle.ts (what happens afterwards), manager.ts (puts them together).
 */
import { growHeapSlowly } from '../../host/memory.ts';
import { serveTrigger } from './trigger.ts';
import type { Daemon, Service, Tools } from '../../server/daemon.ts';
import { Manager } from './manager.ts';

export const daemon: Daemon = {
  card: {
    name: 'qmgr',
    summary: 'queue manager',
    group: 'queue',
    calls: ['rewrite', 'bounce', 'defer', 'trace', 'retry', 'error', 'verify', 'flush'],
    privileges: { user: 'mail_owner', network: false, writes: ['incoming', 'active', 'deferred', 'corrupt', 'bounce', 'defer', 'trace'] },
    row: 'qmgr      unix  n       -       n       300     1       qmgr',
    standards: ['RFC 3461', 'RFC 3463', 'RFC 5321'],
  },
  open,
};

function open(tools: Tools): Service {
  growHeapSlowly();
  const manager = new Manager(tools);
  const wake = (request: string): void => serveTrigger(manager, request);
  return {
    calls: { wake },
    trigger: (request) => wake(request.toString('latin1')),
    start: () => manager.start(),
    drain: (final) => manager.drain(final),
    busy: () => manager.busy,
  };
}
