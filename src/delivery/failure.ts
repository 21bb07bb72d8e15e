/**
 * Why a delivery did not succeed, as a value that can be reported as it is.
 *
 * The routines of this folder answer with a Failure, or undefined when all went well; within them it travels as an exception.
 */
import { effectiveUid, isRoot } from '../host/identity.ts';
import { errorText } from '../host/libc.ts';
import type { Report } from './reports.ts';

/** A report of class 4 (try again) or 5 (never). */
export type Failure = Pick<Report, 'dsn' | 'text' | 'diagnostic'>;

/** A user's rights: what delivery acts with. */
export interface Rights {
  readonly uid: number;
  readonly gid: number;
}

/** A Failure on its way to who reports it. `code` is the errno name behind it, if there is one. */
export class DeliveryFailure extends Error {
  readonly failure: Failure;
  readonly code: string | undefined;

  constructor(failure: Failure, code?: string) {
    super(failure.text);
    this.failure = failure;
    this.code = code;
  }
}

/** Status for a file system error (mbox_dsn(3)): full disk and passing trouble are temporary, a full mailbox is not. */
export function statusOfError(error: unknown, otherwise: string): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EAGAIN' || code === 'ESTALE') return '4.2.0';
  if (code === 'ENOSPC') return '4.3.0';
  if (code === 'EDQUOT' || code === 'EFBIG') return '5.2.2';
  return otherwise;
}

/** An error of the file system as a failure: `what: No such file or directory`. */
export function failureOf(error: unknown, what: string, otherwise: string): DeliveryFailure {
  if (error instanceof DeliveryFailure) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new DeliveryFailure({ dsn: statusOfError(error, otherwise), text: `${what}: ${errorText(error)}` }, code);
}

/** Without root's rights we can deliver to ourselves only. Undefined: we may act with these rights. */
export function refusalToActAs({ uid }: Rights): Failure | undefined {
  const own = effectiveUid();
  if (isRoot() || own === uid) return undefined;
  return { dsn: '4.3.5', text: `cannot deliver as user id ${uid}: the mail system runs as user id ${own}, and only root can deliver for others` };
}

/** A path as the bytes it is. */
export function pathBytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
