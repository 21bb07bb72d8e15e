/** May a local user send under an address (local_login_sender_maps)? */
import { cleanupStatus } from '../ipc/cleanup.ts';
import type { Submitters } from '../tables/submitters.ts';
import { TableTrouble } from '../tables/table.ts';

/** Why this user may not send as `sender`, or undefined. */
export async function senderTrouble(submitters: Submitters, uid: number, sender: string): Promise<{ status: number; reason: string } | undefined> {
  try {
    if (await submitters.maySendAs(uid, sender)) return undefined;
    return { status: cleanupStatus.denied, reason: `not authorized to use sender='${sender}'` };
  } catch (error) {
    if (!(error instanceof TableTrouble)) throw error;
    return { status: cleanupStatus.write, reason: `local_login_sender_maps table lookup error for '${error.table}'` };
  }
}
