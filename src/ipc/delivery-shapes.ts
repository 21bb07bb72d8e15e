/** Shapes that several services share: a recipient, a delivery status notification, the times of a message. */
export const recipientShape = {
  /** The address to deliver to, internal form. */
  address: 'text',
  /** As the client gave it, when rewriting or aliasing changed it; else ''. */
  originalAddress: 'text',
  /** Byte offset of the recipient record in the queue file, for the done mark; 0: not in a queue file. */
  offset: 'number',
  /** RFC 3461 ORCPT: `type;xtext-decoded address`, or ''. */
  dsnOrcpt: 'text',
  /** RFC 3461 NOTIFY mask: see message/dsn.ts; 0: not given. */
  dsnNotify: 'number',
} as const;

/** dsn(3): what happened to one recipient, for reports. `status` like 4.4.1; empty: no status. */
export const dsnShape = {
  status: 'text',
  /** 'delivered' | 'relayed' | 'expanded' | 'delayed' | 'failed' | 'deliverable' | 'undeliverable' | '' */
  action: 'text',
  /** Human text, as in the log line's parentheses. */
  reason: 'text',
  /** Diagnostic-Code type and text (smtp; 550 ...), or ''. */
  diagnosticType: 'text',
  diagnosticText: 'text',
  /** Remote-MTA type and name (dns; host), or ''. */
  remoteMtaType: 'text',
  remoteMta: 'text',
} as const;

/** Seconds since the epoch with fraction; 0: has not happened. msg_stats(3). */
export const timesShape = {
  incomingArrival: 'number',
  activeArrival: 'number',
  agentHandoff: 'number',
  connectionDone: 'number',
  deliveryDone: 'number',
} as const;
