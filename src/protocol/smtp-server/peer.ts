/**
 * What depends on who the client is: whom logs name, what it may do that others may not, and what is hidden from it. Told with the
 * verdict on CONNECT, and anew after XCLIENT, when the client is somebody else.
 */
import type { SmtpServerSettings } from './settings.ts';

/** `trouble`: the list that says so cannot be asked now. */
export type Right = boolean | 'trouble';

export interface Peer {
  /** `name[address]` */
  readonly client: string;
  /** EHLO keywords, in lower case, that this client shall not see; undefined: the table that says so cannot be asked now. */
  readonly discardedKeywords: ReadonlySet<string> | undefined;
  /** Bare newlines are noticed (smtpd_forbid_bare_newline and its exclusions). */
  readonly policesNewlines: boolean;
  readonly xclient: Right;
  readonly xforward: Right;
  readonly verp: Right;
}

/** A stranger, as long as nothing else was said. */
export function strangerOf(settings: SmtpServerSettings): Peer {
  return {
    client: settings.client, discardedKeywords: settings.discardedKeywords,
    policesNewlines: settings.smtpd_forbid_bare_newline !== 'no' && !settings.standAlone,
    xclient: false, xforward: false, verp: false,
  };
}
