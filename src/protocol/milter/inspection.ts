/**
 * How cleanup shows a message to filters, whoever has the connections to them: smtpd for mail that comes by SMTP, cleanup itself for
 * other mail. One filter after the other sees the message as it stands then, with the edits of those before it.
 */
import type { MaybePromise } from '../../text/maybe.ts';
import type { Edit } from './edit.ts';
import type { FilterVerdict } from './reply.ts';

export interface ContentInspection {
  /** The next filter that wants to see the message; undefined: all have seen it, or the last one's verdict was the last word. */
  next(): MaybePromise<ContentPass | undefined>;
  /** Nothing more will be shown. */
  close(): void;
}

/** One filter looks at one message. After `false` it does not want to see more: go on with `end`, which must always be called. */
export interface ContentPass {
  readonly wantsHeaders: boolean;
  readonly wantsBody: boolean;
  /** `value`: what stands behind the colon, lines separated by LF. */
  header(name: string, value: string): MaybePromise<boolean>;
  endOfHeaders(): MaybePromise<boolean>;
  /** Body as it would be sent, CR LF at the end of lines, cut anywhere. The bytes are copied, or sent before the promise settles. */
  body(chunk: Buffer): MaybePromise<boolean>;
  /** The verdict; before it, the edits, in order. `edit` never rejects. */
  end(edit: (edit: Edit) => MaybePromise<void>): MaybePromise<FilterVerdict>;
}
