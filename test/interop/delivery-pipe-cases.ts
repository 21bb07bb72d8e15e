/** Mail for virtual(8), pipe(8), error(8) and discard(8), for the comparison of delivery-pipe.test.ts. */
import type { DeliveryCase, PairOptions } from '../delivery-pair.ts';

/** Rows of pipe(8), each under a name that is also the domain of its mail. */
const rows: readonly (readonly [name: string, attributes: string])[] = [
  ['plain', 'user=joe argv=/home/bin/record ${sender} ${recipient}'],
  ['group', 'user=joe:others argv=/home/bin/record'],
  ['flags', 'flags=DRO user=joe argv=/home/bin/record ${recipient}'],
  ['from', 'flags=F user=joe argv=/home/bin/record'],
  ['quoting', 'flags=Fq> user=joe argv=/home/bin/record ${sender} ${recipient} ${user} ${mailbox}'],
  ['dots', 'flags=.B user=joe argv=/home/bin/record'],
  ['lower', 'flags=hu user=joe argv=/home/bin/record ${recipient} ${user} ${mailbox} ${domain} ${extension} ${nexthop} ${original_recipient}'],
  ['final', 'flags=X user=joe argv=/home/bin/record'],
  ['crlf', 'flags=F eol=\\r\\n user=joe argv=/home/bin/record'],
  ['octal', 'eol=\\015\\012 user=joe argv=/home/bin/record'],
  ['small', 'size=1000 user=joe argv=/home/bin/record'],
  ['nobody', 'null_sender= user=joe argv=/home/bin/record <${sender}>'],
  ['named', 'flags=FR null_sender=nobody@here user=joe argv=/home/bin/record ${sender}'],
  ['where', 'directory=/home/out user=joe argv=/home/bin/record'],
  ['nowhere', 'directory=/home/none user=joe argv=/home/bin/record'],
  ['words', 'user=joe argv=/home/bin/record {two words} -x${size}y ${user}:${domain} $nexthop plain $$ {}'],
  ['client', 'user=joe argv=/home/bin/record ${client_address} ${client_helo} ${client_hostname} ${client_protocol} ${sasl_method} ${sasl_sender} ${sasl_username}'],
  ['odd', 'user=joe argv=/home/bin/record ${extension} ${user} ${mailbox}'],
  ['unknownmacro', 'user=joe argv=/home/bin/record ${nonsense}'],
  ['fails', 'user=joe argv=/bin/sh -c {echo 5.1.1 not here; exit 67}'],
  ['said', 'user=joe argv=/bin/sh -c {echo all is well; echo really; exit 0}'],
  ['saidfails', 'user=joe argv=/bin/sh -c {echo no space; exit 73}'],
  ['tempfail', 'user=joe argv=/bin/sh -c {exit 75}'],
  ['status1', 'user=joe argv=/bin/sh -c {exit 1}'],
  ['killed', 'user=joe argv=/bin/sh -c {kill -9 $$$$}'],
  ['absent', 'user=joe argv=/home/bin/absent x'],
  ['locked', 'user=joe argv=/home/out/locked x'],
  ['slow', 'user=joe argv=/bin/sleep 30'],
  ['unread', 'user=joe argv=/bin/true'],
  ['single', 'flags=D user=joe argv=/home/bin/record ${recipient}'],
  ['several', 'user=joe argv=/home/bin/record -r ${recipient} -u=${user} -- ${sender}'],
  ['rooted', 'chroot=/home user=joe argv=/out/record ${recipient}'],
  ['deeprooted', 'chroot=/home/jail directory=/inside user=joe argv=/bin/where ${recipient}'],
  ['noroot', 'chroot=/home/none user=joe argv=/bin/true'],
  ['parens', 'user=joe argv=/home/bin/record $(recipient) $(user)x$(domain) $recipient.x ${user}-${extension}'],
  ['ids', 'user=joe argv=/home/bin/record ${queue_id}'],
  ['envid', 'user=joe argv=/home/bin/record <${envid}>'],
  ['port', 'user=joe argv=/home/bin/record ${client_port}'],
  ['every', 'flags=BDFORXhqu.> eol=\\r\\n null_sender=null@here user=joe argv=/home/bin/record ${sender} ${recipient} ${original_recipient} ${user} ${extension} ${domain} ${mailbox} ${nexthop}'],
  ['original', 'flags=O user=joe argv=/home/bin/record'],
  ['returnpath', 'flags=R null_sender= user=joe argv=/home/bin/record ${sender}'],
  ['quotedonly', 'flags=q user=joe argv=/home/bin/record ${original_recipient} ${recipient} ${sender}'],
  ['blanks', 'user=joe argv=/home/bin/record { a b } {} { ${recipient} } {{x} y}'],
  ['nul', 'eol=\\0 user=joe argv=/home/bin/record'],
  ['bell', 'eol=\\a\\x user=joe argv=/home/bin/record'],
  ['saidmore', 'user=joe argv=/bin/sh -c {seq -s- 1 200; exit 0}'],
  ['saidmuch', 'user=joe argv=/bin/sh -c {seq -s- 1 4000; exit 69}'],
  ['saidodd', 'user=joe argv=/bin/sh -c {printf "a\\tb\\001c\\351\\nlast\\n\\n"; exit 69}'],
  ['dsnodd', 'user=joe argv=/bin/sh -c {echo 2.1.5 fine; exit 69}'],
  ['dsntemp', 'user=joe argv=/bin/sh -c {echo 4.2.2 full; exit 67}'],
  ['dsnalone', 'user=joe argv=/bin/sh -c {echo 5.7.1; exit 75}'],
  ['dsnsent', 'user=joe argv=/bin/sh -c {echo 5.7.1 not looked at}'],
  ['termed', 'user=joe argv=/bin/sh -c {echo bye; kill -15 $$$$}'],
  ['offspring', 'user=joe argv=/bin/sh -c {sleep 0.2 & echo started}'],
  ['directoryexec', 'user=joe argv=/home'],
  ['relative', 'user=joe argv=sh -c {pwd; exit 69}'],
  // as in the stock master.cf
  ['uucp', 'flags=Fqhu user=joe argv=/home/bin/record -r -n -z -a$sender - $nexthop!rmail ($recipient)'],
  ['ifmail', 'flags=F user=joe argv=/home/bin/record -r $nexthop ($recipient)'],
  ['bsmtp', 'flags=Fq. user=joe argv=/home/bin/record -t$nexthop -f$sender $recipient'],
  ['scalemail', 'flags=R user=joe argv=/home/bin/record ${nexthop} ${user} ${extension}'],
  ['mailmans', 'flags=FRX user=joe argv=/home/bin/record ${nexthop} ${user}'],
  ['maildrops', 'flags=DRXhu user=joe argv=/home/bin/record -d ${recipient}'],
  ['cyruses', 'flags=DRX user=joe argv=/home/bin/record -r ${sender} -m ${extension} ${user}'],
  ...[64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 99, 126, 127, 200, 255].map((status) => [`exit${status}`, `user=joe argv=/bin/sh -c {exit ${status}}`] as const),
];

