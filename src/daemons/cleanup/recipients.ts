/**
 * Recipients into the queue file: full form, aliases expanded, each once, with what the sender wished for its reports.
 *
 * RFC 3461 section 5.2.7.3: when an alias is expanded and the sender asked to be told of success, "expanded" is reported now and
 * the results no longer carry that wish.
 */
import { bounceFlag } from '../../ipc/bounce.ts';
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { noDsn } from '../../ipc/deliver.ts';
import { attributeName, sendOption, traceFlag } from '../../message/envelope-names.ts';
import { dsnNotify } from '../../message/dsn.ts';
import { isAscii } from '../../text/ascii.ts';
import { isUtf8 } from '../../text/utf8.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import { mappedEnvelope, type BccSearch } from './address-maps.ts';
import type { CleanupContext } from './context.ts';
import type { MessageState } from './state.ts';
import { expandAlias } from './virtual-alias.ts';

/** What came with a recipient record. */
export interface RecipientWishes {
  originalAddress: string | undefined;
  dsnOrcpt: string;
  dsnNotify: number;
}

/** No report goes out about a copy. */
const unwatched: RecipientWishes = { originalAddress: undefined, dsnOrcpt: '', dsnNotify: dsnNotify.never };

export const noWishes = (): RecipientWishes => ({ originalAddress: undefined, dsnOrcpt: '', dsnNotify: 0 });

/** Most recipients that a report about a refused message names. */
const reportLimit = 1000;

/** Put in a recipient as the client named it, and its automatic copy. */
export function addRecipient(context: CleanupContext, state: MessageState, address: string, wishes: RecipientWishes): MaybePromise<void> {
  return chain(context.fullAddress(address === '' ? context.view.empty_address_recipient : address), (full) =>
    chain(mapped(context, state, full), (clean) => named(context, state, address, clean, wishes)));
}

/** Put in a recipient that nobody named: an automatic copy (always_bcc and its like), or what a filter adds. */
export function addBcc(context: CleanupContext, state: MessageState, address: string, wishes: RecipientWishes = unwatched): MaybePromise<void> {
  return chain(context.fullAddress(address), (full) => chain(mapped(context, state, full), (clean) => {
    noteUtf8(context, state, clean);
    return out(context, state, clean, clean, wishes);
  }));
}

/** The copy (sender_bcc_maps, recipient_bcc_maps) that mail of this sender or to this recipient has, when it may have one. */
export function addBccOf(context: CleanupContext, state: MessageState, search: BccSearch | undefined, address: string): MaybePromise<void> {
  if (search === undefined || address === '' || (state.flags & cleanupFlag.bccOk) === 0) return undefined;
  return chain(search(state, address), (bcc) => (bcc === undefined ? undefined : addBcc(context, state, bcc)));
}

function mapped({ addressMaps }: CleanupContext, state: MessageState, full: string): MaybePromise<string> {
  return addressMaps === undefined || (state.flags & cleanupFlag.mapOk) === 0 ? full : mappedEnvelope(addressMaps, 'envelope_recipient', state, full);
}

function noteUtf8({ view }: CleanupContext, state: MessageState, address: string): void {
  if (view.smtputf8_enable && !isAscii(address) && isUtf8(address)) state.noteUtf8(0);
}

function named(context: CleanupContext, state: MessageState, address: string, full: string, wishes: RecipientWishes): MaybePromise<void> {
  state.recipient = full;
  const original = wishes.originalAddress ?? address;
  noteUtf8(context, state, full);
  const isUnicode = (state.sendOptions & sendOption.smtputf8Requested) !== 0 && !isAscii(full);
  // RFC 3461 section 5.2.1: without an ORCPT of the sender's, what came in here is the original recipient.
  if (wishes.dsnOrcpt === '' && full !== '') wishes.dsnOrcpt = `${isUnicode ? 'utf-8' : 'rfc822'};${full}`;
  const done = out(context, state, full, original, wishes);
  return context.addressMaps?.recipientBcc === undefined ? done : chain(done, () => addBccOf(context, state, context.addressMaps?.recipientBcc, full));
}

/** Write the recipient down, or what its alias stands for. */
function out(context: CleanupContext, state: MessageState, full: string, original: string, wishes: RecipientWishes): MaybePromise<void> {
  if ((state.flags & cleanupFlag.mapOk) === 0 || context.virtualAliases === undefined) return put(context, state, full, original, wishes);
  return addExpanded(context, state, full, original, wishes);
}

async function addExpanded(context: CleanupContext, state: MessageState, full: string, original: string, wishes: RecipientWishes): Promise<void> {
  const results = await expandAlias(context, state, full);
  if (results.length > 1 && isProbe(state)) return reportProbed(context, state, full, original, wishes);
  const isExpanded = results.length > 1 || results[0] !== full;
  const notify = isExpanded && wishes.dsnNotify & dsnNotify.success ? await expanded(context, state, full, original, wishes) : wishes.dsnNotify;
  for (const result of results) put(context, state, result, original, { ...wishes, dsnNotify: notify });
}

function isProbe({ attributes }: MessageState): boolean {
  return (Number.parseInt(attributes.get(attributeName.traceFlags) ?? '', 10) & traceFlag.mtaVerify) !== 0;
}

/** A probe of a list gets one answer, not those of all its members, the last of which would stay: mail gets to the list. */
async function reportProbed(context: CleanupContext, state: MessageState, address: string, original: string, wishes: RecipientWishes): Promise<void> {
  const { reports, clock } = context;
  const recipient = { address, originalAddress: original, offset: 0, dsnOrcpt: wishes.dsnOrcpt, dsnNotify: wishes.dsnNotify };
  const { seconds, microseconds } = state.arrival;
  const times = { incomingArrival: seconds + microseconds / 1e6, activeArrival: clock.now() / 1000, agentHandoff: 0, connectionDone: 0, deliveryDone: 0 };
  const reported = await reports.sent({ queueId: state.queueId, flags: traceFlag.mtaVerify, times }, recipient, { dsn: '2.0.0', text: 'aliased to multiple recipients' });
  if (!reported) state.refuse(cleanupStatus.write);
}

/** Report the expansion; the answer is the wish that remains for the results. */
async function expanded(context: CleanupContext, state: MessageState, address: string, original: string, wishes: RecipientWishes): Promise<number> {
  const recipient = { address, originalAddress: original, offset: 0, dsnOrcpt: wishes.dsnOrcpt, dsnNotify: wishes.dsnNotify };
  const dsn = { ...noDsn, status: '2.0.0', action: 'expanded', reason: 'alias expanded' };
  const { status } = await context.trace.append({ flags: bounceFlag.clean, queueId: state.queueId, relay: 'none', recipient, dsn });
  if (status !== 0) state.refuse(cleanupStatus.write);
  return wishes.dsnNotify === dsnNotify.success ? dsnNotify.never : wishes.dsnNotify & ~dsnNotify.success;
}

function put(context: CleanupContext, state: MessageState, address: string, original: string, wishes: RecipientWishes): void {
  const { view } = context;
  const recipient = { address, originalAddress: original, offset: 0, dsnOrcpt: wishes.dsnOrcpt, dsnNotify: wishes.dsnNotify };
  if (!state.duplicates.isNew(recipient, view.enable_original_recipient, view.duplicate_filter_limit)) return;
  if (state.reported.length < reportLimit) state.reported.push(recipient);
  state.putNamed(recipient);
}
