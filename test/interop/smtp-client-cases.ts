/** What a server may say, and when: the cases in which our client is compared with that of Debian's Postfix. */
import type { Script } from '../../src/daemons/smtp/fake-server.ts';

export interface ClientCase {
  readonly name: string;
  readonly script: Script;
  /** Options of the master.cf row. */
  readonly options?: readonly string[];
  readonly lmtp?: boolean;
  /** Local parts; one otherwise. */
  readonly recipients?: readonly string[];
  readonly text?: string;
  /** Parameters behind MAIL. */
  readonly mail?: string;
  /** Parameters behind each RCPT. */
  readonly rcpt?: string;
  /** What of it may differ: how much was said before the server hung up, or (`softer`) we defer what Postfix returns. */
  readonly differs?: 'commands' | 'softer';
}

const plain = '250-server.example\r\n250-SIZE\r\n250-8BITMIME\r\n250 DSN';
const pipelining = '250-server.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN';

/** Replies that mean something, or nothing, at every stage. */
const replies: readonly (readonly [name: string, reply: string])[] = [
  ['4xx with status', '450 4.7.1 try again later'],
  ['4xx alone', '451 later'],
  ['5xx with status', '550 5.7.1 go away'],
  ['5xx alone', '554 no'],
  ['421', '421 4.3.2 shutting down'],
  ['a status that contradicts', '550 4.2.2 which'],
  ['several lines', '550-5.7.1 first line\r\n550-5.7.1 second line\r\n550 5.7.1 third line'],
  ['yes, then no', '250-2.1.0 fine\r\n550 5.7.1 no'],
  ['no, then yes', '550-5.7.1 no\r\n250 2.1.0 fine'],
  ['yes, then later', '250-2.1.0 fine\r\n450 4.7.1 not now'],
  ['only a code', '550'],
  ['code and dash, then the end', '550-5.7.1 first\r\n550 '],
  ['999', '999 what is this'],
  ['100', '100 wait'],
  ['hung up', 'CLOSE'],
  ['no code, then a refusal', 'hello there\r\n550 5.7.1 no'],
  ['control characters', '550 5.7.1 \x07bell\x1b[31m\ttab'],
  ['8-bit text', '550 5.7.1 caf\xe9'],
];

const stages: readonly (readonly [stage: string, where: (reply: string) => Script])[] = [
  ['greeting', (reply) => ({ greeting: reply })],
  ['EHLO', (reply) => ({ replies: { EHLO: reply } })],
  ['EHLO and HELO', (reply) => ({ replies: { EHLO: reply, HELO: reply } })],
  ['MAIL', (reply) => ({ replies: { EHLO: plain, MAIL: reply } })],
  ['RCPT', (reply) => ({ replies: { EHLO: plain, RCPT: reply } })],
  ['DATA', (reply) => ({ replies: { EHLO: plain, DATA: reply } })],
  ['dot', (reply) => ({ replies: { EHLO: plain }, dots: [reply] })],
  ['MAIL, pipelining', (reply) => ({ replies: { EHLO: pipelining, MAIL: reply } })],
  ['RCPT, pipelining', (reply) => ({ replies: { EHLO: pipelining, RCPT: reply } })],
  ['DATA, pipelining', (reply) => ({ replies: { EHLO: pipelining, DATA: reply } })],
];

const everywhere: ClientCase[] = stages.flatMap(([stage, where]) => replies.map(([name, reply]) => ({
  name: `${stage}: ${name}`, script: where(reply),
  // A greeting of nonsense says nothing about the mail.
  ...(stage === 'greeting' && name === '999' ? { differs: 'softer' as const } : {}),
})));

