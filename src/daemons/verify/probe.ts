/**
 * A probe: a message without a body that is never delivered. Agents go as far as they can without delivering it, and report to verify(8).
 */
import { zoneAt } from '../../host/zone.ts';
import type { Cleanup } from '../../ipc/cleanup.ts';
import { attributeName, traceFlag } from '../../message/envelope-names.ts';
import { receivedFromOurselves } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { timeValue } from '../../text/time.ts';

export interface ProbeFacts {
  readonly sender: string;
  readonly recipient: string;
  readonly hostname: string;
  readonly mailName: string;
  /** cleanupFlag bits */
  readonly flags: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The status of cleanup; 0: it is on its way. Rejects with ServiceTrouble when cleanup is out of reach. */
export async function postProbe(cleanup: Cleanup, { sender, recipient, hostname, mailName, flags, now }: ProbeFacts): Promise<number> {
  const session = await cleanup.open({ flags, lineEnd: 'lf' });
  const { seconds, microseconds } = timeValue(now);
  session.record(recordType.time, `${seconds} ${microseconds}`);
  session.record(recordType.attribute, `${attributeName.logMessageOrigin}=local`);
  session.record(recordType.attribute, `${attributeName.traceFlags}=${traceFlag.mtaVerify}`);
  session.record(recordType.sender, sender);
  session.record(recordType.recipient, recipient);
  session.message();
  const date = mailDate(seconds, zoneAt(now));
  const received = receivedFromOurselves({ hostname, mailName, queueId: session.queueId, date });
  session.content(Buffer.from(`${received.join('\n')}\nDate: ${date}\n`, 'latin1'));
  session.extracted();
  return (await session.end()).status;
}
