/**
 * Headers put in front of the message on request of the master.cf row (`flags=DOR`), in the order of mail_copy(3). Pure.
 */
import type { DeliveryRequest } from '../../ipc/deliver.ts';
import { preamble } from '../../delivery/content.ts';
import type { Settings } from './settings.ts';

/** '' for none; lines end in LF. D and O are for requests with one recipient. */
export function addedHeaders({ flags }: Settings, { sender, recipients }: DeliveryRequest): string {
  const { deliveredTo, originalTo, returnPath } = flags;
  if (!deliveredTo && !originalTo && !returnPath) return '';
  const [recipient] = recipients;
  return preamble({ deliveredTo, originalTo, returnPath }, {
    sender, originalRecipient: recipient?.originalAddress ?? '', delivered: recipient?.address ?? '',
  }, 0);
}