const transports = rows.map(([name]) => `${name}.test ${name}:Next.Hop\n`).join('');

const tables: PairOptions['tables'] = {
  aliases: '#\n',
  transport: `${transports}refused.test error:5.7.1 go away\nrefused2.test error:go away\nrefused4.test error:4.7.1 go away\nlater.test retry:4.4.4 not yet\nlater2.test retry:not yet\nlater5.test retry:5.4.4 never\neaten.test discard:2.9.9 tasty\neaten2.test discard:\neaten5.test discard:5.1.1 x\nempty.test error:\n`,
  boxes: 'mbox@box.example mbox\nmaildir@box.example maildir/\ndeep@box.example a/b/c/\ndeepmbox@box.example a/b/mbox\nescape@box.example ../out/escape\nescape2@box.example x/../../out/e\n@caught.example all/\n'
    + 'link@box.example link\nsecond@box.example second\nother@box.example other\ndir@box.example dir\nfifo@box.example fifo\nplus+ext@box.example plusext\nplus@box.example plus\ncase@box.example case/\nself@box.example self\n',
  uids: 'mbox@box.example 4001\nmaildir@box.example 10\nself@box.example abc\ncase@box.example 4005x\n',
  filter: '/^5\\.1\\.1 unknown user/ 4.2.2 later\n/^5\\.1\\.1 not here/ 4.2.1 not here now\n/^2\\.0\\.0 delivered to mail(.*)/ 2.2.2 put into $1\n/^2\\.0\\.0 delivered via (.*)/ 2.3.3 by $1\n/^4\\.3\\.0/ 5.9.9 no\n',
};

