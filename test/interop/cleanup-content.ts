/** What the comparison of content plays: header_checks, body_checks, MIME, odd bytes. See cleanup-content.test.ts. */
import type { PairCase } from './cleanup-pair.ts';

/** A message says itself what the tables do with it. */
export const tableFiles = {
  acts: '/^X-Act: (.*)$/ $1\n/^body-act: (.*)$/ $1\n/^Content-Description: act (.*)$/ $1\n/^Received:.*not-ours/ IGNORE\n',
  everything: '/^Received:/ IGNORE\n',
  fold: '/^Subject: one$/ REJECT first line\n/two/ REJECT second line\n',
  plain: '/^/ INFO seen\n',
  first: '/^X-Act: REJECT/ WARN first\n',
  empty: '/^X-E:(.*)$/ $1\n',
  id: '/^Message-ID/ REJECT\n',
} as const;

const checks = { header_checks: 'regexp:@etc@/acts', body_checks: 'regexp:@etc@/acts' };
const headersOnly = { header_checks: 'regexp:@etc@/acts', mime_header_checks: '', nested_header_checks: '' };
const long = 'x'.repeat(3000);

const actions = [
  'REJECT', 'REJECT no thanks', 'REJECT 5.6.7 no', 'REJECT 4.2.1 later', 'REJECT 2.0.0 bad', 'REJECT 550 5.7.1 x', 'reject in small letters', 'REJECT   blanks  in it', 'REJECT 5.7.1', 'REJECT 4.7.1',
  'WARN', 'WARN text', 'INFO', 'INFO text here', 'FILTER', 'FILTER nocolon', 'FILTER smtp:[127.0.0.1]:10025', 'FILTER :', 'PASS', 'PASS gladly', 'DISCARD', 'DISCARD silently', 'HOLD', 'HOLD for a look',
  'PREPEND', 'PREPEND X-New: yes', 'PREPEND not a header', `PREPEND X-Long: ${long}`, 'PREPEND X-Spaced : y', 'PREPEND Bcc: kept@x.test', 'REPLACE', 'REPLACE X-Other: z', 'REPLACE nothing', 'REPLACE Subject: new', 'REPLACE From: other',
  'REPLACE Message-ID: <r@x.test>', 'REPLACE Bcc: hidden@x.test', 'REPLACE Content-Transfer-Encoding: 8bit', 'REPLACE Received: again', 'REPLACE Date: then', `REPLACE X-Long: ${long}`, 'REDIRECT', 'REDIRECT nobody', 'REDIRECT a@b.test', 'REDIRECT Name <a@b.test>', 'BCC', 'BCC nobody', 'BCC copy@b.test', 'BCC copy',
  'STRIP', 'STRIP a reason', 'IGNORE', 'IGNORE x', 'DUNNO', 'dunno text', 'OK', 'OK fine', '4.7.1 text', '550 5.7.1 no', 'UNKNOWN x', 'DELAY 5m', 'REJECTED', 'WARN\ttab', 'SKIP', 'HOLDX',
] as const;

const parts = (inside: string, type = 'multipart/mixed; boundary="b"', head = ''): string =>
  `Subject: s\nMessage-ID: <1@x>\nMIME-Version: 1.0\nContent-Type: ${type}\n\nprologue\n--b\n${inside}\n--b\nContent-Type: text/html\n${head}\nlast\n--b--\nepilogue\n`;

const inHeader = (action: string): PairCase => ({ name: `header: ${action}`.slice(0, 80), settings: checks, message: `Subject: s\nX-Act: ${action}\nX-After: y\n\nbody\n` });
const inBody = (action: string): PairCase => ({ name: `body: ${action}`.slice(0, 80), settings: checks, message: `Subject: s\n\nfirst\nbody-act: ${action}\nlast\n` });

const some = ['REJECT', 'REJECT 4.2.1 later', 'WARN w', 'HOLD', 'PREPEND X-New: yes', 'PREPEND no header', 'REPLACE X-Other: z', 'REPLACE no header', 'STRIP', 'IGNORE', 'FILTER a:b', 'REDIRECT a@b.test', 'BCC copy@b.test', 'DISCARD', 'PASS'];

