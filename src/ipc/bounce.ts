/**
 * The services of bounce(8): `bounce`, `defer` and `trace` keep a log per message and turn it into reports to the sender.
 *
 * A non-zero status means the record was not made or the report not sent: the caller must then keep the recipient deferred.
 */
import { declareService } from './service.ts';
import { dsnShape, recipientShape } from './delivery-shapes.ts';

export const bounceFlag = { clean: 1 << 0, deleteRecipient: 1 << 1 } as const;

const status = { status: 'number' } as const;

const message = {
  flags: 'number', queueName: 'text', queueId: 'text', encoding: 'text', smtputf8: 'number',
  sender: 'text', dsnEnvid: 'text', dsnRet: 'number',
} as const;

export const bounceService = declareService({
  name: 'bounce',
  area: 'private',
  protocol: 'delivery_status_protocol',
  requests: {
    /** Add one recipient to the message's log file (queue directory bounce/, defer/ or trace/, named after the service). */
    append: { request: { flags: 'number', queueId: 'text', relay: 'text', recipient: recipientShape, dsn: dsnShape }, reply: status },
    /** Send the report and remove the log. */
    flush: { request: message, reply: status },
    /** Send a delay warning; the log stays. */
    warn: { request: message, reply: status },
    /** One report per recipient, VERP style. */
    verp: { request: { ...message, verpDelimiters: 'text' }, reply: status },
    /** Send a report for this one recipient at once; no log. */
    one: { request: { ...message, relay: 'text', recipient: recipientShape, dsn: dsnShape }, reply: status },
    /** Send the delivery record (sendmail -v, -bv, NOTIFY=SUCCESS). */
    trace: { request: message, reply: status },
  },
});