const usual = `slow_time_limit = 1s
flags_destination_recipient_limit = 1
every_destination_recipient_limit = 1
`;

/** Started through another process, exec fails with a line of its own. */
const ownWarning = { why: 'the process that would have said "fatal" is not there yet', replace: [[/^other log pipe: (?:fatal|warning): /, 'other log pipe: ']] } as const;
const differences: Readonly<Record<string, DeliveryCase['but']>> = { absent: ownWarning, locked: ownWarning, nowhere: ownWarning, noroot: ownWarning, rooted: ownWarning, deeprooted: ownWarning, directoryexec: ownWarning, saidmuch: { why: 'where a log line is cut depends on the length of process id and queue id', leaveOut: /^log pipe/ } };

const piped = (name: string, more: Partial<DeliveryCase> = {}): DeliveryCase => ({
  name: `pipe: ${name}`, to: `User.Name+Ext@${name}.test`, ...more,
  files: {
    '/home/out/locked': { text: '#!/bin/sh\n' }, '/home/jail': { kind: 'directory' }, '/home/jail/inside': { kind: 'directory', owner: 'joe' }, ...more.files,
  },
  ...(differences[name] === undefined ? {} : { but: differences[name] }),
});

const stock = ['uucp', 'ifmail', 'bsmtp', 'scalemail', 'mailmans', 'maildrops', 'cyruses'];

/** A report that nobody wants is begun, and then taken back. */
const reportForNobody = { older: { why: 'a report is logged before it is complete', leaveOut: /sender non-delivery notification/ } };