const two = ['one', 'two'] as const;
const dotCases = (ehlo: string): Script => ({ replies: { LHLO: ehlo, EHLO: ehlo }, perRecipient: true });
const lmtp: ClientCase[] = [
  ...replies.filter(([name]) => name !== 'no code, then a refusal').flatMap(([name, reply]) => [
    { name: `LMTP greeting: ${name}`, lmtp: true, script: { greeting: reply }, ...(name === '999' ? { differs: 'softer' as const } : {}) },
    { name: `LMTP LHLO: ${name}`, lmtp: true, script: { replies: { LHLO: reply } } },
    { name: `LMTP dot, second of two: ${name}`, lmtp: true, recipients: two, script: { ...dotCases('250 server.example'), dots: ['250 2.0.0 stored', reply] } },
    { name: `LMTP dot, first of two: ${name}`, lmtp: true, recipients: two, script: { ...dotCases('250-server.example\r\n250 PIPELINING'), dots: [reply, '250 2.0.0 stored'] } },
    ...(['MAIL', 'RCPT', 'RCPT TO:<two', 'DATA'] as const).flatMap((command) => ['250 server.example', '250-server.example\r\n250 PIPELINING'].map((hello) => (
      { name: `LMTP ${command}${hello.includes('PIPE') ? ', pipelining' : ''}: ${name}`, lmtp: true, recipients: two, script: { ...dotCases(hello), replies: { LHLO: hello, [command]: reply } } }
    ))),
  ]),
  { name: 'LMTP: hung up in the middle of the content', lmtp: true, recipients: two, script: { ...dotCases('250 server.example'), hangUp: { after: 10, say: '' } }, text: `Subject: x\n\n${'line of text\n'.repeat(20_000)}`, differs: 'commands' },
  ...(['lhlo', 'mail', 'rcpt', 'data_init', 'data_done'] as const).map((stage): ClientCase => {
    const hello = { LHLO: '250 server.example' };
    const scripts = { lhlo: { replies: { LHLO: '' } }, mail: { replies: { ...hello, MAIL: '' } }, rcpt: { replies: { ...hello, 'RCPT TO:<two': '' } }, data_init: { replies: { ...hello, DATA: '' } }, data_done: { replies: hello, dots: ['250 2.0.0 stored', ''] } } as const;
    return { name: `LMTP: silent, lmtp_${stage}_timeout`, lmtp: true, recipients: two, script: { perRecipient: true, ...scripts[stage] }, options: [`lmtp_${stage}_timeout=1s`] };
  }),
  { name: 'LMTP: one of two refused at RCPT', lmtp: true, recipients: two, script: { ...dotCases('250 server.example'), replies: { LHLO: '250 server.example', 'RCPT TO:<two': '550 5.1.1 unknown' } } },
];

