/** What stands in an alias, a .forward or an :include: file: addresses, `|command`, `/file/name`, `~/file`, `:include:/file/name`. */
import { DeliveryFailure } from '../../delivery/failure.ts';
import { internalAddress, parseAddresses, type AddressToken } from '../../message/address-tokens.ts';
import { startsIgnoringCase } from '../../text/ascii.ts';
import { deliverCommand } from './command.ts';
import { deliverFile } from './file.ts';
import { deliverInclude } from './include.ts';
import { deliverAddress } from './resolve.ts';
import { configurationError, failed, type Position, type User, type Work } from './work.ts';

const include = ':include:';

/** Deliver to everything in a text: is all of it settled, and how many destinations were there? */
export async function deliverText(work: Work, position: Position, user: User, text: string): Promise<[settled: boolean, count: number]> {
  let settled = true;
  let count = 0;
  for (const token of parseAddresses(text)) {
    if (token.type !== 'address') continue;
    count++;
    if (!(await deliverToken(work, position, user, token))) settled = false;
  }
  return [settled, count];
}

/** The same for the lines of a file; stops at the first line with something unsettled. */
export async function deliverLines(work: Work, position: Position, user: User, lines: Iterable<string>): Promise<[settled: boolean, count: number]> {
  let count = 0;
  try {
    for (const line of lines) {
      if (line.startsWith('#')) continue;
      // Nothing that follows a NUL in a line of a file can be part of an address.
      const [settled, found] = await deliverText(work, position, user, line.split('\0', 1)[0]!);
      count += found;
      if (!settled) return [false, count];
    }
    return [true, count];
  } catch (error) {
    if (!(error instanceof DeliveryFailure)) throw error;
    return [await failed(work, position, error.failure), count];
  }
}

async function deliverToken(work: Work, position: Position, user: User, { tokens }: AddressToken): Promise<boolean> {
  const text = internalAddress(tokens);
  if (text.startsWith('/')) return deliverFile(work, position, user, text);
  if (text.startsWith('~')) return deliverHomeFile(work, position, user, text);
  if (text.startsWith('|')) {
    if ((work.settings.commandsFrom & position.found) !== 0) return deliverCommand(work, position, user, text.slice(1));
    return failed(work, position, { dsn: '5.7.1', text: 'mail to command is restricted' });
  }
  if (startsIgnoringCase(text, include)) return deliverInclude(work, position, user, text.slice(include.length));
  return deliverAddress(work, position, user, tokens);
}

/** ~/file only, and only where there is a user whose home it is. */
async function deliverHomeFile(work: Work, position: Position, user: User, text: string): Promise<boolean> {
  if (!text.startsWith('~/')) work.log.warning(`bad home directory syntax for: ${text}`);
  else if (user.home === undefined) work.log.warning(`unknown home directory for: ${text}`);
  else return deliverFile(work, position, user, (user.home === '/' ? '' : user.home) + text.slice(1));
  return failed(work, position, configurationError);
}