const pipes: DeliveryCase[] = [
  ...rows.filter(([name]) => name !== 'port' && name !== 'envid').map(([name]) => piped(name)),
  ...['plain', 'flags', 'from', 'named', 'nobody', 'quoting'].map((name) => piped(name, { name: `pipe: null sender: ${name}`, from: '' })),
  ...['plain', 'quoting', 'flags', 'lower', 'odd'].map((name) => piped(name, { name: `pipe: quoted: ${name}`, from: '"s p"@far.example', to: `"A b+c d"@${name.toUpperCase()}.test` })),
  ...['plain', 'several', 'words', 'fails', 'said', 'lower', 'tempfail'].map((name) => piped(name, { name: `pipe: three recipients: ${name}`, to: [`ann@${name}.test`, `bob+x@${name}.test`, `cat@${name}.test`] })),
  ...['plain', 'every', 'quotedonly', 'returnpath'].flatMap((name) => ['', '"a b"@far.example', "o'hara+x@far.example"].map((from) => piped(name, { name: `pipe: from <${from}>: ${name}`, from }))),
  ...['every', 'original', 'single', 'flags'].map((name) => piped(name, { name: `pipe: header lines that are there: ${name}`, text: 'Return-Path: <old@far.example>\nX-Original-To: old@far.example\nDelivered-To: old@far.example\nSubject: x\n\nx\n' })),
  ...['plain', 'every', 'crlf', 'nul', 'bell', 'dots'].flatMap((name) => [['nothing', ''], ['no body', 'Subject: x\n'], ['no header', 'x\n'], ['8 bit', 'Subject: x\n\ngr\xfc\xdfe\n'], ['dots and From', 'Subject: x\n\n.\n..a\nFrom x\n>From y\n'], ['blank lines', 'Subject: x\n\n\n\n']]
    .map(([what, text]) => piped(name, { name: `pipe: ${what}: ${name}`, text: text! }))),
  ...stock.flatMap((name) => [['null sender', { from: '' }], ['quoted', { from: '"s p"@far.example', to: `"A b+c d"@${name.toUpperCase()}.test` }], ['two', { to: [`ann+x@${name}.test`, `Bob@${name}.test`] }],
    ['dots and From', { text: 'Subject: x\n\n.\nFrom x\n' }]].map(([what, more]) => piped(name, { name: `pipe: stock row: ${what as string}: ${name}`, ...(more as Partial<DeliveryCase>) }))),
  piped('original', { name: 'pipe: flag O and two recipients', to: ['one@original.test', 'two@original.test'] }),
  piped('envid', { name: 'pipe: an envelope id', mailOptions: 'ENVID=a+2Bb', newer: '${envid}' }),
  piped('port', { name: 'pipe: a port', client: 'PORT=1234' }),
  ...['every', 'quotedonly', 'plain'].map((name) => piped(name, { name: `pipe: an original recipient: ${name}`, to: `"Some One+X"@${name}.test`, rcptOptions: 'ORCPT=rfc822;First+20One@other.example NOTIFY=SUCCESS' })),
  ...['plain', 'said', 'saidmore', 'final', 'dsnsent'].map((name) => piped(name, { name: `pipe: success is told: ${name}`, rcptOptions: 'NOTIFY=SUCCESS,FAILURE', mailOptions: 'RET=HDRS ENVID=id' })),
  ...(['export_environment = TZ LANG=C { X=a b } PATH', 'recipient_delimiter =', 'recipient_delimiter = .', 'owner_request_special = no', 'soft_bounce = yes', 'command_time_limit = 20s', 'enable_original_recipient = no', 'smtputf8_enable = yes'] as const)
    .flatMap((setting) => ['plain', 'fails', 'every', 'saidodd'].map((name) => piped(name, { name: `pipe: ${setting}: ${name}`, settings: `${setting}\n`, to: `owner-User.Name+Ext@${name}.test` }))),
  piped('slow', { name: 'pipe: command_time_limit', settings: 'command_time_limit = 1s\n' }),
  piped('single', { name: 'pipe: flag D and two recipients', to: ['one@single.test', 'two@single.test'] }),
  piped('single', { name: 'pipe: a loop', text: 'Delivered-To: user.name+ext@SINGLE.test\nSubject: x\n\nx\n' }),
  piped('small', { name: 'pipe: too large', text: `Subject: x\n\n${'x'.repeat(900)}\n${'x'.repeat(900)}\n` }),
  piped('quoting', { name: 'pipe: From_ lines', text: 'Subject: x\n\nFrom me\n.\n..x\n>From you\n' }),
  piped('dots', { name: 'pipe: dots in front of lines', text: 'Subject: x\n\n.\n..x\nFrom me\n' }),
  piped('crlf', { name: 'pipe: line ends and long lines', text: `Subject: x\n\n${'word '.repeat(900)}\nlast\n` }),
  piped('unread', { name: 'pipe: a large message that is not read', text: `Subject: x\n\n${'x'.repeat(900)}\n`.repeat(300) }),
  piped('client', { name: 'pipe: what came with the mail', client: 'NAME=c.example ADDR=192.0.2.1 PORT=1234 PROTO=ESMTP HELO=helo.example' }),
  piped('client', { name: 'pipe: who logged in', client: 'NAME=c.example ADDR=192.0.2.1 PROTO=ESMTP HELO=[192.0.2.7] LOGIN=alice@example.org', feature: 'SASL' }),
  piped('client', { name: 'pipe: a client without a name', client: 'NAME=[UNAVAILABLE] ADDR=192.0.2.1 PROTO=SMTP' }),
  piped('odd', { name: 'pipe: no extension', to: 'user@odd.test' }),
  piped('odd', { name: 'pipe: odd characters', to: '"x;$(id)`id`|&<>+-e ${sender}"@odd.test' }),
  ...['plain', 'fails', 'tempfail', 'said'].map((name) => piped(name, { name: `pipe: status filter: ${name}`, settings: 'pipe_delivery_status_filter = pcre:/home/etc/filter\n' })),
  ...['plain', 'final', 'fails', 'tempfail', 'exit67', 'termed'].flatMap((name) => ['SUCCESS', 'NEVER'].map((notify) => piped(name, { name: `pipe: NOTIFY=${notify}: ${name}`, rcptOptions: `NOTIFY=${notify}`, ...(['fails', 'exit67', 'termed'].includes(name) ? reportForNobody : {}) }))),
  ...['refused', 'refused2', 'refused4', 'later', 'later2', 'later5', 'eaten', 'eaten2', 'eaten5', 'empty'].map((name): DeliveryCase => ({ name: `error, retry, discard: ${name}`, to: [`ann@${name}.test`, `joe@${name}.test`], rcptOptions: 'NOTIFY=SUCCESS,FAILURE' })),
];