const eightBit = 'Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\nGr\xfc\xdfe = \xe4\n';
const others: ClientCase[] = [
  { name: 'taken', script: {} },
  { name: 'taken in several lines', script: { dots: ['250-2.0.0 first\r\n250 2.0.0 second'] } },
  { name: 'taken without a status', script: { dots: ['250 thanks'] } },
  { name: 'taken with a status of failure', script: { dots: ['250 5.0.0 thanks'] } },
  { name: '5xx greeting counts', script: { greeting: '554 5.7.1 no' }, options: ['smtp_skip_5xx_greeting=no'] },
  { name: 'HELO only', script: {}, options: ['smtp_never_send_ehlo=yes'] },
  { name: 'EHLO where the greeting says so', script: { greeting: '220 server.example ESMTP' }, options: ['smtp_always_send_ehlo=no'] },
  { name: 'HELO where the greeting does not', script: { greeting: '220 server.example SMTP' }, options: ['smtp_always_send_ehlo=no'] },
  { name: 'the answer to QUIT is waited for', script: {}, options: ['smtp_skip_quit_response=no'] },
  { name: 'another HELO name', script: {}, options: ['smtp_helo_name=other.example'] },
  { name: 'too large', script: { replies: { EHLO: '250-server.example\r\n250 SIZE 10' } }, differs: 'commands' },
  { name: 'no limit said', script: { replies: { EHLO: '250-server.example\r\n250 SIZE 0' } } },
  { name: 'a limit that is none', script: { replies: { EHLO: '250-server.example\r\n250 SIZE much' } } },
  { name: 'old form of keywords', script: { replies: { EHLO: '250-server.example\r\n250-SIZE=100000\r\n250 DSN' } } },
  { name: 'keywords ignored', script: { replies: { EHLO: pipelining } }, options: ['smtp_discard_ehlo_keywords=pipelining,dsn,size'] },
  { name: 'keywords ignored in silence', script: { replies: { EHLO: pipelining } }, options: ['smtp_discard_ehlo_keywords=pipelining,silent-discard'] },
  { name: 'our own name in the greeting', script: { greeting: '220 host.example.test ESMTP' } },
  { name: 'our own name in EHLO, not at port 25', script: { replies: { EHLO: '250 host.example.test' } } },
  { name: '8-bit mail for an old server', script: { replies: { EHLO: '250 server.example' } }, text: eightBit, mail: ' BODY=8BITMIME' },
  { name: '8-bit mail for an old server, as it is', script: { replies: { EHLO: '250 server.example' } }, text: eightBit, mail: ' BODY=8BITMIME', options: ['disable_mime_output_conversion=yes'] },
  { name: '8-bit mail', script: { replies: { EHLO: plain } }, text: eightBit, mail: ' BODY=8BITMIME' },
  { name: 'long lines', script: {}, text: `Subject: x\n\n${'x'.repeat(3000)}\n.\n..dots\n` },
  { name: 'long lines as they are', script: {}, text: `Subject: x\n\n${'x'.repeat(3000)}\nend\n`, options: ['smtp_line_length_limit=0'] },
  { name: 'short lines', script: {}, text: `Subject: x\n\n${'y'.repeat(240)}\n.${'z'.repeat(240)}\n`, options: ['smtp_line_length_limit=120'] },
  { name: 'two taken', script: {}, recipients: two },
  { name: 'one of two refused', script: { replies: { EHLO: pipelining, 'RCPT TO:<two': '550 5.1.1 unknown' } }, recipients: two },
  { name: 'one of two later', script: { replies: { EHLO: pipelining, 'RCPT TO:<two': '450 4.2.1 busy' } }, recipients: two },
  { name: 'one refused, one later', script: { replies: { EHLO: pipelining, 'RCPT TO:<one': '550 5.1.1 unknown', 'RCPT TO:<two': '450 4.2.1 busy' } }, recipients: two },
  { name: 'both refused, and RSET', script: { replies: { EHLO: plain, RCPT: '550 5.1.1 unknown', RSET: '500 what' } }, recipients: two },
  { name: 'too many recipients', script: { replies: { EHLO: plain, 'RCPT TO:<two': '452 4.5.3 too many' } }, recipients: two },
  { name: 'a quoted local part', script: {}, recipients: ['"a b"'] },
  { name: 'a quoted local part, as it is', script: {}, recipients: ['"a b"'], options: ['smtp_quote_rfc821_envelope=no'] },
  { name: 'an envelope id and notices', script: { replies: { EHLO: pipelining } }, mail: ' ENVID=QQ314 RET=HDRS', rcpt: ' NOTIFY=FAILURE,DELAY ORCPT=rfc822;bob@example.org' },
  { name: 'notices for a server without DSN', script: { replies: { EHLO: '250 server.example' } }, mail: ' ENVID=QQ314 RET=HDRS', rcpt: ' NOTIFY=FAILURE ORCPT=rfc822;bob@example.org' },
  { name: 'NOTIFY=NEVER and refused', script: { replies: { RCPT: '550 5.1.1 no' } }, rcpt: ' NOTIFY=NEVER' },
  { name: 'hung up in the middle of the content', script: { replies: { EHLO: plain }, hangUp: { after: 10, say: '' } }, text: `Subject: x\n\n${'line of text\n'.repeat(20_000)}`, differs: 'commands' },
  { name: 'silent at the greeting', script: { greeting: '' }, options: ['smtp_helo_timeout=1s'] },
  { name: 'silent at MAIL', script: { replies: { EHLO: plain, MAIL: '' } }, options: ['smtp_mail_timeout=1s'] },
  { name: 'silent at RCPT', script: { replies: { EHLO: plain, RCPT: '' } }, options: ['smtp_rcpt_timeout=1s'] },
  { name: 'silent at DATA', script: { replies: { EHLO: plain, DATA: '' } }, options: ['smtp_data_init_timeout=1s'] },
  { name: 'silent at the dot', script: { replies: { EHLO: plain }, dots: [''] }, options: ['smtp_data_done_timeout=1s'] },
  { name: 'a reply filter', script: { replies: { RCPT: '550 5.7.1 no' } }, options: ['smtp_reply_filter=regexp:FOLDER/reply-filter'] },
  { name: 'a delivery status filter', script: { replies: { RCPT: '550 5.7.1 no' } }, options: ['smtp_delivery_status_filter=static:{4.9.9 changed}'] },
  { name: 'a PIX', script: { greeting: '220 ****************2****' } },
  { name: 'a PIX with a name', script: { greeting: '220 *****2*****0', replies: { EHLO: pipelining } }, options: ['smtp_pix_workarounds='] },
  { name: 'generic addresses', script: {}, options: ['smtp_generic_maps=inline:{{s@sink.test = outside@isp.test}, {r@c.test = x@y.test}}'], text: 'From: Me <s@sink.test>\nTo: s@sink.test, other@else.test (Other)\nSubject: x\n\ns@sink.test\n' },
  { name: 'header checks', script: {}, options: ['smtp_header_checks=regexp:FOLDER/header-checks'], text: 'From: a@b.test\nSubject: x\nTo: x\nX-Old: 1\n\nx\n' },
  { name: 'a header check of no sense', script: {}, options: ['smtp_header_checks=regexp:FOLDER/bad-checks'], text: 'Subject: x\n\nx\n' },
  { name: 'body checks', script: {}, options: ['smtp_body_checks=inline:{{two = REPLACE zwei}, {three = IGNORE}, {four = WARN seen}}'], text: 'Subject: x\n\none\ntwo\nthree\nfour\n' },
  ...[
    ['refused at the greeting', { greeting: '421 4.3.2 later' }], ['a recipient later', { replies: { EHLO: pipelining, 'RCPT TO:<two': '450 4.2.1 busy' } }],
    ['a recipient never', { replies: { EHLO: pipelining, 'RCPT TO:<two': '550 5.1.1 unknown' } }], ['hung up at DATA', { replies: { EHLO: plain, DATA: 'CLOSE' } }],
    ['refused at the dot', { replies: { EHLO: plain }, dots: ['554 5.7.1 spam'] }],
  ].map(([name, script]) => ({ name: `a fallback relay: ${name as string}`, script: script as Script, recipients: two, options: ['smtp_fallback_relay=[127.0.0.1]:SINK'] })),
  { name: 'a fallback relay that is away', script: { greeting: '450 4.3.2 later' }, options: ['smtp_fallback_relay=[127.0.0.1]:1'] },
  { name: 'XFORWARD', script: { replies: { EHLO: '250-server.example\r\n250 XFORWARD NAME ADDR PROTO HELO SOURCE', XFORWARD: '250 ok' } }, options: ['smtp_send_xforward_command=yes'] },
  { name: 'XFORWARD refused', script: { replies: { EHLO: '250-server.example\r\n250 XFORWARD NAME ADDR', XFORWARD: '550 no' } }, options: ['smtp_send_xforward_command=yes'] },
  { name: 'soft bounces', script: { replies: { RCPT: '550 5.1.1 no' } }, options: ['soft_bounce=yes'] },
  { name: 'AUTH: taken', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': '235 2.7.0 ok' } }, options: sasl('noanonymous') },
  { name: 'AUTH: for whom is said', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': '235 2.7.0 ok' } }, options: [...sasl('noanonymous'), 'send_cyrus_sasl_authzid=yes'] },
  { name: 'AUTH: LOGIN', script: { replies: { EHLO: '250-server.example\r\n250 AUTH=LOGIN', 'AUTH LOGIN': '334 VXNlcm5hbWU6', am9l: '334 UGFzc3dvcmQ6', c2VjcmV0: '235 ok' } }, options: sasl('noanonymous') },
  { name: 'AUTH: refused', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': '535 5.7.8 wrong' } }, options: sasl('noanonymous') },
  { name: 'AUTH: refused in lines', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': '535-5.7.8 wrong\r\n535 5.7.8 see https://x.test' } }, options: sasl('noanonymous') },
  { name: 'AUTH: refused for good', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': '535 5.7.8 wrong' } }, options: [...sasl('noanonymous'), 'smtp_sasl_auth_soft_bounce=no'] },
  { name: 'AUTH: refused for now', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': '454 4.7.0 later' } }, options: sasl('noanonymous') },
  { name: 'AUTH: hung up', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': 'CLOSE' } }, options: sasl('noanonymous') },
  { name: 'AUTH: no mechanism fits', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN LOGIN' } }, options: sasl('noplaintext, noanonymous') },
  { name: 'AUTH: an empty list', script: { replies: { EHLO: '250-server.example\r\n250 AUTH' } }, options: sasl('noanonymous') },
  { name: 'AUTH: none after the filter', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN' } }, options: [...sasl('noanonymous'), 'smtp_sasl_mechanism_filter=login'] },
  { name: 'AUTH: not offered', script: {}, options: sasl('noanonymous') },
  { name: 'AUTH: no password', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN' } }, options: ['smtp_sasl_auth_enable=yes', 'smtp_sasl_password_maps=inline:{{nowhere=a:b}}'] },
  { name: 'AUTH: by sender', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': '235 2.7.0 ok' } },
    options: ['smtp_sasl_auth_enable=yes', 'smtp_sasl_security_options=noanonymous', 'smtp_sender_dependent_authentication=yes', 'smtp_sasl_password_maps=inline:{{s@sink.test=ann:x}, {127.0.0.1=joe:secret}}'] },
  { name: 'AUTH: said with MAIL', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN', 'AUTH PLAIN': '235 2.7.0 ok' } }, options: [...sasl('noanonymous'), 'smtp_send_dummy_mail_auth=yes'] },
  { name: 'AUTH: ignored', script: { replies: { EHLO: '250-server.example\r\n250 AUTH PLAIN' } }, options: [...sasl('noanonymous'), 'smtp_discard_ehlo_keywords=auth'] },
];

function sasl(security: string): readonly string[] {
  return ['smtp_sasl_auth_enable=yes', 'smtp_sasl_password_maps=inline:{{127.0.0.1=joe:secret}}', `smtp_sasl_security_options=${security}`];
}

/** Tables that the options name as FOLDER/name. */
export const clientTables: Readonly<Record<string, string>> = {
  'reply-filter': '/^550 5\\.7\\.1 no$/ 450 4.7.1 perhaps\n',
  'header-checks': '/^Subject:/ PREPEND X-Seen: yes\n/^From:/ WARN seen\n/^To:/ REPLACE To: someone\n/^X-Old:/ STRIP\n',
  'bad-checks': '/^Subject:/ REJECT no\n',
};

export const clientCases: readonly ClientCase[] = [...everywhere, ...lmtp, ...others];
