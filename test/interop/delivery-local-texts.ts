/** More mail for local(8): what can stand in alias tables, .forward files and lists, locks, commands of real life, headers that are there already. */
import type { DeliveryCase } from '../delivery-pair.ts';
import type { GivenFile } from '../delivery-scene.ts';

/** Lines for the alias table of delivery-local-cases.ts. */
export const textAliases = `t.folded joe,
  ann
t.route @relay.example:joe@example.org
t.percent joe%example.org
t.bang host!joe
t.colon group: joe, ann;
t.bare joe ann
t.sp "/home/out/with blank"
t.spcmd "|/home/bin/record 'one word' \\"two words\\" back\\\\slash"
t.backslash \\joe, \\\\ann
t.include :include:"/home/lists/with blank"
t.upper :INCLUDE:/home/lists/members
t.unclosed "joe
t.paren joe (not closed
t.angle <joe
t.eight j\xf6e
t.domain joe@
t.percent2 "|echo %s%n; exit 69"
t.dot .joe
t.dash -joe
t.tilde ~/x, ~
t.pipeonly |
t.slash /
t.dotdot /home/out/../out/dotted
t.double //home/out/double
t.null2 /dev/null, joe
t.same joe, joe, JOE, joe@example.org, joe@EXAMPLE.ORG
t.samefile /home/out/x, /home/out/x
t.files /home/out/x, /home/out/y
t.env "|env | grep -c . ; pwd; umask; exit 69"
t.stderr "|echo out; echo err >&2; exit 69"
t.closed "|exec 0<&- 1>&- 2>&-; exit 69"
t.back "|sleep 0 & echo started"
t.lines "|printf 'one\\\\ntwo\\\\n\\\\nthree'; exit 73"
t.status255 "|exit 255"
t.dsn "|echo 5.7.1; exit 69"
t.dsn2 "|echo '4.9.9.9 odd'; exit 69"
t.dsn3 "|echo '5.7.1  blanks   in'; exit 75"
t.dsn4 "|echo ' 5.7.1 behind a blank'; exit 69"
t.dsn0 "|echo 5.7.1 not looked at; exit 0"
owner-t.failing ann, bob
t.failing "|exit 67"
t.failing2 "|exit 67"
owner-t.failing2 ann
owner-t.self owner-t.self
t.self "|exit 67"
owner-t.command "|/home/bin/record owner"
t.command "|exit 67", someone@far.example
t.request-request ann
t-request ann
${Array.from({ length: 60 }, (_, index) => `deep${index} deep${index + 1}\n`).join('')}deep60 joe
`;

const lists = { '/home/lists': { kind: 'directory' }, '/home/lists/members': 'joe\n', '/home/lists/with blank': 'ann\n' } as const;
const names = textAliases.split('\n').filter((line) => line.startsWith('t')).map((line) => line.split(' ')[0]!);

const texts: DeliveryCase[] = [
  ...names.map((name): DeliveryCase => ({ name: `text: ${name}`, to: `${name}@example.org`, files: lists })),
  { name: 'text: sixty aliases deep', to: 'deep0@example.org', newer: 'nesting limits' },
  { name: 'text: a list to its owner', to: 'owner-t.failing@example.org' },
  { name: 'text: a list, from its owner', from: 'owner-t.failing@example.org', to: 't.failing@example.org' },
  { name: 'text: a list, from nobody', from: '', to: 't.failing@example.org' },
  { name: 'text: two lists', to: ['t.failing@example.org', 't.failing2@example.org'] },
];

const joes = (text: string, more: GivenFile = {}): GivenFile => ({ text, owner: 'joe', ...more });

