/**
 * What qmgr(8) asks of a delivery agent, and the answer: deliver_request(3).
 *
 * One request goes to one nexthop of one transport with one or more recipients of one message. The agent logs every
 * recipient, marks it done in the queue file or reports it to bounce/defer, and answers once for the request.
 */
import { declareService } from './service.ts';
import type { ShapeValue } from './shape.ts';
import { dsnShape, recipientShape, timesShape } from './delivery-shapes.ts';

/** deliver_request(3) DEL_REQ_FLAG_*: what kind of delivery this is. Bits 8-10 and 13 are a message's trace_flags. */
export const requestFlag = {
  success: 1 << 0,     // mark recipients done that were delivered (qmgr always sets it)
  bounce: 1 << 1,      // not used
  mtaVerify: 1 << 8,   // address probe of the MTA
  userVerify: 1 << 9,  // sendmail -bv
  record: 1 << 10,     // sendmail -v: record and deliver
  connectionLoad: 1 << 11,
  connectionStore: 1 << 12,
  recordDelaySent: 1 << 13, // tell the sender of a delivery that was late
} as const;

export const deliveryRequestShape = {
  flags: 'number',
  queueName: 'text',          // 'active'
  queueId: 'text',
  /** Where the message lies while it is no file: `segment:offset:length` (queue/journal/place.ts); '' for a queue file. */
  place: 'text',
  dataOffset: 'number',       // byte offset of the message content in the queue file
  dataSize: 'number',         // byte size of the content records
  nexthop: 'text',
  encoding: 'text',           // '7bit' | '8bit' | ''
  smtputf8: 'number',
  sender: 'text',
  dsnEnvid: 'text',
  dsnRet: 'number',
  times: timesShape,
  clientName: 'text', clientAddress: 'text', clientPort: 'text', clientProtocol: 'text', clientHelo: 'text',
  saslMethod: 'text', saslUsername: 'text', saslSender: 'text',
  logIdent: 'text',
  rewriteContext: 'text',
  recipients: [recipientShape],
} as const;

export const deliveryReplyShape = {
  /** 0: every recipient is done with (delivered or bounced). Not 0: at least one is deferred. */
  status: 'number',
  /** When its status is not '': the destination as a whole is out of reach, and no more mail should be tried there now. */
  hop: dsnShape,
  /** What was written about the message besides the mail log (deliveryLog): without any, nobody needs to look for reports to be sent. */
  logs: 'number',
} as const;

/** Bits of a reply's `logs`. */
export const deliveryLog = { bounce: 1 << 0, defer: 1 << 1, trace: 1 << 2 } as const;

/** Spoken over connections that carry many requests at once: deliver-frames.ts, deliver-pool.ts, deliver-serve.ts. */
export const deliverService = declareService({
  name: 'smtp',
  area: 'private',
  protocol: 'delivery_requests_1',
  requests: { deliver: { request: deliveryRequestShape, reply: deliveryReplyShape } },
});

export type Recipient = ShapeValue<typeof recipientShape>;
export type Dsn = ShapeValue<typeof dsnShape>;
export type Times = ShapeValue<typeof timesShape>;
export type DeliveryRequest = ShapeValue<typeof deliveryRequestShape>;
export type DeliveryReply = ShapeValue<typeof deliveryReplyShape>;

export const noDsn: Dsn = { status: '', action: '', reason: '', diagnosticType: '', diagnosticText: '', remoteMtaType: '', remoteMta: '' };

/** A delivery agent: what a daemon of the delivery kind implements. Never rejects for a mail problem; a rejection means defer all. */
export interface DeliveryAgent {
  deliver(request: DeliveryRequest): Promise<DeliveryReply>;
}