const boxFiles = {
  '/home/boxes/target': { text: 'old\n', owner: 'store' }, '/home/boxes/link': { kind: 'link', to: 'target', owner: 'store' }, '/home/boxes/second': { kind: 'second-name', to: '/home/boxes/target' },
  '/home/boxes/other': { text: 'old\n', owner: 'ann', mode: 0o666 }, '/home/boxes/dir': { kind: 'directory', owner: 'store' }, '/home/boxes/fifo': { kind: 'fifo', owner: 'store' },
} as const;

/** Mailboxes outside of the base and numbers with something behind them are refused since then. */
function newer(local: string, setting: string): Pick<DeliveryCase, 'newer'> {
  return local.startsWith('escape') || (local === 'case' && setting.includes('virtual_uid_maps = texthash')) ? { newer: 'a closer look at paths and numbers' } : {};
}

const boxed = (local: string, setting = '', more: Partial<DeliveryCase> = {}): DeliveryCase => ({
  name: `virtual: ${setting.trimEnd().replaceAll('\n', '; ')} ${local}`.replace('  ', ' '), ...(setting === '' ? {} : { settings: setting }), to: local.includes('@') ? local : `${local}@box.example`, ...newer(local, setting), files: boxFiles, ...more,
});

const noTable = { why: 'the trouble of a table is told with its name', replace: [[/texthash:\/home\/etc\/absent is unavailable\. open database \/home\/etc\/absent: /, '']] } as const;

