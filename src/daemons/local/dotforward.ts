/**
 * ~/.forward: where a user sends the mail on.
 *
 * The file is read, and what it names is done, with the rights of the user. A file that is not plain, not the user's (or root's), or
 * writable by all is passed over with a warning, and the mail goes to the mailbox.
 */
import fs from 'node:fs';
import { ExpansionError } from '../../config/expand.ts';
import { pathBytes } from '../../delivery/failure.ts';
import { getpwnam, type Account } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { requestFlag } from '../../ipc/deliver.ts';
import { dsnNotify } from '../../message/dsn.ts';
import { splitList } from '../../text/ascii.ts';
import { actAs, linesOf } from './act-as.ts';
import { withoutSuccess } from './alias.ts';
import { expandFor } from './expansions.ts';
import { expansion } from './settings.ts';
import { deliverLines } from './token.ts';
import { deeper, failed, sent, traceExpanded, userOf, type Position, type User, type Work } from './work.ts';

interface ForwardFile { readonly path: string; readonly status: fs.Stats; readonly usesExtension: boolean }

/** Undefined: the user forwards nothing. */
export async function deliverDotforward(work: Work, from: Position, _user: User): Promise<boolean | undefined> {
  const here = deeper(from);
  const { view, propagates } = work.settings;
  if (view.forward_path === '') return undefined;
  let account: Account | undefined;
  try {
    account = getpwnam(here.user);
  } catch (error) {
    work.log.warning(`error looking up passwd info for ${here.user}: ${errorText(error)}`);
    return failed(work, here, { dsn: '4.0.0', text: 'user lookup error' });
  }
  if (account === undefined) return undefined;
  const user = userOf(account);
  const delivered = view.frozen_delivered_to ? here.delivered : here.recipient.address;
  const position = { ...here, delivered, found: expansion.forward, owner: here.user };
  const file = forwardFile(work, position, user);
  if (file === undefined) return undefined;
  const unmatched = file.usesExtension || !propagates.forward ? undefined : position.unmatched;
  return deliverForwardFile(work, { ...position, unmatched }, user, file);
}

/** The first file of forward_path that is there; those whose name cannot be completed are left out. */
function forwardFile(work: Work, position: Position, user: User): ForwardFile | undefined {
  const { forward_path: path, forward_expansion_filter: filter } = work.settings.view;
  for (const pattern of splitList(path)) {
    try {
      const { text, incomplete, usesExtension } = expandFor(pattern, work, position, user, filter);
      if (!incomplete) return { path: text, status: actAs(user, () => fs.lstatSync(pathBytes(text))), usesExtension };
    } catch (error) {
      if (error instanceof ExpansionError) work.log.warning(`forward_path: ${error.message}`);
      else if ((error as NodeJS.ErrnoException).syscall !== 'lstat') throw error;
    }
  }
  return undefined;
}

async function deliverForwardFile(work: Work, from: Position, user: User, file: ForwardFile): Promise<boolean | undefined> {
  const { path } = file;
  if (work.request.flags & requestFlag.mtaVerify) return sent(work, from, { text: `forward via file: ${path}` });
  // Someone whose .forward leads back to it: the mail is delivered to the mailbox then, or was forwarded already.
  if (work.seen.before(`forward ${path}`)) return work.seen.has(`forward-done ${path}`) ? true : undefined;
  const position = { ...from, expandedFrom: from.local };
  const lines = openForward(work, user, file);
  if (lines === undefined) return undefined;
  const { recipient } = position;
  const quiet = { ...position, recipient: { ...recipient, dsnNotify: withoutSuccess(recipient.dsnNotify) } };
  const [settled, count] = await deliverLines(work, quiet, user, lines);
  if (count === 0) return settled ? undefined : false;
  work.seen.before(`forward-done ${path}`);
  if (settled && recipient.dsnNotify & dsnNotify.success) await traceExpanded(work, position, 'expanded');
  return settled;
}

function openForward(work: Work, user: User, { path, status }: ForwardFile): Generator<string, void, undefined> | undefined {
  const pass = (why: string): undefined => {
    work.log.warning(why);
  };
  if (!status.isFile()) return pass(`file ${path} is not a regular file`);
  if (status.uid !== 0 && status.uid !== user.uid) return pass(`file ${path} has bad owner uid ${status.uid}`);
  if ((status.mode & 0o002) !== 0) return pass(`file ${path} is world writable`);
  try {
    return linesOf(path, user, work.settings.view.line_length_limit);
  } catch (error) {
    return pass(`cannot open file ${path}: ${errorText(error)}`);
  }
}
