/** What all conversations of a service share: its parts, its rules, and the world outside. */
import type { Cleanup } from '../../ipc/cleanup.ts';
import type { Log } from '../../log/log.ts';
import type { SmtpServerSettings } from '../../protocol/smtp-server/settings.ts';
import type { Verdict } from '../../protocol/smtp-server/steps.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import type { AccessState, Client, Instance } from './access/state.ts';
import type { CountsFor } from './client-counts.ts';
import type { Conversation } from './conversation.ts';
import type { Audience } from './listeners.ts';
import type { MilterDesk } from './milter.ts';
import type { PeerOf } from './peer-rights.ts';
import type { Policy } from './policy.ts';
import type { ProbeSenderOf } from './probe-sender.ts';
import type { ProxyFilter } from './proxy-filter.ts';
import type { EditReply } from './refusal-text.ts';
import type { SaslService } from './sasl.ts';
import type { ServerTls } from './tls.ts';
import type { OwnName } from './transaction.ts';
import type { SteadySet } from '../../text/steady.ts';

export interface Hall extends Audience {
  readonly policy: Policy;
  readonly counts: CountsFor;
  readonly cleanup: Cleanup;
  /** The before-queue filter, in cleanup's place. */
  readonly proxy?: ProxyFilter | undefined;
  /** The queue, or the filter, is reached before a recipient is known to be good (smtpd_delay_open_until_valid_rcpt = no). */
  readonly opensEarly?: boolean;
  /** flush(8), for ETRN: a status of ipc/flush.ts. */
  flushSite?(site: string): MaybePromise<number>;
  readonly tls: ServerTls;
  /** Absent: nobody can log in. */
  readonly sasl?: SaslService | undefined;
  readonly own: OwnName;
  readonly log: Log;
  settings(client: Client): SmtpServerSettings;
  /** What a client may do that others may not. Absent: nothing. */
  readonly peerOf?: PeerOf | undefined;
  /** smtpd_command_filter. Absent: commands are taken as they come. */
  readonly filterCommand?: ((line: string, state: AccessState) => MaybePromise<Verdict>) | undefined;
  /** info_log_address_format is `internal`. */
  readonly logsInternal?: boolean;
  /** smtpd_client_port_logging */
  readonly logsPort?: boolean;
  /** smtputf8_autodetect_classes */
  readonly detectsUtf8?: boolean;
  /** For bad times (`stress`). Absent: these are they. */
  readonly underStress?: Hall;
  /** Those here that began before the times became bad. */
  readonly unhurried?: SteadySet<Conversation>;
  /** Without `smtputf8` a domain is ASCII, wherever in the address it was hidden. */
  isMalformed(sender: string, address: string, smtputf8: boolean): MaybePromise<boolean>;
  /** See probe-sender.ts. */
  readonly probeSender?: ProbeSenderOf;
  now(): number;
  readonly ticker: { monotonic(): number; after(milliseconds: number, run: () => void, idle?: boolean): { cancel(): void } };
  /** Is there room in the queue for one more message (queue_minfree)? */
  hasSpace(): boolean;
  isLocalRewriting(state: AccessState): MaybePromise<boolean>;
  readonly contentFilter: string;
  readonly withoutFlags: number;
  /** Undefined: no client has milters. */
  readonly milters?: MilterDesk | undefined;
  /** Undefined: replies go out as they are. */
  readonly editReply?: EditReply | undefined;
  /** The next mail transaction, as policy services know it. */
  nextInstance(): Instance;
}
