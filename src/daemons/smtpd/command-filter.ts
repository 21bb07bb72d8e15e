/**
 * smtpd_command_filter: a table that turns what a client says into what it should have said. It sees whole commands, not the content of
 * messages. A table that cannot be asked ends the session for now.
 */
import type { Log } from '../../log/log.ts';
import { tell } from '../../protocol/smtp-server/reply.ts';
import type { Verdict } from '../../protocol/smtp-server/steps.ts';
import { openTable } from '../../tables/open.ts';
import { TableTrouble, type TableContext } from '../../tables/table.ts';
import { printable, trimLeft } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { AccessState } from './access/state.ts';
import { logEvent } from './log-lines.ts';

type CommandFilter = (line: string, state: AccessState) => MaybePromise<Verdict>;

/** The table is opened now. Undefined: there is none. */
export function openCommandFilter(name: string, context: TableContext, log: Log, hostname: string): CommandFilter | undefined {
  if (name === '') return undefined;
  const table = openTable(name, context);
  const trouble = (error: unknown, line: string, state: AccessState): Verdict => {
    if (!(error instanceof TableTrouble)) throw error;
    log.warning(`${table.type}:${table.name} lookup error for "${printable(line).slice(0, 100)}"`);
    logEvent({ event: 'data-error' }, state, state.log, hostname);
    return { accept: false, reply: tell.localDataError(hostname) };
  };
  const replaced = (line: string, state: AccessState, found: string | undefined): Verdict => {
    if (found === undefined) return { accept: true };
    state.log.info(`${state.client.label}: replacing command "${line.slice(0, 100)}" with "${found.slice(0, 100)}"`);
    return { accept: true, line: found };
  };
  return (line, state) => {
    const key = trimLeft(line);
    if (key === '') return { accept: true };
    try {
      const found = table.find(key);
      const verdict = chain(found, (text) => replaced(line, state, text));
      return isPending(verdict) ? verdict.catch((error: unknown) => trouble(error, line, state)) : verdict;
    } catch (error) {
      return trouble(error, line, state);
    }
  };
}