const boxes: DeliveryCase[] = [
  ...['mbox', 'MBOX', 'mbox+ext', 'maildir', 'Case', 'deep', 'deepmbox', 'escape', 'escape2', 'unknown', 'anyone@caught.example', 'link', 'second', 'other', 'dir', 'fifo', 'plus+ext', 'plus+other', '"quoted q"', 'postmaster'].map((local) => boxed(local)),
  ...['virtual_uid_maps = texthash:/home/etc/uids\n', 'virtual_uid_maps = texthash:/home/etc/uids\nvirtual_minimum_uid = 5\n', 'virtual_gid_maps = static:0\n', 'virtual_gid_maps =\n', 'virtual_uid_maps =\n', 'virtual_mailbox_maps = texthash:/home/etc/absent\n']
    .flatMap((setting) => ['mbox', 'maildir', 'self', 'case', 'deep'].map((local) => boxed(local, setting, { files: {}, ...(setting.includes('absent') ? { but: noTable } : {}) }))),
  ...['strict_mailbox_ownership = no\n', 'enable_original_recipient = no\n', 'virtual_mailbox_lock = dotlock\n', 'virtual_delivery_status_filter = pcre:/home/etc/filter\n', 'virtual_mailbox_base = /home/none\n', 'soft_bounce = yes\n']
    .flatMap((setting) => ['mbox', 'maildir', 'other', 'unknown'].map((local) => boxed(local, setting))),
  ...['mbox', 'maildir'].flatMap((local) => ['SUCCESS', 'NEVER'].map((notify) => boxed(local, '', { name: `virtual: NOTIFY=${notify}: ${local}`, rcptOptions: `NOTIFY=${notify}` }))),
  boxed('mbox', 'message_size_limit = 9000\nvirtual_mailbox_limit = 9000\n', { times: 2, text: `Subject: x\n\n${'x'.repeat(900)}\n${'x'.repeat(900)}\n${'x'.repeat(900)}\n${'x'.repeat(900)}\n${'x'.repeat(900)}\n` }),
  boxed('maildir', 'message_size_limit = 9000\nvirtual_mailbox_limit = 9000\n', { times: 2, text: `Subject: x\n\n${'x'.repeat(900)}\n`.repeat(5) }),
  boxed('mbox', 'deliver_lock_attempts = 1\n', { files: { '/home/boxes/mbox.lock': '' } }),
  ...['virtual_mailbox_lock = fcntl', 'virtual_mailbox_lock = flock, dotlock', 'recipient_delimiter =', 'recipient_delimiter = .-', 'virtual_mailbox_base = /home/', 'virtual_mailbox_base = /home/boxes/', 'virtual_minimum_uid = 5000', 'virtual_gid_maps = static:x', 'virtual_uid_maps = static:-1', 'virtual_mailbox_limit = 0', 'virtual_mailbox_maps = static:one/']
    .flatMap((setting) => ['mbox', 'maildir', 'plus+ext', 'mbox+ext'].map((local) => boxed(local, `${setting}\n`))),
  ...['SUCCESS', 'FAILURE', 'NEVER'].flatMap((notify) => ['unknown', 'other', 'mbox+x'].map((local) => boxed(local, '', { name: `virtual: NOTIFY=${notify}: ${local}`, rcptOptions: `NOTIFY=${notify} ORCPT=rfc822;first@other.example`, mailOptions: 'RET=HDRS ENVID=v1', ...(local === 'unknown' ? reportForNobody : {}) }))),
  ...['mbox', 'maildir'].flatMap((local) => [['nothing', ''], ['8 bit', 'Subject: x\n\ngr\xfc\n'], ['long lines', `Subject: x\n\n${'word '.repeat(1000)}\nFrom x\n`], ['a return path', 'Return-Path: <old@far.example>\nX-Original-To: old\nDelivered-To: old\n\nx\n'], ['a large message', `Subject: x\n\n${'From here\n'.repeat(20_000)}`], ['From_ first', 'From me\nSubject: x\n\nx\n']]
    .map(([what, text]) => boxed(local, '', { name: `virtual: ${what}: ${local}`, text: text! }))),
  ...['mbox', 'maildir'].flatMap((local) => ['"a b"@far.example', '', 'x+y@far.example'].map((from) => boxed(local, '', { name: `virtual: from <${from}>: ${local}`, from }))),
  boxed('mbox', 'deliver_lock_attempts = 20\nstale_lock_time = 1s\ndeliver_lock_delay = 1s\n', { name: 'virtual: a lock that is stale', files: { '/home/boxes/mbox.lock': '' } }),
  boxed('maildir', '', { name: 'virtual: a Maildir of another', files: { '/home/boxes/maildir': { kind: 'directory', owner: 'ann', mode: 0o700 } } }),
  boxed('maildir', '', { name: 'virtual: a Maildir that is a file', files: { '/home/boxes/maildir': { text: 'x', owner: 'store' } } }),
  boxed('mbox', '', { name: 'virtual: a mailbox not writable', files: { '/home/boxes/mbox': { text: 'old\n', owner: 'store', mode: 0o400 } } }),
  boxed('mbox', '', { name: 'virtual: a base not writable', files: { '/home/boxes/': { kind: 'directory', owner: 'ann', mode: 0o755 } } }),
  boxed('mbox', '', { name: 'virtual: three times', times: 3 }),
  boxed('mbox', '', { name: 'virtual: From_ lines', text: 'Subject: x\n\nFrom me\n>From you\n.\n' }),
  boxed('mbox', '', { name: 'virtual: null sender', from: '' }),
  boxed('mbox', '', { name: 'virtual: been here', text: 'Delivered-To: mbox@box.example\nSubject: x\n\nx\n' }),
  boxed('mbox', '', { name: 'virtual: two recipients', to: ['mbox@box.example', 'plus@box.example', 'maildir@box.example'] }),
];

const pipeRows = new Map(rows.map(([name, attributes]) => [name, `unix - n n - - pipe ${attributes}`]));

export const options: PairOptions = {
  tables, addressTables: ['boxes', 'uids'], mainCf: usual, rows: pipeRows,
  agentOf: (domain) => (domain.endsWith('.example') ? { service: 'virtual', nexthop: '', row: 'unix - n n - - virtual' }
    : { service: domain.slice(0, -'.test'.length), nexthop: 'Next.Hop', row: pipeRows.get(domain.slice(0, -'.test'.length))! }),
};

export const cases: readonly DeliveryCase[] = [...pipes, ...boxes];
