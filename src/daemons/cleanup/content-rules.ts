/**
 * What main.cf asks cleanup(8) to do with the content of messages, worked out once for the service.
 *
 * A setting that contradicts another is `trouble`: no message can be taken until it is mended.
 */
import type { View } from '../../parameters/parameters.ts';
import type { HeaderCheckTables } from '../../message/header-body-checks.ts';
import { headerClass, headerNames } from '../../message/header.ts';
import type { MimeProblem } from '../../message/mime.ts';
import { openMaps, type Maps } from '../../tables/maps.ts';
import type { TableContext } from '../../tables/table.ts';
import { unescaped } from '../../text/unescape.ts';

export const contentParameters = [
  'header_checks', 'mime_header_checks', 'nested_header_checks', 'body_checks', 'body_checks_size_limit',
  'disable_mime_input_processing', 'force_mime_input_conversion', 'strict_7bit_headers', 'strict_8bitmime', 'strict_8bitmime_body', 'strict_mime_encoding_domain',
  'mime_nesting_limit', 'mime_boundary_length_limit', 'message_reject_characters', 'message_strip_characters', 'info_log_address_format',
  'non_empty_end_of_header_action', 'message_drop_headers', 'full_name_encoding_charset', 'tls_required_enable', 'requiretls_enable', 'requiretls_esmtp_header',
] as const;

export interface ContentRules {
  readonly tables: { readonly headers: HeaderCheckTables; readonly body: Maps | undefined };
  /** What is wrong with MIME that counts, in mail that is filtered and in mail that is not. */
  readonly report: ReadonlySet<MimeProblem>;
  readonly reportUnfiltered: ReadonlySet<MimeProblem>;
  /** non_empty_end_of_header_action */
  readonly emptyLine: 'fix_quietly' | 'add_header' | 'reject';
  /** message_reject_characters, message_strip_characters; undefined: none. */
  readonly rejected: ReadonlySet<number> | undefined;
  readonly stripped: ReadonlySet<number> | undefined;
  /** message_drop_headers, in small letters; are there names that mean nothing otherwise? */
  readonly dropped: ReadonlySet<string>;
  readonly dropsOthers: boolean;
  readonly trouble: string | undefined;
}

const nothing: ReadonlySet<MimeProblem> = new Set();

export function contentRules(view: View<typeof contentParameters>, tables: TableContext): ContentRules {
  const open = (name: 'header_checks' | 'mime_header_checks' | 'nested_header_checks' | 'body_checks'): Maps | undefined => {
    const maps = openMaps(view[name], tables, name, { utf8: false }); // headers are bytes
    return maps.isEmpty ? undefined : maps;
  };
  const { non_empty_end_of_header_action: action } = view;
  const dropped = headerNames(view.message_drop_headers);
  return {
    tables: { headers: { primary: open('header_checks'), mime: open('mime_header_checks'), nested: open('nested_header_checks') }, body: open('body_checks') },
    report: view.disable_mime_input_processing ? nothing : problems(view),
    reportUnfiltered: nothing,
    emptyLine: action === 'add_header' || action === 'reject' ? action : 'fix_quietly',
    rejected: characters(view.message_reject_characters),
    stripped: characters(view.message_strip_characters),
    dropped,
    dropsOthers: [...dropped].some((name) => headerClass(name) === undefined),
    trouble: troubleOf(view),
  };
}

function problems(view: View<typeof contentParameters>): ReadonlySet<MimeProblem> {
  const { strict_8bitmime: strict, strict_7bit_headers: headers, strict_8bitmime_body: body, strict_mime_encoding_domain: domain } = view;
  const isChecked = [view.header_checks, view.mime_header_checks, view.nested_header_checks].some((tables) => tables !== '');
  const wanted: readonly (readonly [MimeProblem, boolean])[] = [
    ['8bit-header', strict || headers], ['8bit-body', strict || body], ['encoding-domain', domain],
    ['no-empty-line', view.non_empty_end_of_header_action !== 'fix_quietly'],
    ['nesting', strict || headers || body || domain || isChecked],
  ];
  return new Set(wanted.flatMap(([kind, isWanted]) => (isWanted ? [kind] : [])));
}

function troubleOf(view: View<typeof contentParameters>): string | undefined {
  const both = view.disable_mime_input_processing && view.force_mime_input_conversion;
  if (both) return 'do not specify both disable_mime_input_processing=yes and force_mime_input_conversion=yes';
  const { non_empty_end_of_header_action: action } = view;
  return ['fix_quietly', 'add_header', 'reject'].includes(action) ? undefined : `bad non_empty_end_of_header_action value: ${action}`;
}

/** Characters with the escapes of C. */
function characters(text: string): ReadonlySet<number> | undefined {
  return text === '' ? undefined : new Set(Buffer.from(unescaped(text), 'latin1'));
}