const forwards: DeliveryCase[] = ([
  ['a quoted command', '"|/home/bin/record \'a b\' \\"c d\\" e"\n'], ['a file with a blank', '"/home/joe/a file"\n'], ['several lines', 'ann\nbob\n'], ['a folded line', 'ann,\n bob\n'],
  ['line ends of DOS', 'ann\r\nbob\r\n'], ['a long line', `${'ann, '.repeat(800)}bob\n`], ['no line end', 'ann'], ['blanks', '   \n\t\n ann \n'], ['a NUL', 'ann\0bob\n'], ['8 bit', '"|echo gr\xc3\xbc\xc3\x9fe; exit 67"\n'],
  ['an extension', 'ann+ext\n'], ['an extension of oneself', 'joe+ext\n'], ['procmail as in its manual', '"|IFS=\' \' && exec /bin/sh -c \'cat > /home/joe/taken\' || exit 75 #joe"\n'],
  ['an unclosed quote', '"ann\nbob\n'], ['commas', ',,ann,,\n'], ['a comment behind', 'ann # bob\n'], ['a comment in an address', 'ann (bob), bob\n'], ['a file of root', '/home/out/rooted\n'],
  ['a directory', '/home/joe/dir\n'], ['a Maildir that is new', '/home/joe/new/\n'], ['a missing directory', '/home/joe/none/x\n'], ['null and another', '/dev/null, ann\n'], ['a bad address and a good one', 'a@@b, ann\n'],
  ['tilde of another', '~ann/x\n'], ['a list that is missing', ':include:/home/joe/none\n'], ['a list of another', ':include:/home/ann/list\n'], ['a list in the home directory', ':include:~/list\n'],
  ['backslash and a command', '\\joe, "|/home/bin/record both"\n'], ['backslash and an extension', '\\joe+x\n'], ['backslash of another', '\\ann\n'], ['a command that says much', '"|seq 2000; exit 69"\n'],
  ['a bracket without another', '!, .<\n'], ['a bang behind odd characters', ')#%!~/y\n'], ['a bang', 'host!joe\n'],
  ['vacation as in its manual', '\\joe, "|/home/bin/record vacation joe"\n'], ['someone far and nobody', 'someone@far.example, nobody.here\n'],
] as const).map(([name, text]): DeliveryCase => ({
  name: `.forward text: ${name}`, to: 'joe@example.org', files: {
    '/home/joe/.forward': joes(text), '/home/joe/list': joes('ann\n'), '/home/joe/dir': { kind: 'directory', owner: 'joe' }, '/home/out/rooted': { text: 'old\n' },
    '/home/ann/list': { text: 'bob\n', owner: 'ann', mode: 0o600 },
  },
  ...(name === 'a command that says much' ? { but: { why: 'where a log line is cut depends on the length of process id and queue id', leaveOut: /^log local/ } } : {}),
}));

const noticed: DeliveryCase[] = ['SUCCESS', 'FAILURE', 'NEVER'].flatMap((notify) => ([
  ['joe', 'mailbox_transport = collect'], ['joe', 'mailbox_command = /home/bin/record'], ['joe', 'mailbox_command = echo done; exit 0'], ['joe', 'mailbox_command = exit 67'], ['joe', 'home_mailbox = Maildir/'],
  ['unknown', 'fallback_transport = collect'], ['unknown', 'luser_relay = ann'], ['unknown', 'luser_relay = someone@far.example'], ['joe', 'mailbox_transport = error:5.2.1 gone'], ['joe', 'soft_bounce = yes\nmailbox_command = exit 67'],
] as const).map(([local, setting]): DeliveryCase => ({
  name: `NOTIFY=${notify}: ${setting.replaceAll('\n', '; ')}`, settings: `${setting}\n`, to: `${local}@example.org`, rcptOptions: `NOTIFY=${notify} ORCPT=rfc822;orig@example.net`, mailOptions: 'RET=FULL ENVID=y2',
  ...(notify !== 'FAILURE' && setting.includes('exit 67') && !setting.includes('soft') || (notify !== 'FAILURE' && setting.includes('gone')) ? { older: { why: 'a report is logged before it is complete', leaveOut: /sender non-delivery notification/ } } : {}),
  ...(setting.includes('record') ? { newer: 'ENVID in the environment' } : {}),
})));

const head = (text: string): string => `${text}Subject: x\n\nbody\n`;

