/**
 * The line of the mail log that every recipient of every delivery gets, byte for byte as Postfix writes it:
 *
 *   ID: to=<addr>, orig_to=<addr>, relay=name, conn_use=2, delay=1.2, delays=0.1/0/0/1.1, tls=..., dsn=2.0.0, status=sent (text)
 *
 * Pure; the log's sink makes unprintable bytes harmless.
 */
import { foldCase } from '../text/utf8.ts';
import { renderDelay } from '../text/time.ts';
import { quote822Local } from '../message/address.ts';
import type { Recipient, Times } from '../ipc/deliver.ts';

export interface DeliveryLine {
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

/** The line up to `relay=`: what no other recipient has. */
export function lineHead(queueId: string, { address, originalAddress: original }: Recipient, { external }: LineForm): string {
  const head = `${queueId}: to=<${shownAddress(address, external)}>`;
  if (original === '' || original === address || foldCase(original) === foldCase(address)) return head;
  return `${head}, orig_to=<${shownAddress(original, external)}>`;
}

function shownAddress(address: string, external: boolean): string {
  return external && address !== '' ? quote822Local(address) : address;
}

/** The rest of it, for all recipients with the same outcome. */
export function lineTail(line: DeliveryLine, form: LineForm): string {
  let text = `, relay=${line.relay}`;
  if (line.reuseCount !== undefined && line.reuseCount > 0) text += `, conn_use=${line.reuseCount + 1}`;
  text += `, ${delays(line.times, line.now, form.decimals)}`;
  if (line.tls) text += `, tls=${line.tls}`;
  return `${text}, dsn=${line.status}, status=${line.outcome} (${line.text})`;
}

/** `delay=0.12, delays=0.01/0/0.1/0.01`: in all, before the queue manager, in it, until connected, and the rest. */
function delays({ incomingArrival, activeArrival, agentHandoff, connectionDone, deliveryDone }: Times, now: number, decimals: number): string {
  const arrival = microseconds(incomingArrival);
  const done = microseconds(deliveryDone > 0 ? deliveryDone : now);
  const total = shown(arrival, done, decimals);
  if (activeArrival <= 0) return `delay=${total}, delays=${total}/0/0/0`;
  const active = microseconds(activeArrival);
  const text = `delay=${total}, delays=${shown(arrival, active, decimals)}/`;
  if (agentHandoff <= 0) return `${text}${shown(active, done, decimals)}/0/0`;
  const handoff = microseconds(agentHandoff);
  if (connectionDone <= 0) return `${text}${shown(active, handoff, decimals)}/0/${shown(handoff, done, decimals)}`;
  const connected = microseconds(connectionDone);
  return `${text}${shown(active, handoff, decimals)}/${shown(handoff, connected, decimals)}/${shown(connected, done, decimals)}`;
}

function microseconds(seconds: number): number {
  return Math.round(seconds * 1_000_000);
}

/** The time between, with two digits that matter; nothing when the clock went backwards. */
function shown(from: number, to: number, decimals: number): string {
  const difference = to - from;
  // Most parts of a quick delivery are less than is worth showing.
  if (difference <= 0 || (decimals === 2 && difference < 5_000)) return '0';
  return renderDelay({ seconds: Math.floor(difference / 1_000_000), microseconds: difference % 1_000_000 }, 2, decimals);
}
