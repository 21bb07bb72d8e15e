/**
 * The listening sockets of the mail system, as descriptors: made once, kept while a row wants them, over every reload.
 *
 * Nothing is accepted here. An endpoint that cannot be had is reported by its Error and tried again by the next `want`.
 */
import { closeSync, constants, lstatSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { asUser } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { listenInet, listenUnix } from '../../host/sockets.ts';
import { endpointKey, type Endpoint } from './endpoints.ts';

/** The processes of a master that was killed let go of its addresses as soon as they notice. Milliseconds: in all, and between attempts. */
const orphanPatience = 4000;
const orphanPause = 100;

/** Clients that may wait while nobody accepts them: what Linux allows, so that a crowd is not told to come again. */
const backlog = 4096;

export class Listeners {
  readonly #owner: { uid: number; gid: number };
  readonly #window: number;
  readonly #open = new Map<string, number>();

  /** UNIX-domain sockets become this user's. */
  /** @param window tcp_windowsize */
  constructor(owner: { uid: number; gid: number }, window = 0) {
    this.#owner = owner;
    this.#window = window;
  }

  /** Close what is not wanted any more. Children that still have such a socket stop accepting when they are told to drain. */
  keepOnly(wanted: ReadonlySet<string>): void {
    for (const [key, fd] of this.#open) {
      if (wanted.has(key)) continue;
      closeSync(fd);
      this.#open.delete(key);
    }
  }

  /** As `want`, but waits a moment for an address that is in use. For the start: nobody else is kept waiting. */
  wantPatiently(endpoint: Endpoint): number {
    for (let left = orphanPatience / orphanPause; ; left--) {
      try {
        return this.want(endpoint);
      } catch (error) {
        if (left <= 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, orphanPause);
      }
    }
  }

  /** The descriptor of an endpoint. Throws an Error in the words of Postfix's log, with the errno's name as `code`. */
  want(endpoint: Endpoint): number {
    const key = endpointKey(endpoint);
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const fd = this.#make(endpoint);
    this.#open.set(key, fd);
    return fd;
  }

  #make(endpoint: Endpoint): number {
    try {
      if (endpoint.kind === 'inet') return listenInet(endpoint.address, endpoint.port, backlog, this.#window);
      return asUser(this.#owner, () => this.#makeUnix(endpoint));
    } catch (error) {
      const what = endpoint.kind === 'inet' ? `bind ${endpoint.address} port ${endpoint.port}` : `bind: ${endpoint.path}`;
      throw Object.assign(new Error(`${what}: ${errorText(error)}`), { code: (error as NodeJS.ErrnoException).code });
    }
  }

  /** We hold the queue's lock: whoever left a socket here, even if some process of an earlier master still has it, is not to serve. */
  #makeUnix({ path, kind, forUsers }: Exclude<Endpoint, { kind: 'inet' }>): number {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && (found.isSocket() || found.isFIFO())) unlinkSync(path);
    // Postfix's directories keep strangers away from its sockets. One that lets users through (to pickup) leaves that to the sockets.
    const isGuarded = (statSync(dirname(path)).mode & constants.S_IXOTH) === 0;
    return listenUnix(path, { mode: isGuarded || forUsers ? 0o666 : 0o660, backlog, kind });
  }
}
