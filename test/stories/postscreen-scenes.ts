/**
 * Clients of postscreen(8), each with an address and a service of its own: what they say, and with which settings. Played on our
 * postscreen and on Debian's; what is heard and what is logged must be the same.
 */

/** Say lines (`!` in front: bytes as they are), wait for a reply or for the end, for a while, or hang up. */
export type Act =
  | { readonly say: string }
  | { readonly hear: true }
  | { readonly pause: number }
  | { readonly tls: true }
  | { readonly hangUp: true };

export interface Visit {
  readonly acts: readonly Act[];
}

export interface Scene {
  readonly name: string;
  /** Of the client: 127.0.77.`client`. */
  readonly client: number;
  readonly settings: Readonly<Record<string, string>>;
  /** One after the other. */
  readonly visits: readonly (readonly Act[])[];
  /** All at once instead. */
  readonly together?: true;
  /** Why the releases differ, when they do: Debian's is older. Only what is heard is compared then, not the log. */
  readonly logDiffers?: string;
}

export const say = (text: string): Act => ({ say: `${text}\r\n` });
export const raw = (text: string): Act => ({ say: text });
export const hear: Act = { hear: true };
export const hangUp: Act = { hangUp: true };
export const pause = (seconds: number): Act => ({ pause: seconds });
const tls: Act = { tls: true };

/** Say, and hear the reply. */
const each = (...lines: readonly string[]): Act[] => lines.flatMap((line) => [say(line), hear]);
const mail = each('EHLO client.example', 'MAIL FROM:<sender@example.org>', 'RCPT TO:<someone@example.net>', 'QUIT');
const polite: readonly Act[] = [hear, ...mail];

const deep = { postscreen_pipelining_enable: 'yes', postscreen_non_smtp_command_enable: 'yes', postscreen_bare_newline_enable: 'yes' };
const noGreet = { postscreen_greet_banner: '' };
const dummy = { ...noGreet, ...deep };
/** Programs that ask lists have to be started first. */
const lists = { ...noGreet, postscreen_dnsbl_threshold: '2', postscreen_greet_wait: '20s' };

