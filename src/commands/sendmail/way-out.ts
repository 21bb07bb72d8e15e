/**
 * From sendmail(1) to the mail system: the first way that is open to this user.
 *
 * Records are gathered until there are many, or all: most messages are complete before anybody else is kept busy with them, and one
 * that comes to nothing (no recipients) troubles nobody.
 */
import type { Configuration } from '../../config/configuration.ts';
import { cleanupDetail } from '../../ipc/cleanup.ts';
import type { SubmissionOutcome } from '../../ipc/submission.ts';
import { NoOutlet, openOutlet, type Outlet } from '../postdrop/outlet.ts';
import { Voice, type Output } from '../voice.ts';
import { hasPostdrop, ProgramOutlet } from './postdrop-program.ts';

/** Bytes that are gathered. */
const gather = 1 << 20;

export class WayOut {
  readonly #open: () => Promise<Outlet>;
  #gathered: [type: number, payload: string | Buffer][] = [];
  #size = 0;
  #outlet: Outlet | undefined;

  constructor(open: () => Promise<Outlet>) {
    this.#open = open;
  }

  put(type: number, payload: string | Buffer = ''): void {
    if (this.#outlet !== undefined) return this.#outlet.put(type, payload);
    this.#gathered.push([type, payload]);
    this.#size += payload.length;
  }

  /** To be awaited after each piece of input. Rejects with NoOutlet. */
  async drained(): Promise<void> {
    if (this.#outlet === undefined && this.#size < gather) return;
    await (await this.#opened()).drained();
  }

  async finish(): Promise<SubmissionOutcome> {
    return (await this.#opened()).finish();
  }

  abort(): void {
    this.#outlet?.abort();
  }

  async #opened(): Promise<Outlet> {
    if (this.#outlet !== undefined) return this.#outlet;
    const outlet = await this.#open();
    for (const [type, payload] of this.#gathered) outlet.put(type, payload);
    this.#gathered = [];
    this.#outlet = outlet;
    return outlet;
  }
}

/** The way for this user: pickup's socket, the maildrop, a set-gid postdrop. Rejects with NoOutlet when there is none. */
export async function openWay(config: Configuration, stderr: Output): Promise<Outlet> {
  const voice = new Voice('postdrop', stderr);
  voice.attach(config);
  try {
    return await openOutlet(config, voice);
  } catch (error) {
    const program = `${config.get('command_directory')}/postdrop`;
    if (!(error instanceof NoOutlet && error.denied) || !hasPostdrop(program)) throw error;
    return ProgramOutlet.start(program, config.directory);
  }
}

/** What the user is told of an outcome that is not 0. */
export function outcomeText({ status, reason }: SubmissionOutcome): string {
  return reason === '' ? cleanupDetail(status).text : reason;
}
