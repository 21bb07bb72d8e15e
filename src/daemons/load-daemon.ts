/** The module of a daemon, loaded when a process serves a row of it. */
import type { Daemon } from '../server/daemon.ts';
import { knownDaemon } from './daemons.ts';

/** The daemon of a program name; rejects when there is none of that name. */
export async function loadDaemon(program: string): Promise<Daemon> {
  const known = knownDaemon(program);
  if (known === undefined) throw new Error(`program "${program}" is not known`);
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const module = await import(new URL(`./${known.folder}/${known.folder}.${extension}`, import.meta.url).href) as { daemon: Daemon };
  return module.daemon;
}
