/**
 * Telling the sender of local mail that cleanup refused it: nobody is left on the line to hear a reply (cleanup_bounce(3)).
 *
 * After a report was sent the refusal counts as dealt with (status 0 and nothing kept); when no report could be sent, the
 * status says `write` and the source tries again later.
 */
import { bounceFlag } from '../../ipc/bounce.ts';
import { cleanupDetail, cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { noDsn, type Dsn } from '../../ipc/deliver.ts';
import { dsnRet, splitDsn } from '../../message/dsn.ts';
import { recordType } from '../../message/record.ts';
import type { CleanupContext } from './context.ts';
import type { MessageState } from './state.ts';

const cannotBounce = cleanupStatus.bad | cleanupStatus.write | cleanupStatus.defer | cleanupStatus.noRecipients;

export function canBounce(state: MessageState): boolean {
  return (state.status & cannotBounce) === 0 && state.sender !== undefined && (state.flags & cleanupFlag.bounce) !== 0;
}

export async function bounceRefused(context: CleanupContext, state: MessageState): Promise<void> {
  const dsn = refusal(state);
  try {
    complete(state);
    await state.writer.settle();
    await report(context, state, dsn);
    state.status = 0;
    state.flags |= cleanupFlag.discard;
  } catch (error) {
    context.log.warning(`${state.queueId}: bounce message failure: ${(error as Error).message}`);
    state.status = cleanupStatus.write;
  }
}

function refusal(state: MessageState): Dsn {
  const detail = cleanupDetail(state.status);
  const { status, text } = splitDsn(state.reason === '' ? detail.dsn : '5.0.0', state.reason === '' ? detail.text : state.reason);
  return { ...noDsn, status, action: 'failed', reason: text };
}

/** The file as bounce reads it: whatever there is, with an end. */
function complete(state: MessageState): void {
  const status = state.status;
  state.status = 0; // a message too large is cut, but what there is may be shown
  if (state.dataOffset === 0) state.dataOffset = state.offset;
  if (state.extractedOffset === 0) {
    state.extractedOffset = state.offset;
    state.put(recordType.extracted);
  }
  state.put(recordType.end);
  state.seal();
  state.status = status;
}

async function report(context: CleanupContext, state: MessageState, dsn: Dsn): Promise<void> {
  const recipients = state.reported.length > 0 ? state.reported : [{ address: 'unknown', originalAddress: '', offset: 0, dsnOrcpt: '', dsnNotify: 0 }];
  for (const recipient of recipients) {
    const { status } = await context.bounce.append({ flags: bounceFlag.clean, queueId: state.queueId, relay: 'none', recipient, dsn });
    if (status !== 0) throw new Error('cannot append to the bounce log');
  }
  const isContent = (state.status & (cleanupStatus.contents | cleanupStatus.size)) !== 0;
  const message = {
    flags: bounceFlag.clean, queueName: 'incoming', queueId: state.queueId, encoding: state.attributes.get('encoding') ?? '', smtputf8: state.sendOptions,
    sender: state.sender ?? '', dsnEnvid: state.attributes.get('envelope_id') ?? '',
    // What was refused for its content does not go out with the report.
    dsnRet: isContent ? dsnRet.headers : Number(state.attributes.get('ret_flags') ?? 0),
  };
  const { verpDelimiters } = state;
  const { status } = await (verpDelimiters === undefined || context.view.disable_verp_bounces ? context.bounce.flush(message) : context.bounce.verp({ ...message, verpDelimiters }));
  if (status !== 0) throw new Error('cannot send the report');
}
