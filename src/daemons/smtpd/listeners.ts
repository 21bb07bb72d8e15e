/** Who listens to a session: the postmaster, by transcript (notify_classes), and the log (debug_peer_list). */
import type { AccessState, Client } from './access/state.ts';
import type { Notices } from './notices.ts';
import { both, spokenAloud, Transcript, type Listener } from './transcript.ts';

export interface Audience {
  /** notify_classes. Absent: no postmaster wants to know of sessions. */
  readonly notices?: Notices | undefined;
  /** debug_peer_list. Absent: nobody is. */
  isWatched?(client: Client): boolean;
}

export interface Listening {
  readonly transcript: Transcript | undefined;
  /** For the machine; undefined: nobody listens. */
  readonly listener: Listener | undefined;
}

/** Notices and lines name the client that the session has at that moment. */
export function listenersOf({ notices, isWatched }: Audience, state: AccessState, utf8: boolean): Listening {
  const transcript = notices === undefined ? undefined : new Transcript(notices, state);
  if (isWatched?.(state.client) !== true) return { transcript, listener: transcript };
  const aloud = spokenAloud((text) => state.log.info(text), () => state.client.label, utf8);
  return { transcript, listener: transcript === undefined ? aloud : both(transcript, aloud) };
}

const abnormal: ReadonlySet<string> = new Set(['timeout', 'lost connection', 'too many errors']);

/** The reason that a notice gives for the end of a session; undefined: it ended as it should. */
export function reasonOf(end: string): string | undefined {
  return abnormal.has(end) ? end : undefined;
}