const inParts: PairCase[] = some.flatMap((action) => [
  { name: `header of a part: ${action}`, settings: checks, message: parts(`X-Act: ${action}\nContent-Type: text/plain\n\ntext`) },
  { name: `MIME header of a part: ${action}`, settings: checks, message: parts(`Content-Description: act ${action}\n\ntext`) },
  { name: `MIME header of the message: ${action}`, settings: checks, message: `Subject: s\nContent-Description: act ${action}\n\ntext\n` },
  { name: `nested header: ${action}`, settings: checks, message: parts(`Content-Type: message/rfc822\n\nX-Act: ${action}\nSubject: inner\n\ntext`) },
]);

const place = (name: string, settings: PairCase['settings'], message: string | Buffer): PairCase => ({ name, ...(settings === undefined ? {} : { settings }), message });

const lookups: PairCase[] = [
  place('a header is looked up with its continuation lines', { header_checks: 'regexp:@etc@/fold' }, 'Subject: one\n two\n\nbody\n'),
  place('only the first line of a header', { header_checks: 'regexp:@etc@/fold' }, 'Subject: one\n\nbody\n'),
  place('all are seen, and the added ones are not', { header_checks: 'regexp:@etc@/plain' }, 'A: 1\nB:\nC:\n\t2\n\nbody\n'),
  place('all lines are seen, empty ones are not', { body_checks: 'regexp:@etc@/plain' }, 'A: 1\n\none\n\n\ntwo\n \n'),
  place('every Received: taken out', { header_checks: 'regexp:@etc@/everything' }, 'Received: from x\nSubject: s\n\nbody\n'),
  place('only header_checks', headersOnly, parts('X-Act: REJECT\nContent-Description: act REJECT\n\ntext')),
  place('only mime_header_checks', { mime_header_checks: 'regexp:@etc@/acts' }, `X-Act: REJECT\n${parts('X-Act: WARN part\nContent-Type: message/rfc822\n\nX-Act: REJECT\nContent-Description: act HOLD\n\nx')}`),
  place('only nested_header_checks', { nested_header_checks: 'regexp:@etc@/acts' }, `X-Act: REJECT\n${parts('X-Act: REJECT\nContent-Type: message/rfc822\n\nX-Act: WARN nested\nContent-Description: act REJECT\n\nx')}`),
  place('checks turned off', { ...checks, receive_override_options: 'no_header_body_checks' }, 'X-Act: REJECT\nSubject: s\n\nbody-act: REJECT\n'),
  place('MIME not looked into', { ...checks, disable_mime_input_processing: 'yes' }, parts('X-Act: REJECT\nContent-Description: act REJECT\n\ntext')),
  place('a body line beyond the limit', { ...checks, body_checks_size_limit: '20' }, 'A: 1\n\n0123456789\n0123456789\nbody-act: REJECT\n'),
  place('a body line just before the limit', { ...checks, body_checks_size_limit: '20' }, 'A: 1\n\n0123456789\n01234567\nbody-act: REJECT\n'),
  place('the limit begins anew in each part', { ...checks, body_checks_size_limit: '20' }, parts(`\n${'text\n'.repeat(20)}body-act: REJECT\n--b\n\nbody-act: WARN here`)),
  place('the limit begins anew in a nested message', { ...checks, body_checks_size_limit: '20' }, parts(`\n${'text\n'.repeat(20)}\n--b\nContent-Type: message/rfc822\n\nSubject: z\n\n0123456789\nbody-act: WARN here\n0123\nbody-act: REJECT`)),
  place('no limit', { ...checks, body_checks_size_limit: '0' }, `A: 1\n\n${'0123456789\n'.repeat(10_000)}body-act: HOLD\n`),
  place('beyond the usual limit', checks, `A: 1\n\n${'0123456789\n'.repeat(10_000)}body-act: HOLD\n`),
  place('long lines are looked at in pieces', checks, `A: 1\n\n${'y'.repeat(2048)}body-act: WARN piece\n${'y'.repeat(2047)}body-act: WARN no piece\n`),
  place('a piece is replaced', checks, `A: 1\n\nbody-act: REPLACE short ${'z'.repeat(4000)}\n${'y'.repeat(2048)}body-act: IGNORE\n`),
  place('a long header is looked at as a whole', checks, `X-Act: WARN ${'y'.repeat(5000)}\n\nx\n`),
  place('a NUL ends what tables see of a line', checks, 'A: 1\n\nbody-act: WARN a\0b\n\0body-act: REJECT\nbody-act: REPLACE x\0y\n'),
  place('a NUL ends a line of a header', checks, 'X-Act: WARN a\0b\n c\0d\nSubject: x\0y\nB\0: 1\n\nx\n'),
  place('8-bit text in a header', checks, 'X-Act: WARN caf\xe9 caf\xc3\xa9\n\nx\n'),
  place('8-bit text in the body', checks, 'X: y\n\nbody-act: WARN caf\xe9 caf\xc3\xa9\n'),
  place('controls in the log', checks, 'X-Act: WARN a\tb\x01c\x7f\n\nx\n'),
  place('a table that fails for headers', { header_checks: 'fail:x' }, 'A: 1\nMessage-ID: <1@x>\n\nx\n'),
  place('a table that fails for bodies', { body_checks: 'fail:x' }, 'A: 1\nMessage-ID: <1@x>\n\nx\ny\n'),
  place('a table that fails for headers of parts', { mime_header_checks: 'fail:x' }, parts('Content-Type: text/plain\n\nx')),
  place('a table that fails for nested headers', { nested_header_checks: 'fail:x' }, parts('Content-Type: message/rfc822\n\nA: 1\n\nx')),
  place('a table that is not asked cannot fail', { nested_header_checks: 'fail:x' }, 'A: 1\n\nx\n'),
  place('the first table wins', { header_checks: 'regexp:@etc@/first, regexp:@etc@/acts' }, 'X-Act: REJECT\nX-Act: WARN pattern\n\nx\n'),
  place('an empty answer', { header_checks: 'regexp:@etc@/empty' }, 'X-E: 1\nX-E:\nSubject: x\n\nx\n'),
  place('several actions', checks, 'X-Act: WARN one\nX-Act: FILTER a:b\nX-Act: FILTER c:d\nX-Act: BCC a@b.test\nX-Act: BCC c@d.test\nX-Act: HOLD\nX-Act: HOLD again\nX-Act: REDIRECT z@z.test\nX-Act: REJECT\n\nbody-act: REJECT\n'),
  place('nothing behind a refusal', checks, 'X-Act: REJECT\nMessage-ID: <2@x>\nX-Act: WARN not seen\n\nbody-act: WARN nor this\n'),
  place('a refused Message-ID', { header_checks: 'regexp:@etc@/id' }, 'Message-ID: <2@x>\nSubject: x\n\ny\n'),
  place('discarded, then refused', checks, 'X-Act: DISCARD\nX-Act: REJECT\n\nx\n'),
  place('hold and discard', checks, 'X-Act: HOLD\nX-Act: DISCARD\nX-Act: HOLD\n\nx\n'),
];

