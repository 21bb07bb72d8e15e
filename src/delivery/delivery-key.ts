/**
 * The name of one delivery: of this message to this recipient, the same however often it is tried. What a process that died has left
 * under that name tells its successor how far it came.
 */
import type { DeliveryRequest, Recipient } from '../ipc/deliver.ts';

/** Letters, digits and hyphens; undefined for a recipient who is not in the queue file, and so has no place there. */
export function deliveryKey({ queueId, times }: DeliveryRequest, { offset }: Recipient): string | undefined {
  // Queue ids come again some day, but not with the same time of arrival.
  return offset > 0 ? `${queueId}-${Math.round(times.incomingArrival * 1e6).toString(36)}-${offset}` : undefined;
}
