/**
 * Handing one recipient on to another delivery agent (deliver_pass(3)): mailbox_transport and its like.
 *
 * The other agent logs, reports and marks the recipient; only when it cannot be talked to is that done here.
 */
import { quote822Local } from '../message/address.ts';
import { deliverService, type DeliveryRequest, type Recipient } from '../ipc/deliver.ts';
import type { Directory } from '../ipc/directory.ts';
import type { Log } from '../log/log.ts';
import type { Reports } from './reports.ts';

export interface PassTools {
  readonly services: Directory;
  readonly reports: Reports;
  readonly log: Log;
}

/** `service` is transport or transport:nexthop. True: settled (and marked, if the recipient has an offset). */
export async function passOn(service: string, request: DeliveryRequest, recipient: Recipient, tools: PassTools): Promise<boolean> {
  const [, transport, nexthop] = /^([^:]*):?(.*)$/s.exec(service)!;
  const shown = recipient.address === '' ? '' : quote822Local(recipient.address);
  tools.log.info(`${request.queueId}: passing <${shown}> to transport=${transport}`);
  const passed: DeliveryRequest = { ...request, nexthop: nexthop || request.nexthop, recipients: [recipient] };
  try {
    if (!transport) throw new Error(`missing transport name in "${service}"`);
    const { status, logs } = await tools.services.connect(deliverService, transport).deliver(passed);
    tools.reports.logs |= logs;
    return status === 0;
  } catch (error) {
    tools.log.warning(`transport ${transport}: ${(error as Error).message}`);
    return tools.reports.deferred(request, recipient, { dsn: '4.3.0', text: 'mail transport unavailable' });
  }
}
