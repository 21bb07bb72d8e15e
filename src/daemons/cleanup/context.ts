/** What every part of cleanup works with: parameters, voices, tables and other services, opened once for the service. */
import type { Reports } from '../../delivery/reports.ts';
import type { View } from '../../parameters/parameters.ts';
import type { Log } from '../../log/log.ts';
import type { Calls } from '../../ipc/service.ts';
import type { bounceService } from '../../ipc/bounce.ts';
import type { Directory } from '../../ipc/directory.ts';
import type { rewriteService } from '../../ipc/rewrite.ts';
import type { QueueStore } from '../../queue/store.ts';
import type { OtherMilters } from './milter-emulation.ts';
import type { Maps } from '../../tables/maps.ts';
import type { Clock } from '../../server/clock.ts';
import { contentParameters, type ContentRules } from './content-rules.ts';
import type { AnswerMemory } from '../../text/answer-memory.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import type { InFlow } from './in-flow.ts';
import type { AddressMaps } from './address-maps.ts';

/** The parameters that cleanup(8) reads; reading another one does not compile. */
export const cleanupParameters = [
  'myhostname', 'myorigin', 'line_length_limit', 'header_size_limit', 'header_address_token_limit', 'message_size_limit', 'hopcount_limit',
  'enable_original_recipient', 'enable_long_queue_ids', 'always_add_missing_headers', 'undisclosed_recipients_header',
  'cleanup_replace_stray_cr_lf', 'header_from_format', 'detect_8bit_encoding_header',
  'virtual_alias_maps', 'virtual_alias_expansion_limit', 'virtual_alias_recursion_limit', 'virtual_alias_address_length_limit',
  'duplicate_filter_limit', 'delay_warning_time', 'propagate_unmatched_extensions', 'recipient_delimiter', 'milter_header_checks',
  'always_bcc', 'empty_address_recipient', 'smtputf8_enable', 'queue_file_attribute_count_limit', 'verp_delimiter_filter', 'disable_verp_bounces', 'hash_queue_names', 'hash_queue_depth', 'queue_service_name', 'remote_header_rewrite_domain', 'cleanup_service_name', 'bounce_service_name', 'trace_service_name', 'rewrite_service_name',
  'in_flow_delay', 'default_process_limit',
  ...contentParameters,
] as const;

export interface CleanupContext {
  readonly view: View<typeof cleanupParameters>;
  readonly log: Log;
  readonly clock: Clock;
  readonly store: QueueStore;
  readonly services: Directory;
  readonly rewrite: Calls<typeof rewriteService>;
  readonly bounce: Calls<typeof bounceService>;
  readonly trace: Calls<typeof bounceService>;
  /** What becomes of recipients whose mail ends here. */
  readonly reports: Reports;
  /** What main.cf wants of content. */
  readonly content: ContentRules;
  /** Canonical tables, masquerading and BCC tables; undefined when there are none. */
  readonly addressMaps: AddressMaps | undefined;
  /** What virtual_alias_maps names for an address, all in internal form; undefined when there are no such tables. Throws TableTrouble. */
  readonly virtualAliases: ((address: string) => MaybePromise<string[] | undefined>) | undefined;
  /** An address in internal form, complete; '' stays ''. Throws ServiceTrouble. */
  fullAddress(address: string): MaybePromise<string>;
  /** Headers with addresses as they came (behind context and NUL), and what they become. */
  readonly rewrittenHeaders: AnswerMemory<string>;
  /** Milters for mail that does not come by SMTP; undefined: none. */
  readonly milters?: OtherMilters | undefined;
  /** milter_header_checks; undefined: none. */
  readonly milterHeaderChecks?: Maps | undefined;
  /** in_flow_delay; undefined: nothing waits. */
  readonly inFlow?: InFlow | undefined;
  /** Where messages are held back that filters may change. */
  readonly holdDirectory: string;
}