const strict = { strict_8bitmime: 'yes' };
const convert = { force_mime_input_conversion: 'yes' };
const eight = 'Content-Transfer-Encoding: 8bit\n';

const mime: PairCase[] = [
  place('8 bit in a header', strict, 'Subject: caf\xe9\n\nx\n'),
  place('8 bit in a header of a part', strict, parts('Content-Description: caf\xe9\n\nx')),
  place('8 bit in a header, only headers', { strict_7bit_headers: 'yes' }, 'Subject: caf\xe9\n\ncaf\xe9\n'),
  place('8 bit in a body, only headers', { strict_7bit_headers: 'yes' }, 'Subject: cafe\n\ncaf\xe9\n'),
  place('8 bit in a body', { strict_8bitmime_body: 'yes' }, 'Subject: caf\xe9\n\ncaf\xe9\n'),
  place('8 bit in a body that says so', { strict_8bitmime_body: 'yes' }, `${eight}Subject: x\n\ncaf\xe9\n`),
  place('8 bit in a part that does not say so', { strict_8bitmime_body: 'yes' }, `${eight}${parts('Content-Type: text/plain\n\ncaf\xe9')}`),
  place('8 bit in a part that says so', { strict_8bitmime_body: 'yes' }, parts(`${eight}\ncaf\xe9`)),
  place('both', strict, 'Subject: caf\xe9\n\ncaf\xe9\n'),
  place('encoded multipart', { strict_mime_encoding_domain: 'yes' }, `Content-Transfer-Encoding: base64\n${parts('\nx')}`),
  place('encoded message', { strict_mime_encoding_domain: 'yes' }, 'Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nA: 1\n\nx\n'),
  place('8-bit partial', { strict_mime_encoding_domain: 'yes' }, `Content-Type: message/partial\n${eight}\nA: 1\n\nx\n`),
  place('8-bit multipart', { strict_mime_encoding_domain: 'yes' }, `${eight}${parts('\nx')}`),
  place('strict, but not filtered', { ...strict, receive_override_options: 'no_header_body_checks' }, 'Subject: caf\xe9\n\ncaf\xe9\n'),
  place('strict, but MIME is not looked at', { ...strict, disable_mime_input_processing: 'yes' }, 'Subject: caf\xe9\n\ncaf\xe9\n'),
  place('nested too deeply, not asked', { mime_nesting_limit: '2' }, deep(8)),
  place('nested too deeply', { mime_nesting_limit: '2', strict_8bitmime: 'yes' }, deep(8)),
  place('nested too deeply, tables', { mime_nesting_limit: '2', header_checks: 'regexp:@etc@/acts' }, deep(8)),
  place('nested deeply enough', { mime_nesting_limit: '2', header_checks: 'regexp:@etc@/acts' }, deep(3)),
  place('a boundary that is cut', { mime_boundary_length_limit: '3', ...checks }, parts('X-Act: WARN part\n\nx\n--bcdE--\ny\n--bcdefgh\nX-Act: WARN other\n\nz', 'multipart/mixed; boundary=bcdefgh')),
  place('8 bit becomes quoted-printable', convert, `${eight}Subject: x\n\ncaf\xe9 = \nplain \n${'long \xe9 '.repeat(400)}\n\n.\n`),
  place('8-bit parts become quoted-printable', convert, parts(`${eight}Content-Type: text/plain\n\ncaf\xe9\n\tx`)),
  place('an 8-bit multipart becomes 7bit', convert, `${eight}${parts(`${eight}\ncaf\xe9`)}`),
  place('an 8-bit message becomes 7bit', convert, `Content-Type: message/rfc822\n${eight}\nSubject: x\n${eight}\ncaf\xe9\n`),
  place('a global message is encoded', convert, `Content-Type: message/global\n${eight}\nSubject: caf\xc3\xa9\n${eight}\ncaf\xe9\n`),
  place('7bit is left alone', convert, 'Content-Transfer-Encoding: 7bit\n\ncaf\xe9\n'),
  place('converted, and checked', { ...convert, ...checks }, `X-Act: WARN x\n${eight}\nbody-act: WARN caf\xe9 ${'y'.repeat(100)}\n`),
  place('converted for all, filtered or not', { ...convert, receive_override_options: 'no_header_body_checks' }, `${eight}\ncaf\xe9\n`),
  place('binary', convert, 'Content-Transfer-Encoding: binary\n\na\0b\xff\n'),
  place('encoding is found out', {}, 'Content-Transfer-Encoding: 8BIT\n\ncaf\xe9\n'),
  place('binary counts as 8 bit', {}, 'Content-Transfer-Encoding:binary\n\ncaf\xe9\n'),
  place('encoding with a blank behind it', {}, 'Content-Transfer-Encoding: 8bit \n\ncaf\xe9\n'),
  place('encoding of a part', {}, parts(`${eight}\ncaf\xe9`)),
  place('encoding of a nested message', {}, parts(`Content-Type: message/rfc822\n\nSubject: x\n${eight}\ncaf\xe9`)),
  place('encoding of a part, MIME not looked at', { disable_mime_input_processing: 'yes' }, parts(`${eight}\ncaf\xe9`)),
  place('encoding is not looked for', { detect_8bit_encoding_header: 'no' }, `${eight}\ncaf\xe9\n`),
  place('8-bit header of a part', {}, parts('Content-Disposition: attachment; filename="caf\xc3\xa9"\n\nx')),
  place('blanks before the colon in a part', {}, parts('Content-Type  : text/plain\nX-Foo\t:bar\n\nx')),
  place('a long header in a part', {}, parts(`X-Long: ${'a '.repeat(3000)}\n${' more\n'.repeat(3)}X-B: 2\n\nx`)),
  place('a header beyond the limit in a part', { header_size_limit: '3000' }, parts(`X-Long: ${'a'.repeat(5000)}\n${` ${'more'.repeat(100)}\n`.repeat(9)}X-B: 2\n\nx`)),
  place('a NUL in a header of a part', {}, parts('X-A: 1\0 2\nX-B\0: 2\n\nx')),
  place('no empty line in a part', {}, parts('X-A : 1\nno header\nX-B : 2')),
  place('dashes that are no boundary', {}, parts('\n-\n--\n---\n--c\n--\n-b\n- -b\nx--b\nX-A : 1')),
  place('boundaries that go on', {}, parts('\nx\n--bb\nX-A : 1\n\n--b \nX-B : 2\n\n--b--more\nX-C : 3\n')),
  place('two boundaries', {}, 'Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--a\nX-A : 1\n\n--b\nX-B : 2\n\nx\n--a--\n--b\nX-C : 3\n\n'),
  place('an empty boundary', {}, 'Content-Type: multipart/mixed; boundary=""\n\n--\nX-A : 1\n\n--x\nX-B : 2\n\nx\n----\nX-C : 3\n\n'),
  place('a quoted boundary over two lines', {}, 'Content-Type: multipart/mixed; boundary="b \n c"\n\n--b c\nX-A : 1\n\n--b\n c\nX-B : 2\n\n'),
  place('a digest', {}, parts('\nX-A : 1\nSubject : inner\n\nx', 'multipart/digest; boundary=b')),
  place('parts within parts', {}, parts(`Content-Type: multipart/alternative; boundary=c\n\n--c\nX-A : 1\n\n--b\nX-B : 2\n\n--c\nX-C : 3\n`)),
  place('a message without an empty line', {}, 'Subject: x\nno header here\nX-A : 1\n'),
  place('a header that is added', { non_empty_end_of_header_action: 'add_header' }, 'Subject: x\nno header here\nX-A : 1\n'),
  place('refused without an empty line', { non_empty_end_of_header_action: 'reject' }, 'Subject: x\nno header here\nX-A : 1\n'),
  place('with an empty line', { non_empty_end_of_header_action: 'reject' }, 'Subject: x\n\nX-A : 1\n'),
  place('unfiltered without an empty line', { non_empty_end_of_header_action: 'reject', receive_override_options: 'no_header_body_checks' }, 'Subject: x\nno header here\n'),
  place('headers without a body', {}, 'Subject: x\n'),
  place('headers without a body, mime', { non_empty_end_of_header_action: 'reject', ...strict, ...checks }, 'Subject: x\n'),
  place('nothing at all', {}, ''),
  place('an empty line', {}, '\n'),
];