export const scenes: readonly Scene[] = [
  { name: 'a client that waits is new, then old', client: 1, settings: {}, visits: [polite, polite] },
  { name: 'talk before the greeting: drop', client: 2, settings: { postscreen_greet_action: 'drop' }, visits: [[say('EHLO early'), hear, hear]] },
  { name: 'talk before the greeting: enforce', client: 3, settings: { postscreen_greet_action: 'enforce' }, visits: [[say('HELO early'), hear, ...each('MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.org>', 'QUIT')]] },
  { name: 'talk before the greeting: ignored, and nothing is lost', client: 4, settings: { postscreen_greet_action: 'ignore' }, visits: [[say('NOOP early'), hear, hear, ...each('EHLO x', 'QUIT')]] },
  { name: 'bytes that are no text before the greeting', client: 5, settings: { postscreen_greet_action: 'drop' }, visits: [[raw(`\x16\x03\x01\\"\xff${'x'.repeat(200)}`), hear, hear]] },
  { name: 'no teaser, no pregreet test', client: 6, settings: noGreet, visits: [polite] },
  { name: 'a teaser of its own', client: 7, settings: { postscreen_greet_banner: 'wait please' }, visits: [[hear, ...each('QUIT')]] },
  { name: 'hangs up while it waits', client: 8, settings: {}, visits: [[pause(0.3), hangUp]] },
  { name: 'listed: drop', client: 9, settings: { ...lists, postscreen_dnsbl_sites: 'black.test*2', postscreen_dnsbl_action: 'drop' }, visits: [[hear, hear]] },
  { name: 'listed: enforce', client: 10, settings: { ...lists, postscreen_dnsbl_sites: 'black.test*2, grey.test', postscreen_dnsbl_action: 'enforce' }, visits: [polite] },
  { name: 'listed: ignored', client: 11, settings: { ...lists, postscreen_dnsbl_sites: 'black.test*2', postscreen_dnsbl_action: 'ignore' }, visits: [polite] },
  { name: 'listed, but for another reason', client: 12, settings: { ...lists, postscreen_dnsbl_sites: 'black.test=127.0.0.[3;5..9]*2', postscreen_dnsbl_action: 'enforce' }, visits: [polite] },
  { name: 'weights add up', client: 13, settings: { ...lists, postscreen_dnsbl_sites: 'black.test=127.0.0.2, black.test=127.0.0.[1..3]*2, white.test*-2', postscreen_dnsbl_action: 'enforce', postscreen_dnsbl_threshold: '3' }, visits: [polite] },
  { name: 'a name that must not be shown', client: 14, settings: { ...lists, postscreen_dnsbl_sites: 'secret.black.test*2', postscreen_dnsbl_reply_map: 'inline:{secret.black.test=black.test}', postscreen_dnsbl_action: 'enforce' }, visits: [polite] },
  { name: 'good word of others lets in at once', client: 15, settings: { ...deep, postscreen_dnsbl_sites: 'white.test*-2', postscreen_dnsbl_allowlist_threshold: '-2', postscreen_greet_wait: '20s' }, visits: [polite] },
  { name: 'not enough good word', client: 16, settings: { ...noGreet, postscreen_dnsbl_sites: 'white.test*-1', postscreen_dnsbl_allowlist_threshold: '-2', postscreen_greet_wait: '20s' }, visits: [polite] },
  { name: 'deep tests passed: come back', client: 17, settings: dummy, visits: [polite, polite] },
  { name: 'all commands of the dummy engine', client: 18, settings: { ...dummy, postscreen_command_count_limit: '40' }, visits: [[hear, ...each('HELO', 'EHLO', 'MAIL FROM:<a@b>', 'RCPT TO:<a@b>', 'MAIL', 'MAIL FROM:<a@b>', 'MAIL FROM:<>', 'RCPT', 'RCPT TO:<@r,@s:"x y"@example.org>', 'RCPT TO:bare@example.org BODY=x', 'NOOP', 'RSET', 'VRFY', 'VRFY joe', 'ETRN', 'ETRN example.org', 'AUTH PLAIN', 'XCLIENT NAME=x', 'XFORWARD NAME=x', 'STARTTLS', 'HELP', 'BOGUS x', '', 'QUIT now')]] },
  { name: 'DATA ends it', client: 19, settings: dummy, visits: [[hear, ...each('DATA'), hear], [hear, ...each('MAIL FROM:<a@b>', 'DATA'), hear], [hear, ...each('DATA now'), hear]], logDiffers: 'a line about it is new' },
  { name: 'BDAT ends it', client: 20, settings: dummy, visits: [[hear, ...each('BDAT'), hear], [hear, ...each('MAIL FROM:<a@b>', 'BDAT 3 LAST'), hear], [hear, ...each('BDAT 3'), hear]], logDiffers: 'a line about it is new' },
  { name: 'pipelining: enforce', client: 21, settings: dummy, visits: [[hear, say('EHLO x'), hear, raw('MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n'), hear, hear, hear, hear]] },
  { name: 'pipelining: drop', client: 22, settings: { ...dummy, postscreen_pipelining_action: 'drop' }, visits: [[hear, raw('EHLO x\r\nMAIL FROM:<a@b>\r\n\\\x07'), hear, hear]] },
  { name: 'pipelining: ignored', client: 23, settings: { ...dummy, postscreen_pipelining_action: 'ignore' }, visits: [[hear, raw('EHLO x\r\nMAIL FROM:<a@b>\r\n'), hear, hear, ...each('RCPT TO:<c@d>', 'QUIT')]] },
  { name: 'a header where a command should be: drop', client: 24, settings: dummy, visits: [[hear, ...each('EHLO x', 'Subject: hello \tthere'), hear]] },
  { name: 'a web browser: enforce', client: 25, settings: { ...dummy, postscreen_non_smtp_command_action: 'enforce' }, visits: [[hear, ...each('GET / HTTP/1.1', 'EHLO x', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'QUIT')]] },
  { name: 'a header: ignored', client: 26, settings: { ...dummy, postscreen_non_smtp_command_action: 'ignore' }, visits: [[hear, ...each('From: x', 'EHLO x', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'QUIT')]] },
  { name: 'bare newline: ignored', client: 27, settings: dummy, visits: [[hear, raw('EHLO x\n'), hear, ...each('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'QUIT')]] },
  { name: 'bare newline: enforce', client: 28, settings: { ...dummy, postscreen_bare_newline_action: 'enforce' }, visits: [[hear, raw('EHLO x\n'), hear, ...each('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'QUIT')]] },
  { name: 'bare newline: drop', client: 29, settings: { ...dummy, postscreen_bare_newline_action: 'drop' }, visits: [[hear, raw('EHLO x\n'), hear, hear]] },
  { name: 'too many commands', client: 30, settings: { ...dummy, postscreen_command_count_limit: '3' }, visits: [[hear, ...each('NOOP', 'NOOP', 'NOOP', 'NOOP'), hear], [hear, ...each('NOOP', 'NOOP', 'NOOP', 'QUIT'), hear]] },
  { name: 'too long a command', client: 31, settings: dummy, visits: [[hear, raw('x'.repeat(2100)), hear, hear], [hear, raw(`NOOP ${'x'.repeat(2041)}\r\n`), hear, ...each('QUIT')]] },
  { name: 'too slow a command', client: 32, settings: { ...dummy, postscreen_command_time_limit: '5s' }, visits: [[hear, ...each('NOOP'), hear, hear]] },
  { name: 'HELO is required', client: 33, settings: { ...dummy, postscreen_helo_required: 'yes' }, visits: [[hear, ...each('MAIL FROM:<a@b>', 'ETRN example.org', 'HELO x', 'MAIL FROM:<a@b>', 'QUIT')]] },
  { name: 'VRFY is off', client: 34, settings: { ...dummy, disable_vrfy_command: 'yes' }, visits: [[hear, ...each('EHLO x', 'VRFY joe', 'QUIT')]] },
  { name: 'VRFY is off, and shown', client: 35, settings: { ...dummy, postscreen_disable_vrfy_command: 'yes' }, visits: [[hear, ...each('EHLO x', 'VRFY joe', 'QUIT')]] },
  { name: 'denied: enforce', client: 36, settings: { postscreen_access_list: 'inline:{127.0.77.36=reject}', postscreen_denylist_action: 'enforce' }, visits: [polite] },
  { name: 'denied: drop', client: 37, settings: { postscreen_access_list: 'inline:{127.0.77.37=reject}', postscreen_denylist_action: 'drop' }, visits: [[hear, hear]] },
  { name: 'denied: ignored', client: 38, settings: { ...noGreet, postscreen_access_list: 'inline:{127.0.77.38=reject}', postscreen_denylist_action: 'ignore' }, visits: [polite] },
  { name: 'allowed', client: 39, settings: { postscreen_access_list: 'permit_mynetworks, reject', mynetworks: '127.0.77.39' }, visits: [polite] },
  { name: 'a list that makes no sense decides nothing', client: 40, settings: { ...noGreet, postscreen_access_list: 'inline:{127.0.77.40=perhaps}, reject' }, visits: [polite] },
  { name: 'a backup address lets nobody in', client: 41, settings: { postscreen_allowlist_interfaces: '!127.0.0.1, static:all' }, visits: [polite] },
  { name: 'words of earlier releases', client: 42, settings: { respectful_logging: 'no', postscreen_access_list: 'inline:{127.0.77.42=reject}', postscreen_denylist_action: 'drop' }, visits: [[hear, hear]] },
  { name: 'a footer', client: 43, settings: { ...dummy, postscreen_reject_footer: '\\\\c. Ask at $server_name\\nquote [$client_address]' }, visits: [polite] },
  { name: 'a footer for one reply', client: 44, settings: { ...dummy, postscreen_reject_footer_maps: 'regexp:{{/^450/ come back}}' }, visits: [[hear, ...each('MAIL', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'QUIT')]] },
  { name: 'soft bounce', client: 45, settings: { ...dummy, soft_bounce: 'yes', postscreen_access_list: 'inline:{127.0.77.45=reject}', postscreen_denylist_action: 'enforce' }, visits: [polite] },
  { name: 'hidden keywords', client: 46, settings: { ...dummy, postscreen_discard_ehlo_keywords: 'vrfy, etrn, CHUNKING, nonsense', smtputf8_enable: 'no', message_size_limit: '0', mailbox_size_limit: '0' }, visits: [[hear, ...each('EHLO x', 'BDAT 3'), hear]], logDiffers: 'a line about BDAT is new' },
  { name: 'keywords hidden from one client', client: 47, settings: { ...dummy, postscreen_discard_ehlo_keyword_address_maps: 'inline:{{127.0.77.47=dsn, 8bitmime}}' }, visits: [[hear, ...each('EHLO x', 'QUIT')]], logDiffers: 'the names stand with commas between them' },
  { name: 'a command filter', client: 48, settings: { ...dummy, postscreen_command_filter: 'regexp:{{/^(HELO +[^ ]+).*/ $$1} {/^X/ NOOP}}' }, visits: [[hear, ...each('HELO x y z', 'XYZZY', 'QUIT')]] },
  { name: 'hangs up in the dummy engine', client: 49, settings: dummy, visits: [[hear, ...each('EHLO x'), hangUp]] },
  { name: 'too many sessions of one client', client: 50, settings: { postscreen_client_connection_count_limit: '1', postscreen_greet_wait: '2s' }, visits: [[hear, pause(0.8), hangUp], [pause(0.4), hear, hear]], together: true },
  { name: 'a NUL in a command', client: 51, settings: dummy, visits: [[hear, raw('NOOP\0 x\r\n'), hear, raw('EHLO a\0b\r\n'), hear, ...each('QUIT')]] },
  { name: 'one list is enough', client: 52, settings: { ...lists, postscreen_dnsbl_sites: 'grey.test', postscreen_dnsbl_threshold: '1', postscreen_dnsbl_action: 'enforce' }, visits: [polite] },
  { name: 'STARTTLS', client: 53, settings: { ...dummy, postscreen_tls_security_level: 'may' }, visits: [[hear, ...each('EHLO x', 'STARTTLS'), tls, ...each('MAIL FROM:<a@b>', 'RCPT TO:<a@b>', 'EHLO x', 'STARTTLS', 'QUIT'), hear]] },
  { name: 'TLS is required', client: 54, settings: { ...dummy, postscreen_tls_security_level: 'encrypt' }, visits: [[hear, ...each('EHLO x', 'MAIL FROM:<a@b>', 'NOOP', 'QUIT')]] },
  { name: 'deep tests for a client that failed already', client: 55, settings: { postscreen_access_list: 'inline:{127.0.77.55=reject}', postscreen_denylist_action: 'enforce', ...noGreet }, visits: [[hear, raw('EHLO x\r\nFoo: bar\r\n'), hear, hear]] },
];
