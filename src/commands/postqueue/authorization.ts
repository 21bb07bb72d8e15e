/**
 * Who may see or flush the queue: authorized_mailq_users and authorized_flush_users; root and the owner of the mail system always may.
 */
import { statSync } from 'node:fs';
import type { Configuration } from '../../config/configuration.ts';
import { getpwnam, getpwuid } from '../../host/identity.ts';
import { listed, matchSources } from '../../tables/lists.ts';
import { stringList } from '../../text/match-list.ts';
import type { Voice } from '../voice.ts';

/** Ends the command when this user is not on the list. The working directory is the queue directory. */
export async function authorize(name: 'authorized_mailq_users' | 'authorized_flush_users', what: string, config: Configuration, voice: Voice): Promise<void> {
  const list = config.get(name);
  const uid = process.getuid!();
  // Most common, and the only case in which a broken account database does not matter.
  if (uid === 0 || list.startsWith('static:') || ownsQueue() || uid === getpwnam(config.get('mail_owner'))?.uid) return;
  const user = getpwuid(uid)?.name ?? 'unknown';
  const context = {
    parameter: (parameter: string) => config.text(parameter),
    warn: (text: string) => voice.warning(text),
    error: (text: string): never => voice.fatal(text),
  };
  if (!await listed(stringList(name, list, matchSources(context)), user)) voice.fatal(`User ${user}(${uid}) is not allowed to ${what} the mail queue`);
}

/** An instance of an ordinary user: who owns the queue directory may do with it what root may. */
export function ownsQueue(): boolean {
  return statSync('.').uid === process.geteuid!();
}
