/**
 * smtp_reply_filter: a table that says what takes the place of a line from the server.
 *
 * The dialogue does not wait for it: a table that answers later (one on a server) is trouble, as is one that cannot be asked, and the mail
 * is deferred then.
 */
import { ReplyFilterTrouble } from '../../protocol/smtp-client/reply.ts';
import { openTable } from '../../tables/open.ts';
import { TableTrouble, type TableContext } from '../../tables/table.ts';
import { isPending } from '../../text/maybe.ts';

/** Undefined: lines stay as they are. */
export function openReplyFilter(text: string, context: TableContext): ((line: string) => string | undefined) | undefined {
  if (text === '') return undefined;
  const table = openTable(text, context);
  const failed = (why: string, line: string): never => {
    throw new ReplyFilterTrouble(`table ${table.type}:${table.name} ${why} for ${line}`);
  };
  return (line) => {
    try {
      const found = table.find(line);
      if (!isPending(found)) return found;
      found.catch(() => {});
      return failed('does not answer at once, as a reply filter must,', line);
    } catch (error) {
      if (error instanceof TableTrouble) failed('lookup error', line);
      throw error;
    }
  };
}
