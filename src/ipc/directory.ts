/**
 * Where services are found: `public/NAME` and `private/NAME` below the queue directory, or in this very process.
 *
 * `connect` gives the same interface for both. The working directory of every daemon is the queue directory (also after
 * chroot), so socket paths are relative.
 */
import type { Cleanup } from './cleanup.ts';
import type { Calls, ServiceDeclaration } from './service.ts';

export interface Directory {
  /**
   * The calls of a service: in-process when its row is placed here, else over its socket. `name` is the master.cf service name, `timeout`
   * the milliseconds without an answer after which such a call fails, where ipc_timeout is not meant.
   */
  connect<S extends ServiceDeclaration>(service: S, name?: string, timeout?: number): Calls<S>;
  /** The cleanup service streams content and so has an interface of its own. */
  cleanup(name?: string): Cleanup;
  /** A few bytes to a service that waits for triggers: `qmgr`, `pickup`, `flush`. Never rejects; trouble is logged. */
  trigger(area: 'public' | 'private', name: string, request: string): void;
  /** Socket path of a service, for protocols of their own (delivery pools, showq). */
  path(area: 'public' | 'private', name: string): string;
  /** Calls placed in this process, if any. */
  local(name: string): object | undefined;
}
