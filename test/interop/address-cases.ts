/** Cases about addresses for cleanup-pair.ts: what tables of main.cf make of senders, recipients and headers. */
import type { PairCase, PairOptions } from './cleanup-pair.ts';

type Settings = { readonly [parameter: string]: string };

export const files: NonNullable<PairOptions['files']> = {
  canonical: `joe@here.pair.test  joe.smith@example.org
ann  Ann.Miller
@old.test  @new.test
two@example.org  one@example.org, other@example.org
loop1@example.org  loop2@example.org
loop2@example.org  loop1@example.org
self@example.org  self@example.org
Self@host.pair.test  SELF@host.pair.test
chain1@x.test  chain2@x.test
chain2@x.test  chain3@x.test
quoted@x.test  "a b"@x.test
"c d"@x.test  cd@x.test
empty@x.test  <>
junk@x.test  ,,,
bob@pair.test  sales@example.org
`,
  senders: 'bob  sales@example.org\n@src.test  @dst.test\nann@pair.test  a.m@special.test\n',
  recipients: 'info  bob@pair.test\n@dst.test  @src.test\nann@pair.test  r.ann@special.test\n',
  virtual: `v.test  anything
joe@v.test  joe@pair.test
list@v.test  joe@v.test, ann@pair.test, bob
team@v.test  list@v.test, team@v.test
@v.test  catchall@pair.test
webmaster@w.test  web
@w.test  @v.test
root  admin@example.org
nested1@n.test  nested2@n.test
nested2@n.test  nested3@n.test nested2@n.test
nested3@n.test  x1@n.test,x2@n.test,x3@n.test
loopa@n.test  loopb@n.test
loopb@n.test  loopa@n.test
many@n.test  m1@n.test m2@n.test m3@n.test m4@n.test m5@n.test m6@n.test
long@n.test  ${'l'.repeat(60)}@n.test
bad@n.test  ,
mixed@n.test  "q u"@n.test, (comment) c@n.test, Name <d@n.test>
pipe@n.test  |command
include@n.test  :include:/x
`,
  bcc: 'me@client.test  archive\nyou@there.test  "two words"@archive.test\n@bcc.test  @copy.test\nboss@pair.test  secretary@pair.test, second@pair.test\n',
  exceptions: 'postmaster x\n',
};

const texthash = (file: string): string => `texthash:@etc@/${file}`;

interface Group {
  readonly name: string;
  readonly settings: Settings;
  /** sender, recipients, headers; a name is made of them. */
  readonly mails: readonly (readonly [sender: string, recipients: readonly string[], headers?: string])[];
}

const headersOf = (sender: string, recipient: string): string => `From: ${sender}\nTo: ${recipient}\n`;