function deep(levels: number): string {
  let text = 'Subject: deep\n';
  for (let level = 0; level < levels; level++) text += `Content-Type: multipart/mixed; boundary=b${level}x\n\n--b${level}x\nX-A : ${level}\n`;
  return `${text}\nend\n`;
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

const characters: PairCase[] = [
  place('refused characters', { message_reject_characters: '\\0' }, 'Subject: x\n\na\0b\nc\n'),
  place('refused characters in a header', { message_reject_characters: '\\0' }, 'Subject: x\0y\n\nb\n'),
  place('refused characters, not filtered', { message_reject_characters: '\\0', receive_override_options: 'no_header_body_checks' }, 'Subject: x\n\na\0b\n'),
  place('stripped characters', { message_strip_characters: '\\0x\\177' }, 'Subject: axb\0c\n\na\0b\x7fcx\nxxx\n'),
  place('stripped until nothing is left', { message_strip_characters: 'x' }, 'Subject: a\nxxx\nX-B: 1\n\nb\n'),
  place('stripped, then checked', { message_strip_characters: '-', ...checks }, 'X--Act: WARN a-b\nXAct: REJECT\n\nbody-act: REJECT\n'),
  place('not stripped', { message_strip_characters: 'x', receive_override_options: 'no_header_body_checks' }, 'Subject: axb\n\naxb\n'),
  place('letters and octals', { message_reject_characters: '\\t\\101' }, 'Subject: x\n\nb A\n'),
  place('stray CR', { smtpd_forbid_bare_newline: 'normalize', smtpd_forbid_bare_newline_exclusions: '' }, bytes('Subject: a\rb\r\n\r\nc\rd\r\r\n\re\r\n.\r\n')),
  place('stray CR that stays', { cleanup_replace_stray_cr_lf: 'no', smtpd_forbid_bare_newline: 'normalize', smtpd_forbid_bare_newline_exclusions: '' }, bytes('Subject: a\rb\r\n\r\nc\rd\r\r\n\re\r\n.\r\n')),
  ...Object.entries<NonNullable<PairCase['settings']>>({
    'no checks': { smtpd_forbid_bare_newline: 'no' }, 'an excluded client': { smtpd_forbid_bare_newline: 'normalize', smtpd_forbid_bare_newline_exclusions: '127.0.0.1' },
    checked: { smtpd_forbid_bare_newline: 'normalize', smtpd_forbid_bare_newline_exclusions: '' },
  }).map(([what, rule]) => place(`several CRs end a line: ${what}`, rule, bytes('Subject: x\r\r\nX-B: y\r\r\r\n\r\nbo\r\rdy\r\r\nmore\r\r\r\r\nplain\r\n\r\r\nlast\r\n.\r\n'))),
  place('blanks before colons', {}, 'Subject : x\nX-A  \t:y\nTo\t: a, b\nContent-Type : multipart/mixed; boundary=b\n\n--b\nX-C : 1\n\nbody : z\n--b--\n'),
  place('stray CR, not filtered', { smtpd_forbid_bare_newline: 'normalize', smtpd_forbid_bare_newline_exclusions: '', receive_override_options: 'no_header_body_checks' }, bytes('Subject: a\rb\r\n\r\nc\rd\r\n.\r\n')),
  place('8-bit bytes and invalid UTF-8', {}, bytes('Subject: \xff\xfe\xc3\r\nX-\xe9: 1\r\n\r\n\x80\xff\xc3(\xa0\r\n.\r\n')),
  place('NULs', {}, bytes('Subject: a\0b\r\nX: \0\r\n y\0z\r\n\r\n\0\r\na\0b\r\n.\r\n')),
  place('a NUL where a header begins', {}, bytes('Subject: a\r\n\0X: y\r\nZ: 1\r\n\r\nx\r\n.\r\n')),
  place('a NUL where a header goes on', {}, bytes('Subject: a\r\n \0y\r\n\t\r\nZ: 1\r\n\r\nx\r\n.\r\n')),
  place('controls in a header', {}, bytes('Subject: a\x01\x1b\x7fb\r\nX\x01: 1\r\n\r\nx\r\n.\r\n')),
  place('lines of just the limit', {}, `Subject: x\n\n${'a'.repeat(2047)}\n${'b'.repeat(2048)}\n${'c'.repeat(2049)}\n${'d'.repeat(4096)}\n`),
  place('lines of the limit with MIME', {}, parts(`\n${'a'.repeat(2047)}\n${'b'.repeat(2048)}\n--${'c'.repeat(2049)}\n${'d'.repeat(4096)}`)),
];

const heads: PairCase[] = [
  place('a long header', {}, `X-A: ${'a'.repeat(10_000)}\nX-B: 2\n\nx\n`),
  place('a header beyond the limit', { header_size_limit: '1000' }, `X-A: ${'a'.repeat(10_000)}\nX-B: 2\n\nx\n`),
  place('a folded header beyond the limit', { header_size_limit: '1000' }, `X-A: ${'a'.repeat(60)}\n${` ${'b'.repeat(69)}\n`.repeat(30)}X-B: 2\n\nx\n`),
  place('a folded header just beyond', { header_size_limit: '1000' }, `X-A: ${'a'.repeat(890)}\n ${'b'.repeat(300)}\n c\nX-B: 2\n\nx\n`),
  place('a folded header cut at a line', { header_size_limit: '1000' }, `X-A: ${'a'.repeat(940)}\n ${'b'.repeat(300)}\n c\nX-B: 2\n\nx\n`),
  place('a name beyond the line limit', {}, `${'N'.repeat(2100)}: a\nX-B: 2\n\nx\n`),
  place('a name at the line limit', {}, `${'N'.repeat(2047)}: a\nX-B: 2\n\nx\n`),
  place('headers that are dropped', {}, 'Bcc: a@b\nResent-Bcc: a@b\nContent-Length: 5\nReturn-Path: <x@y>\nbCC : a\nSubject: s\n\nx\n'),
  place('headers of one\'s own that are dropped', { message_drop_headers: 'x-secret, Subject, content-type, received' }, 'X-Secret: a\nx-secret : b\nSubject: s\nContent-Type: text/plain\nReceived: x\nBcc: b@c\n\nx\n'),
  place('nothing is dropped', { message_drop_headers: '' }, 'Bcc: a@b\nReturn-Path: <x@y>\nContent-Length: 5\n\nx\n'),
  place('a resent message', {}, 'Resent-From: a\nFrom: b\nTo: c\nReturn-Path: x\nMessage-ID: <1@x>\n\nx\n'),
  place('a resent message with its headers', {}, 'Resent-From: a\nResent-Message-ID: <r@x>\nResent-Date: d\nResent-To: e\n\nx\n'),
  place('resent, dropped', {}, 'Resent-Bcc: a\n\nx\n'),
  place('message ids', {}, 'Message-ID:  <a<b>c@x> y\nMessage-Id: <2@x>\n\nx\n'),
  place('a folded message id', {}, 'Message-ID:\n <a@x>\n\nx\n'),
  place('a message id that is none', {}, 'Message-ID: none\n\nx\n'),
  place('an open message id', {}, 'Message-ID: <open\n\nx\n'),
  place('an empty message id', {}, 'Message-ID:\n\nx\n'),
  place('an 8-bit message id', {}, 'Message-ID: <caf\xe9@x>\n\nx\n'),
  place('TLS not required', {}, 'TLS-Required: No\n\nx\n'),
  place('TLS required in another way', {}, 'TLS-Required: yes\nTLS-Required: no \n\nx\n'),
  place('too many hops', { hopcount_limit: '5' }, `${'Received: from x\n'.repeat(5)}Message-ID: <1@x>\n\nx\n`),
  place('as many hops as may be', { hopcount_limit: '5' }, `${'Received: from x\n'.repeat(3)}\nx\n`),
  place('hops in a nested message do not count', { hopcount_limit: '5' }, parts(`Content-Type: message/rfc822\n\n${'Received: from x\n'.repeat(9)}\nx`)),
  place('recipients undisclosed', { undisclosed_recipients_header: 'To: undisclosed-recipients:;' }, 'Subject: x\n\nx\n'),
  place('recipients undisclosed badly', { undisclosed_recipients_header: 'no header' }, 'Subject: x\n\nx\n'),
  place('recipients seen', { undisclosed_recipients_header: 'To: undisclosed-recipients:;' }, 'Cc: x\n\nx\n'),
  place('Apparently-To does not count', { undisclosed_recipients_header: 'To: undisclosed-recipients:;' }, 'Apparently-To: x\nBcc: y\n\nx\n'),
  place('a stranger\'s message is left alone', { local_header_rewrite_clients: '' }, 'Subject: x\nTo: bob\n\nx\n'),
  place('a stranger\'s message is completed', { local_header_rewrite_clients: '', always_add_missing_headers: 'yes' }, 'Subject: x\nTo: bob\n\nx\n'),
  place('a stranger\'s domain', { local_header_rewrite_clients: '', remote_header_rewrite_domain: 'domain.invalid' }, 'Subject: x\nTo: bob\nReturn-Path: z\n\nx\n'),
  place('the null sender', {}, 'Subject: x\n\nx\n'),
  { name: 'mail of nobody', sender: '', message: 'Subject: x\n\nx\n' },
  { name: 'mail of nobody refused', sender: '', settings: checks, message: 'X-Act: REJECT\n\nx\n' },
  { name: 'an odd sender', sender: '"a b"@x.test', recipients: ['"c d"@y.test', 'e@f.test'], settings: checks, message: 'X-Act: WARN\n\nx\n' },
  { name: 'an odd sender, internal form', sender: '"a b"@x.test', recipients: ['"c d"@y.test'], settings: { ...checks, info_log_address_format: 'internal' }, message: 'X-Act: WARN\n\nx\n' },
  { name: 'a message for 8BITMIME', sender: 'a@b.test> BODY=8BITMIME', message: 'Subject: x\n\ncaf\xe9\n' },
  { name: 'copies for one and all', settings: { ...checks, always_bcc: 'all@b.test' }, message: 'X-Act: BCC one@b.test\nX-Act: BCC all@b.test\nX-Act: BCC you@there.test\n\nx\n' },
  { name: 'a copy when tables may not', settings: { ...checks, receive_override_options: 'no_address_mappings' }, message: 'X-Act: BCC one@b.test\n\nx\n' },
];

const big = { message_size_limit: '0', header_checks: 'regexp:@etc@/acts', mime_header_checks: '', nested_header_checks: '' };
const many = (levels: number): string => Array.from({ length: levels }, (_, level) => `Content-Type: multipart/mixed; boundary="b${level}"\n\n--b${level}\n`).join('');

const extremes: PairCase[] = [
  place('a header of 10 MB', big, `X-A: ${'x'.repeat(10_000_000)}\nX-B: 1\n\nbody\n`),
  place('a folded header of 10 MB', big, `X-A: y\n${` ${'x'.repeat(70)}\n`.repeat(140_000)}X-B: 1\n\nbody\n`),
  place('20,000 headers', big, `${'X-A: y\n'.repeat(20_000)}\nbody\n`),
  place('50,000 continuation lines', big, `X-A: y\n${' z\n'.repeat(50_000)}X-B: 1\n\nbody\n`),
  place('parts 10,000 deep', { message_size_limit: '0' }, many(10_000)),
  place('parts 10,000 deep, and tables', big, many(10_000)),
  place('a boundary of 70 kB', big, `Content-Type: multipart/mixed; boundary="${'b'.repeat(70_000)}"\n\n--${'b'.repeat(70_000)}\nX-C : 1\n\nx\n--${'b'.repeat(70_000)}--\n`),
  place('a boundary of 70 kB with room for it', { message_size_limit: '0', mime_boundary_length_limit: '100000' }, `Content-Type: multipart/mixed; boundary="${'b'.repeat(70_000)}"\n\n--${'b'.repeat(70_000)}\nX-C : 1\n\nx\n`),
  place('addresses without end', big, `To: a@b.test${',\n c@d.test'.repeat(20_000)}\nX-B: 1\n\nbody\n`),
];

/** What Debian 12's Postfix does not have: it takes a newer one to compare these. */
const newer = [
  /^8 bit becomes|^8-bit parts become|^an 8-bit m|^a global|^converted|^binary$/, /^a header that is added|^refused without/, /^TLS /, /full name beyond/, /REJECT [45]\.7\.1$/,
];

export const isNewer = ({ name }: PairCase): boolean => newer.some((pattern) => pattern.test(name));

export const contentCases: readonly PairCase[] = [...actions.map(inHeader), ...actions.map(inBody), ...inParts, ...lookups, ...mime, ...characters, ...heads, ...extremes];

export const localSettings = { ...checks, full_name_encoding_charset: 'utf-8', strict_7bit_headers: 'yes', body_checks_size_limit: '0' };

const local = (name: string, message: string, ...words: string[]): PairCase => ({ name: `local: ${name}`, settings: localSettings, sendmail: ['-i', '-f', 'me@client.test', ...words, 'you@there.test'], message });

export const localCases: readonly PairCase[] = [
  local('accepted', 'Subject: x\n\nbody\n'),
  local('a full name', 'Subject: x\n\nbody\n', '-F', 'Joe (the) User, Jr.'),
  local('a full name beyond ASCII', 'Subject: x\n\nbody\n', '-F', 'Jos\xc3\xa9 Caf\xc3\xa9'),
  local('warned', 'X-Act: WARN x\n\nbody-act: INFO y\n'),
  local('held', 'X-Act: HOLD x\n\nbody\n'),
  local('discarded', 'X-Act: DISCARD x\n\nbody\n'),
  local('CR within lines', 'Subject: a\rb\n\nc\rd\n'),
  local('NUL and 8 bit', 'Subject: a\0b\n\nc\0d\xff\n'),
  local('redirected', 'X-Act: REDIRECT a@b.test\nX-Act: BCC c@d.test\n\nc\n'),
];
