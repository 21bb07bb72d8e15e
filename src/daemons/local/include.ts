/**
 * :include:/file/name, the members of a list in a file of their own.
 *
 * A file listed in root's aliases but owned by someone else acts with that owner's rights, so that its owner cannot use the
 * default account; in all other cases the rights stay as they are. Its local members always go through the queue again.
 */
import fs from 'node:fs';
import { pathBytes } from '../../delivery/failure.ts';
import { getpwuid, type Account } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { actAs, linesOf } from './act-as.ts';
import { expansion } from './settings.ts';
import { deliverLines } from './token.ts';
import { configurationError, deeper, deepest, failed, userOf, type Position, type User, type Work } from './work.ts';

export async function deliverInclude(work: Work, from: Position, user: User, path: string): Promise<boolean> {
  const position = deeper(from);
  if (position.level > deepest) {
    work.log.warning(`:include: nesting limit exceeded for ${path}`);
    return failed(work, position, { dsn: '5.4.6', text: ':include: nesting limit exceeded' });
  }
  if (work.seen.before(`include ${user.uid} ${path}`)) return true;
  const status = lookAt(path, user);
  if (typeof status === 'string') {
    work.log.warning(status);
    return failed(work, position, configurationError);
  }
  const rights = user.uid === 0 ? ownerOf(work, path, status.uid, user) : user;
  if (rights === undefined) return failed(work, position, { dsn: '4.3.5', text: configurationError.text });
  return deliverMembers(work, { ...position, expandedFrom: position.local, found: expansion.include }, rights, path);
}

/** A text is what is wrong with the file. */
function lookAt(path: string, user: User): fs.Stats | string {
  if (!path.startsWith('/')) return `:include:${path} uses a relative path`;
  let status: fs.Stats;
  try {
    status = actAs(user, () => fs.statSync(pathBytes(path)));
  } catch (error) {
    return `unable to lookup :include: file ${path}: ${errorText(error)}`;
  }
  if (!status.isFile()) return `:include: file ${path} is not a regular file`;
  return (status.mode & 0o002) !== 0 ? `:include: file ${path} is world writable` : status;
}

function ownerOf(work: Work, path: string, uid: number, user: User): User | undefined {
  let account: Account | undefined;
  let why = '';
  try {
    account = getpwuid(uid);
  } catch (error) {
    why = `: ${errorText(error)}`;
  }
  if (account !== undefined) return account.uid === 0 ? user : userOf(account);
  work.log.warning(`cannot find username for uid ${uid}${why}`);
  work.log.warning(`${path}: cannot find :include: file owner username`);
  return undefined;
}

async function deliverMembers(work: Work, from: Position, user: User, path: string): Promise<boolean> {
  const unmatched = work.settings.propagates.include ? from.unmatched : undefined;
  const position = { ...from, owner: from.owner ?? from.recipient.address, unmatched };
  let lines: Generator<string, void, undefined>;
  try {
    lines = linesOf(path, user, work.settings.view.line_length_limit);
  } catch (error) {
    work.log.warning(`cannot open include file ${path}: ${errorText(error)}`);
    return failed(work, position, configurationError);
  }
  const [settled] = await deliverLines(work, position, user, lines);
  return settled;
}
