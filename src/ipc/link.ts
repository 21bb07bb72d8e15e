/**
 * The real Directory: finds services in this process first, else at their sockets below the queue directory.
 *
 * Sockets stand where master put them: a row's private column decides between `private/` and `public/`, and old master.cf
 * tables differ from today's, so the declared area is tried first and the other one when there is no such socket.
 */
import fs from 'node:fs';
import net from 'node:net';
import type { Log } from '../log/log.ts';
import type { Cleanup } from './cleanup.ts';
import { RemoteCleanup } from './cleanup-client.ts';
import { remoteCalls, type ConnectionLimits } from './connection.ts';
import { deliverService } from './deliver.ts';
import { DeliverPool } from './deliver-pool.ts';
import { dnsblogService, remoteDnsblog } from './dnsblog.ts';
import type { Directory } from './directory.ts';
import type { Calls, ServiceDeclaration } from './service.ts';

type Area = 'public' | 'private';

export interface LinkOptions {
  /** Services placed in this process, by master.cf service name; filled by the daemon skeleton as it opens them. */
  readonly local: ReadonlyMap<string, object>;
  readonly log: Log;
  readonly limits: ConnectionLimits;
  /** Where public/ and private/ are; '' (the working directory) in daemons. */
  readonly queueDirectory?: string;
}

/** A service of this process that waits for triggers. */
export interface Wakeable { wake?(request: string): void }

/** Milliseconds for a trigger to be taken; master listens for every service, so this is a matter of microseconds. */
const triggerTimeout = 10_000;

export function createDirectory({ local, log, limits, queueDirectory = '' }: LinkOptions): Directory {
  const root = queueDirectory === '' ? '' : `${queueDirectory}/`;
  const remote = new Map<string, object>();

  const path = (area: Area, name: string): string => {
    const declared = `${root}${area}/${name}`;
    if (fs.existsSync(declared)) return declared;
    const other = `${root}${area === 'public' ? 'private' : 'public'}/${name}`;
    return fs.existsSync(other) ? other : declared;
  };

  const far = <T extends object>(name: string, make: () => T): T => {
    const known = remote.get(name);
    if (known !== undefined) return known as T;
    const made = make();
    remote.set(name, made);
    return made;
  };

  // Looked up at each call: a service of this process may be opened after the one that calls it.
  const near = <S extends ServiceDeclaration>(service: S, name: string, timeout = limits.timeout): Calls<S> => {
    const calls: Record<string, (request: object) => unknown> = {};
    for (const request of Object.keys(service.requests)) {
      calls[request] = (value) => {
        const target = local.get(name) ?? far(`${name} ${timeout}`, () => distant(service, path(service.area, name), { ...limits, timeout }));
        return (target as typeof calls)[request]!(value);
      };
    }
    return calls as Calls<S>;
  };

  return {
    path,
    local: (name) => local.get(name),
    connect: <S extends ServiceDeclaration>(service: S, name: string = service.name, timeout?: number) => near(service, name, timeout),
    cleanup: (name = 'cleanup') => ({
      open: (options) => {
        const target = local.get(name) ?? far(name, () => new RemoteCleanup(path('public', name), limits));
        return (target as Cleanup).open(options);
      },
    }),
    trigger: (area, name, request) => {
      const near = local.get(name) as Wakeable | undefined;
      if (near?.wake === undefined) trigger(path(area, name), request, log);
      else near.wake(request);
    },
  };
}

/** Delivery agents and dnsblog(8) speak protocols of their own. */
function distant(service: ServiceDeclaration, path: string, limits: ConnectionLimits): object {
  if (service.protocol === dnsblogService.protocol) return remoteDnsblog(path, limits);
  return service.protocol === deliverService.protocol ? new DeliverPool(path, limits) : remoteCalls(service, path, limits);
}

function trigger(path: string, request: string, log: Log): void {
  const socket = net.connect({ path });
  socket.setTimeout(triggerTimeout, () => socket.destroy(new Error('not taken in time')));
  // A full listen queue means that the service is being woken already.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EAGAIN') log.warning(`trigger ${path}: ${error.message}`);
  });
  socket.on('data', () => socket.destroy());
  socket.end(request, 'latin1');
}
