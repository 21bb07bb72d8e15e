/**
 * The line of the mail log that every recipient of every delivery gets, byte for byte as Postfix writes it:
 *
 *   ID: to=<addr>, orig_to=<addr>, relay=name, conn_use=2, delay=1.2, delays=0.1/0/0/1.1, tls=..., dsn=2.0.0, status=sent (text)
 *
 * Pure; the log's sink makes unprintable bytes harmless.
 */
import { foldCase } from '../text/utf8.ts';
import { renderDelays, timeValue, type DeliveryTimes } from '../text/time.ts';
import { quote822Local } from '../message/address.ts';
import type { Recipient, Times } from '../ipc/deliver.ts';

export interface DeliveryLine {
  readonly queueId: string;
  readonly recipient: Recipient;
  readonly relay: string;
  readonly times: Times;
  /** Seconds since the epoch, used where `times` does not say when the delivery was done. */
  readonly now: number;
  /** How often the connection had been used before. */
  readonly reuseCount?: number | undefined;
  /** Text behind `tls=`; absent or '': not shown. */
  readonly tls?: string | undefined;
  /** Enhanced status code. */
  readonly status: string;
  /** sent, deferred, bounced, SOFTBOUNCE, deliverable, undeliverable, ... */
  readonly outcome: string;
  readonly text: string;
}

export interface LineForm {
  /** delay_logging_resolution_limit */
  readonly decimals: number;
  /** info_log_address_format: quote local parts where mail needs quotes? */
  readonly external: boolean;
}

export function deliveryLine(line: DeliveryLine, form: LineForm): string {
  const { recipient } = line;
  const shown = (address: string): string => (form.external && address !== '' ? quote822Local(address) : address);
  let text = `${line.queueId}: to=<${shown(recipient.address)}>`;
  const original = recipient.originalAddress;
  if (original !== '' && foldCase(original) !== foldCase(recipient.address)) text += `, orig_to=<${shown(original)}>`;
  text += `, relay=${line.relay}`;
  if (line.reuseCount !== undefined && line.reuseCount > 0) text += `, conn_use=${line.reuseCount + 1}`;
  text += `, ${renderDelays(deliveryTimes(line.times, line.now), form.decimals)}`;
  if (line.tls) text += `, tls=${line.tls}`;
  return `${text}, dsn=${line.status}, status=${line.outcome} (${line.text})`;
}

function deliveryTimes(times: Times, now: number): DeliveryTimes {
  const moment = (seconds: number) => (seconds > 0 ? timeValue(seconds * 1000) : undefined);
  return {
    arrival: timeValue(times.incomingArrival * 1000),
    active: moment(times.activeArrival),
    handoff: moment(times.agentHandoff),
    connected: moment(times.connectionDone),
    done: timeValue((times.deliveryDone > 0 ? times.deliveryDone : now) * 1000),
  };
}