const headers: DeliveryCase[] = ([
  ['a return path', head('Return-Path: <other@far.example>\n')], ['an original recipient', head('X-Original-To: other@far.example\n')], ['many places', head(Array.from({ length: 40 }, (_, index) => `Delivered-To: u${index}@far.example\n`).join(''))],
  ['a folded place', head('Delivered-To:\n joe@example.org\n')], ['a place with a comment', head('Delivered-To: joe@example.org (joe)\n')], ['a place in angles', head('Delivered-To: <joe@example.org>\n')],
  ['a place in lower case', head('delivered-to: joe@example.org\n')], ['a place behind blanks', head('Delivered-To:    joe@example.org   \n')], ['a From_ line first', `From someone Sat Jan  1 00:00:00 2000\n${head('')}`],
  ['a blank line first', '\nbody\n'], ['no header', 'body\nmore\n'], ['a line without a colon', head('nonsense\n')], ['a content length', head('Content-Length: 12345\nStatus: RO\n')], ['many lines', `${head('')}${'\n'.repeat(50)}`],
  ['only From_ lines', `${head('')}${'From x\n'.repeat(5)}`], ['a bare CR', `${head('')}a\rb\n`],
] as const).flatMap(([name, text]) => [['joe', 'mailbox_delivery_lock = fcntl, dotlock'], ['joe', 'home_mailbox = Maildir/'], ['info', 'mailbox_command = cat > ~/taken']].map(([local, setting]): DeliveryCase =>
  ({ name: `header: ${name}: ${setting}`, settings: `${setting}\n`, to: `${local}@example.org`, text })));

/** In the process that would have said "fatal" another program runs already, or none yet. */
const ownWarning = { why: 'the process that would have said "fatal" is not there yet', replace: [[/^other log local: (?:fatal|warning): /, 'other log local: ']] } as const;

const orders: DeliveryCase[] = ([
  ['joe', 'mailbox_command = /home/bin/record\nhome_mailbox = Maildir/'], ['joe', 'mailbox_command = /home/bin/record\nmailbox_command_maps = static:{/home/bin/record from the map}'], ['ann', 'mailbox_command = /home/bin/record general\nmailbox_command_maps = texthash:/home/etc/commands'],
  ['joe', 'mailbox_transport = collect\nmailbox_command = /home/bin/record'], ['joe', 'mailbox_transport = discard:\nmailbox_transport_maps = texthash:/home/etc/transports'], ['unknown', 'luser_relay = ann\nfallback_transport = collect'],
  ['unknown', 'mailbox_transport = collect\nluser_relay = ann'], ['unknown', 'fallback_transport = discard:\nfallback_transport_maps = inline:{ unknown=collect: }'], ['root', 'mailbox_command = /home/bin/record'], ['root', 'home_mailbox = mbox'],
  ['joe+ext', 'mailbox_command_maps = inline:{ { joe+ext = /home/bin/record extended } }'], ['joe+ext', 'mailbox_transport_maps = inline:{ joe+ext=collect: }'], ['unknown+ext', 'fallback_transport_maps = inline:{ unknown+ext=collect: }'],
  ['postmaster', 'luser_relay = ann'], ['joe', 'mailbox_size_limit = 0'], ['joe', 'duplicate_filter_limit = 1'], ['t.same', 'duplicate_filter_limit = 1'], ['joe', 'mailbox_command = echo $HOME $USER $LOGNAME $SHELL $LOCAL; exit 67'],
  ['joe', 'mailbox_command = /bin/sh -c "exit 67"'], ['joe', 'mailbox_command = nonsense-program'], ['joe', 'mailbox_command = /home/joe'], ['joe', 'mailbox_command = "unclosed'], ['joe', 'forward_path = ~/.forward, $nonsense'],
  ['joe', 'local_command_shell = /home/bin/record\nmailbox_command = what it is given'], ['joe', 'mailbox_command = /home/bin/record\ncommand_execution_directory = $home/$extension${extension?x}${domain:y}'],
] as const).map(([local, setting]): DeliveryCase => ({ name: `order: ${setting.replaceAll('\n', '; ')}: ${local}`, settings: `${setting}\n`, to: `${local}@example.org`, ...(setting === 'mailbox_command = /home/joe' ? { but: ownWarning } : {}) }));

const clients: DeliveryCase[] = ['LOGIN=alice@example.org', 'NAME=[UNAVAILABLE] ADDR=192.0.2.1 PROTO=SMTP', 'HELO=[IPv6:2001:db8::1]', 'LOGIN=$(id);`x`|y', 'NAME=[TEMPUNAVAIL] HELO=a+2Bb+20c'].map((client): DeliveryCase =>
  ({ name: `client: ${client}`, settings: 'mailbox_command = /home/bin/record\n', to: 'joe@example.org', client, ...(client.includes('LOGIN') ? { feature: 'SASL' } : {}) }));

export const moreCases: readonly DeliveryCase[] = [...texts, ...forwards, ...noticed, ...headers, ...orders, ...clients];