const groups: readonly Group[] = [
  { name: 'no tables', settings: {}, mails: [
    ['me@client.test', ['you@there.test']],
    ['', ['you@there.test']],
    ['mailer-daemon@host.pair.test', ['you']],
    ['MAILER-DAEMON', ['you']],
    ['Mailer-Daemon@other.test', ['you']],
    ['joe', ['ann', 'ann', 'ANN', 'ann@host.pair.test']],
    ['a!b', ['x%y@z.test', 'x%y', 'z!a', '@a.test,@b.test:c@d.test', '"quo ted"@x.test', '"joe"@x.test', 'trailing@dot.test.']],
    ['me@client.test', ['you@there.test'], 'From: joe\nTo: ann, bob (the builder), "x y" <z>, <@a,@b:c@d>, friends: a, b@c;\n'],
    ['me@client.test', ['you@there.test'], 'from: joe\nTO:ann\ncC : bob\nReply-To:\n joe,\n\tann\nSender:joe\nErrors-To: joe\nReturn-Receipt-To: joe\nResent-From: r\nResent-To: s\nResent-Sender: t\nResent-Reply-To: u\nApparently-To: v\nDisposition-Notification-To: w\nMail-Followup-To: x\n'],
    ['me@client.test', ['you@there.test'], 'To: a b c\nCc: <a b>\nFrom: <"a\\"b"@c>\nReply-To: [x]@y, joe@[1.2.3.4]\n'],
    ['me@client.test', ['you@there.test'], 'To: undisclosed-recipients:;\nCc: a!b!c, d%e, f%g@h, i@j.\nFrom: <>\n'],
    ['me@client.test', ['you@there.test'], `To: ${Array.from({ length: 30 }, (_, n) => `user${n}`).join(', ')}\n`],
    ['me@client.test', ['you@there.test'], `To: (${'c'.repeat(300)}) joe, ${'n '.repeat(150)} <ann>\n`],
    ['me@client.test', ['you@there.test'], 'To: joe@, @x, @, .joe, joe., a..b, "", \\joe, a\\@b\nCc: joe (a (nested) b) , (only)\n'],
  ] },
  { name: 'remote headers', settings: { local_header_rewrite_clients: '' }, mails: [
    ['joe', ['ann'], 'From: joe\nTo: ann\n'],
  ] },
  { name: 'remote headers with a domain', settings: { local_header_rewrite_clients: '', remote_header_rewrite_domain: 'domain.invalid', canonical_maps: texthash('canonical') }, mails: [
    ['joe', ['ann'], 'From: joe\nTo: ann, bob@pair.test, x!y\n'],
    ['bob@pair.test', ['bob@pair.test'], 'From: bob@pair.test\nTo: joe@x, self@example.org\n'],
  ] },
  { name: 'mail from afar is not mapped in headers', settings: { local_header_rewrite_clients: '', canonical_maps: texthash('canonical'), masquerade_domains: 'pair.test' }, mails: [
    ['bob@pair.test', ['bob@pair.test'], 'From: bob@pair.test\nTo: a@b.pair.test\n'],
  ] },
  { name: 'a canonical table', settings: { canonical_maps: texthash('canonical') }, mails: ['joe@here.pair.test', 'ann', 'ann@host.pair.test', 'x@old.test', 'two@example.org', 'loop1@example.org', 'self@example.org', 'SELF@EXAMPLE.ORG', 'self', 'chain1@x.test', 'quoted@x.test',
    '"c d"@x.test', 'empty@x.test', 'junk@x.test', 'bob', 'bob@pair.test', 'Bob@Pair.Test', 'nobody@x.test', ''].map((who) => [who, [who === '' ? 'you@there.test' : who], headersOf(`Some One <${who}>`, `${who} (one), two <${who}>`)] as const) },
  { name: 'canonical with extensions', settings: { canonical_maps: texthash('canonical'), recipient_delimiter: '+-' }, mails: ['joe+x@here.pair.test', 'ann+y', 'ann-z@host.pair.test', 'x+q@old.test', 'bob+@pair.test', 'bob+a-b@pair.test', 'owner-bob@pair.test', 'chain1+e@x.test', 'quoted+e@x.test', '"c d+e f"@x.test']
    .map((who) => [who, [who], headersOf(who, who)] as const) },
  { name: 'extensions go nowhere', settings: { canonical_maps: texthash('canonical'), virtual_alias_maps: texthash('virtual'), recipient_delimiter: '+', propagate_unmatched_extensions: '' }, mails: ['bob+x@pair.test', 'joe+y@v.test', 'x+z@w.test', 'list+q@v.test'].map((who) => [who, [who], headersOf(who, who)] as const) },
  { name: 'extensions of aliases only', settings: { canonical_maps: texthash('canonical'), virtual_alias_maps: texthash('virtual'), recipient_delimiter: '+', propagate_unmatched_extensions: 'virtual' }, mails: ['bob+x@pair.test', 'joe+y@v.test', 'x+z@w.test', 'list+q@v.test'].map((who) => [who, [who], headersOf(who, who)] as const) },
  { name: 'sender and recipient tables', settings: { sender_canonical_maps: texthash('senders'), recipient_canonical_maps: texthash('recipients'), canonical_maps: texthash('canonical') }, mails: ['bob', 'x@src.test', 'y@dst.test', 'ann@pair.test', 'info', 'bob@pair.test'].map((who) => [who, [who], `${headersOf(who, who)}Reply-To: ${who}\nResent-Reply-To: ${who}\nCc: ${who}\nBcc: ${who}\nReturn-Path: ${who}\n`] as const) },
  { name: 'canonical for envelopes only', settings: { canonical_maps: texthash('canonical'), canonical_classes: 'envelope_sender, envelope_recipient' }, mails: [['bob@pair.test', ['bob@pair.test'], headersOf('bob@pair.test', 'bob@pair.test')]] },
  { name: 'canonical for headers only', settings: { canonical_maps: texthash('canonical'), canonical_classes: 'header_sender header_recipient' }, mails: [['bob@pair.test', ['bob@pair.test'], headersOf('bob@pair.test', 'bob@pair.test')]] },
  { name: 'canonical by place', settings: { sender_canonical_maps: texthash('canonical'), sender_canonical_classes: 'header_sender', recipient_canonical_maps: texthash('canonical'), recipient_canonical_classes: 'envelope_recipient' }, mails: [['bob@pair.test', ['bob@pair.test'], headersOf('bob@pair.test', 'bob@pair.test')]] },
  { name: 'canonical by pattern', settings: { canonical_maps: 'regexp:@etc@/canonical.re' }, mails: [['bob@pair.test', ['x1@pair.test', 'x2+e@pair.test'], headersOf('bob@pair.test', '"a x9"@pair.test')]] },
  { name: 'a canonical table that cannot be asked', settings: { canonical_maps: 'fail:1temporary' }, mails: [['bob@pair.test', ['you@there.test']], ['', ['you@there.test']]] },
  { name: 'a canonical table that cannot be asked about headers', settings: { canonical_maps: 'fail:1temporary', canonical_classes: 'header_sender' }, mails: [['bob@pair.test', ['you@there.test'], 'From: x\n'], ['bob@pair.test', ['you@there.test'], 'Subject: no sender\nFrom: (nobody)\n']] },
  { name: 'masquerading', settings: { masquerade_domains: 'pair.test $mydomain !keep.example.org example.org', masquerade_exceptions: 'root, texthash:@etc@/exceptions' }, mails: ['joe@host.pair.test', 'root@host.pair.test', 'Root@host.pair.test', 'postmaster@a.b.pair.test', 'joe', 'joe@x.keep.example.org', 'joe@keep.example.org', 'joe@y.example.org', 'joe@xexample.org', 'joe@HOST.Pair.Test', '"joe smith"@a.pair.test', '""@a.pair.test', 'a@b@c.pair.test']
    .map((who) => [who.includes('b@c') ? `"a@b"@c.pair.test` : who, ['joe@host.pair.test'], `${headersOf(who, who)}Cc: ${who}\nReply-To: X <${who}>\n`] as const) },
  { name: 'masquerading everything', settings: { masquerade_domains: 'pair.test', masquerade_classes: 'envelope_sender, envelope_recipient, header_sender, header_recipient' }, mails: [['joe@a.pair.test', ['ann@b.pair.test', 'ann@c.pair.test'], headersOf('joe@a.pair.test', 'ann@b.pair.test')]] },
  { name: 'masquerading envelopes only', settings: { masquerade_domains: '!!pair.test', masquerade_classes: 'envelope_sender' }, mails: [['joe@a.pair.test', ['ann@b.pair.test'], headersOf('joe@a.pair.test', 'ann@b.pair.test')]] },
  { name: 'exceptions that cannot be asked', settings: { masquerade_domains: 'pair.test', masquerade_exceptions: 'fail:1temporary' }, mails: [['joe@a.pair.test', ['ann@b.pair.test']], ['joe@nowhere.test', ['ann@b.pair.test']]] },
  { name: 'canonical, then masquerading', settings: { masquerade_domains: 'example.org pair.test', canonical_maps: 'inline:{ { bob@pair.test = sales@shop.example.org } { x@y.pair.test = root@z.example.org } }', masquerade_exceptions: 'root' }, mails: [['bob@pair.test', ['bob@pair.test'], headersOf('bob@pair.test', 'x@y.pair.test')]] },
  { name: 'virtual aliases', settings: { virtual_alias_maps: texthash('virtual') }, mails: [['joe@v.test'], ['list@v.test'], ['team@v.test'], ['nobody@v.test'], ['webmaster@w.test'], ['x@w.test'], ['root'], ['root@pair.test'], ['nested1@n.test'], ['loopa@n.test'], ['many@n.test'], ['long@n.test'], ['bad@n.test'],
    ['mixed@n.test'], ['pipe@n.test'], ['include@n.test'], ['joe@v.test', 'joe@pair.test'], ['list@v.test', 'team@v.test'], ['JOE@V.TEST', 'joe@v.test']].map((recipients) => ['me@client.test', recipients, 'To: joe@v.test\n'] as const) },
  { name: 'virtual aliases with extensions', settings: { virtual_alias_maps: texthash('virtual'), recipient_delimiter: '+' }, mails: ['joe+x@v.test', 'list+x@v.test', 'team+x@v.test', 'nobody+x@v.test', 'y+x@w.test', 'root+x', 'mixed+x@n.test', 'nested1+x@n.test'].map((who) => ['me@client.test', [who]] as const) },
  { name: 'virtual aliases without original recipients', settings: { virtual_alias_maps: texthash('virtual'), enable_original_recipient: 'no' }, mails: [['me@client.test', ['list@v.test', 'team@v.test', 'JOE@pair.test', 'joe@v.test']], ['me@client.test', ['a@x.test', 'A@X.test']]] },
  { name: 'limits of virtual aliases', settings: { virtual_alias_maps: texthash('virtual'), virtual_alias_expansion_limit: '4', virtual_alias_recursion_limit: '2', virtual_alias_address_length_limit: '50' }, mails: ['many@n.test', 'nested1@n.test', 'nested2@n.test', 'loopa@n.test', 'long@n.test', 'joe@v.test', 'list@v.test'].map((who) => ['me@client.test', [who, 'other@there.test']] as const) },
  { name: 'a virtual alias table that cannot be asked', settings: { virtual_alias_maps: 'fail:1temporary', virtual_alias_domains: '' }, mails: [['me@client.test', ['joe@v.test']]] },
  { name: 'canonical before virtual', settings: { virtual_alias_maps: texthash('virtual'), recipient_canonical_maps: 'inline:{ { a@b.test = list@v.test } }' }, mails: [['me@client.test', ['a@b.test']]] },
  { name: 'copies', settings: { always_bcc: 'always@archive.test', sender_bcc_maps: texthash('bcc'), recipient_bcc_maps: texthash('bcc'), virtual_alias_maps: texthash('virtual'), recipient_delimiter: '+' }, mails: [
    ['me@client.test', ['you@there.test']], ['me+x@client.test', ['you+y@there.test', 'you@there.test']], ['x@bcc.test', ['y@bcc.test']], ['', ['you@there.test']], ['boss@pair.test', ['boss@pair.test']], ['joe@other.test', ['joe@v.test']]] },
  { name: 'copies through tables', settings: { always_bcc: 'list@v.test', virtual_alias_maps: texthash('virtual'), recipient_canonical_maps: 'inline:{ { archive@host.pair.test = vault@example.org } }', sender_bcc_maps: texthash('bcc') }, mails: [['me@client.test', ['you@there.test', 'joe@pair.test']]] },
  { name: 'copies within limits', settings: { always_bcc: 'you@there.test', duplicate_filter_limit: '1' }, mails: [['me@client.test', ['a@x.test', 'a@x.test', 'b@x.test', 'b@x.test', 'you@there.test']]] },
  { name: 'sender copies that cannot be asked', settings: { sender_bcc_maps: 'fail:1temporary' }, mails: [['me@client.test', ['you@there.test']], ['', ['you@there.test']]] },
  { name: 'recipient copies that cannot be asked', settings: { recipient_bcc_maps: 'fail:1temporary' }, mails: [['me@client.test', ['you@there.test']]] },
  { name: 'no address mappings', settings: { receive_override_options: 'no_address_mappings', canonical_maps: texthash('canonical'), virtual_alias_maps: texthash('virtual'), masquerade_domains: 'pair.test', always_bcc: 'always@archive.test', sender_bcc_maps: texthash('bcc'), recipient_bcc_maps: texthash('bcc') }, mails: [
    ['bob@pair.test', ['joe@v.test', 'bob@pair.test'], headersOf('bob@pair.test', 'x@y.pair.test')], ['me@client.test', ['you@there.test'], 'From: joe\n']] },
  { name: 'delivery status', settings: { virtual_alias_maps: texthash('virtual'), canonical_maps: texthash('canonical'), always_bcc: 'always@archive.test' }, mails: [
    ['me@client.test> RET=HDRS ENVID=abc', ['you@there.test> NOTIFY=SUCCESS ORCPT=rfc822;other@x.test', 'bob@pair.test> NOTIFY=NEVER', 'you@there.test', 'you@there.test> NOTIFY=FAILURE,DELAY']],
    ['me@client.test> RET=FULL', ['list@v.test> NOTIFY=FAILURE', 'team@v.test> NOTIFY=NEVER ORCPT=rfc822;x']]] },
  { name: 'delivery status with tables', settings: { virtual_alias_maps: texthash('virtual'), canonical_maps: texthash('canonical'), recipient_bcc_maps: texthash('bcc'), recipient_delimiter: '+' }, mails: [
    ['me@client.test', ['list@v.test> NOTIFY=SUCCESS', 'joe@v.test> NOTIFY=SUCCESS,FAILURE', 'joe+x@v.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x.test', 'joe@pair.test> NOTIFY=SUCCESS']],
    ['me@client.test', ['you@there.test> NOTIFY=NEVER', 'you@there.test> NOTIFY=NEVER ORCPT=rfc822;You@there.test', 'YOU@there.test> NOTIFY=NEVER']],
  ] },
  { name: 'other origins', settings: { myorigin: 'pair.test', append_dot_mydomain: 'yes', canonical_maps: texthash('canonical'), empty_address_recipient: 'nobody' }, mails: [['joe', ['ann', 'x@host', 'mailer-daemon'], 'From: joe@host\nTo: ann, bob\nCc: a@b.c, d@[1.2.3.4]\n'], ['MAILER-DAEMON', ['bob']], ['', ['<>']]] },
  { name: 'rewriting turned off', settings: { append_at_myorigin: 'no', swap_bangpath: 'no', allow_percent_hack: 'no', canonical_maps: texthash('canonical') }, mails: [['joe@x.test', ['ann@y.test'], 'From: joe\nTo: a!b, c%d, bob@pair.test\n']] },
  { name: 'few tokens', settings: { header_address_token_limit: '10' }, mails: [['joe@x.test', ['ann@y.test'], 'From: joe, ann, bob, eve, mallory, trent, walter\nTo: a@b.c, d@e.f\n']] },
  { name: 'other scripts', settings: { canonical_maps: 'inline:{ { \xc3\xa4@x.test = ae@x.test } }', masquerade_domains: 'b\xc3\xbc.test' }, mails: [
    ['me@client.test', ['you@there.test'], 'From: \xc3\xa4@x.test\nTo: j@h.b\xc3\xbc.test, \xe4@latin.test\nSubject: \xc3\xa4\n'],
    ['\xc3\xa4@x.test> SMTPUTF8', ['\xc3\x84@x.test', 'j\xc3\xb6@y.test'], 'From: \xc3\xa4@x.test\n'], ['j@h.b\xc3\xbc.test> SMTPUTF8', ['you@there.test'], 'From: x@y.test\n']] },
];

export const morefiles: NonNullable<PairOptions['files']> = { ...files, 'canonical.re': '/^x([0-9])(.*)@pair\\.test$/ y$1$2@pair.test\n/^bob@/ "b o b"@pair.test\n/^"a x([0-9])"@(.*)$/ q$1@$2\n' };

export const addressCases: readonly PairCase[] = groups.flatMap(({ name, settings, mails }) => mails.map(([sender, recipients, headers = ''], index) => ({
  name: `${name} ${index + 1}: ${sender.slice(0, 40)} to ${recipients.join(' ').slice(0, 60)}`, settings, sender, recipients, message: `${headers}Subject: x\n\nbody\n`,
})));
