/** Mail for local(8), for the comparison of delivery-local.test.ts: tables, and what is sent. */
import { moreCases, textAliases } from './delivery-local-texts.ts';
import type { DeliveryCase, PairOptions } from '../delivery-pair.ts';

const statuses = [1, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 99, 127];

const tables: PairOptions['tables'] = {
  aliases: `${textAliases}info joe
chain chain2
chain2 joe
both joe, ann
self self, /home/out/self
joe2 joe2
twice /home/out/twice, /home/out/twice, "|/home/bin/record twice", "|/home/bin/record twice"
away someone@far.example
mixed joe, someone@far.example, /home/out/mixed
Capital ann
"joe smith" joe
back \\joe
null /dev/null
angle <joe@example.org>
comment joe (who is he)
phrase "Joe Smith" <joe@example.org>
empty ,
bad joe@@example.org
nolocal @example.org
none nobody.here
ghosts nobody.here, joe
loop1 loop2
loop2 loop1
cmd "|/home/bin/record a 'b c' $EXTENSION"
plain |/home/bin/record
direct "|/home/bin/record one two"
slowly "|sleep 30"
absent "|/home/bin/absent x"
absentword "|absent-word x"
locked "|/home/out/locked x"
builtin "|exit 0"
unread "|true"
meta "|/home/bin/record < /dev/null; echo done"
dsn511 "|echo 5.1.1 no such person; exit 1"
dsn422 "|echo 4.2.2 full today; exit 1"
dsn200 "|echo 2.0.0 fine; exit 1"
odd "|printf 'a\\\\tb\\\\001c\\\\351\\\\nlast'; exit 69"
much "|yes abcdefghijklmnopqrstuvwxyz | head -c 20000; exit 69"
killed "|kill -9 $$"
termed "|kill -15 $$"
file /home/out/file
nodir /home/none/file
maildir /home/out/box/
nomaildir /home/none/box/
directory /home/out
executable /home/out/run
symlink /home/out/symlink
rootlink /home/rooted/link
hardlink /home/out/second
fifo /home/out/fifo
home ~/x
tilde ~joe/x
included :include:/home/lists/members
inccmd :include:/home/lists/commands
incjoe :include:/home/lists/joes
incnone :include:/home/lists/absent
incopen :include:/home/lists/open
increl :include:lists/members
incdir :include:/home/lists
incfifo :include:/home/lists/fifo
incnest :include:/home/lists/nest
incself :include:/home/lists/self
inclong :include:/home/lists/long
incext :include:/home/lists/ext
list joe, someone@far.example, "|exit 77", /home/none/list
owner-list ann
quiet joe, someone@far.example
owner-quiet ann, bob
away2 away2@far.example, away3@far.example
owner-away2 ann@far.example
ext+one /home/out/ext-one
ext joe
extaway someone@far.example
deferring joe, "|exit 75", someone@far.example
${statuses.map((status) => `exit${status} "|echo said; exit ${status}"`).join('\n')}
`,
  boxes: '#\n',
  joes: { text: 'joecmd "|/home/bin/record joes"\njoefile /home/joe/file\njoehome ~/homefile\njoeinc :include:/home/lists/joes\n', owner: 'joe' },
  commands: 'joe /home/bin/record "from the map" ${x\n',
  transports: 'joe collect:\nann error:5.2.1 no more\nbob retry:4.2.1 later\naway discard:\n',
  filter: '/^5\\.1\\.1 unknown user:(.*)/ 4.7.9 filtered:$1\n/^2\\.0\\.0 delivered to (file.*)/ 2.5.5 really $1\n/^4\\.3\\.0 temporary failure/ 5.9.9 enough\n/^5\\.3\\.0/ nonsense\n',
};

const lists = { '/home/lists': { kind: 'directory' } } as const;
const member = { ...lists, '/home/lists/members': '# the members\n\njoe, ann\n  someone@far.example\n/home/out/member\n' };

const ownWarning = { why: 'the process that would have said "fatal" is not there yet', replace: [[/^other log local: (?:fatal|warning): (execvp|cannot change)/, 'other log local: $1']] } as const;

const aliasDifferences: Readonly<Record<string, Pick<DeliveryCase, 'but' | 'newer'>>> = {
  '"joe smith"': { newer: 'names in quotes in alias tables' }, loop1: { newer: 'nesting limits' },
  absent: { but: ownWarning },
  much: { but: { why: 'where a log line is cut depends on the length of process id and queue id', leaveOut: /^log local/ } },
  nomaildir: { but: { why: 'the file in tmp bears the name of the delivery', replace: [[/tmp\/\S+:/, 'tmp/NAME:']] } },
};

const aliases: DeliveryCase[] = [
  ...['info', 'chain', 'both', 'self', 'twice', 'away', 'mixed', 'CAPITAL', '"joe smith"', 'back', 'null', 'angle', 'comment', 'phrase', 'empty',
    'bad', 'nolocal', 'none', 'ghosts', 'loop1', 'joe2', 'list', 'quiet', 'away2', 'quiet+ext', 'owner-list', 'ext+one', 'ext+two', 'extaway+three',
    'deferring', 'cmd+ext', 'plain', 'direct', 'absent', 'absentword', 'builtin', 'unread', 'meta', 'dsn511', 'dsn422', 'dsn200', 'odd', 'much',
    'killed', 'termed', 'file', 'nodir', 'maildir', 'nomaildir', 'directory', 'home', 'tilde', 'incnone', 'increl',
    ...statuses.map((status) => `exit${status}`),
  ].map((name): DeliveryCase => ({ name: `alias: ${name}`, to: `${name}@example.org`, ...aliasDifferences[name] })),
  { name: 'alias: a command that may not be executed', to: 'locked@example.org', files: { '/home/out/locked': { text: '#!/bin/sh\n', mode: 0o644 } }, but: ownWarning },
  { name: 'alias: an executable file', to: 'executable@example.org', files: { '/home/out/run': { text: 'old\n', mode: 0o777 } } },
  { name: 'alias: a symbolic link', to: 'symlink@example.org', files: { '/home/out/target': { text: 'old\n', mode: 0o666 }, '/home/out/symlink': { kind: 'link', to: '/home/out/target', owner: 'joe' } } },
  { name: 'alias: a symbolic link of root in a directory of root', to: 'rootlink@example.org', files: { '/home/rooted': { kind: 'directory' }, '/home/out/target': { text: 'old\n', mode: 0o666 }, '/home/rooted/link': { kind: 'link', to: '/home/out/target' } } },
  { name: 'alias: a file with two names', to: 'hardlink@example.org', files: { '/home/out/first': { text: 'old\n', mode: 0o666 }, '/home/out/second': { kind: 'second-name', to: '/home/out/first' } } },
  { name: 'alias: a named pipe that nobody reads', to: 'fifo@example.org', files: { '/home/out/fifo': { kind: 'fifo', mode: 0o666 } } },
  { name: 'include: members', to: 'included@example.org', files: member },
  { name: 'include: members and an extension', to: 'included+ext@example.org', files: member },
  { name: 'include: commands and files', to: 'inccmd@example.org', files: { ...lists, '/home/lists/commands': '"|/home/bin/record included"\n/home/out/included\n' } },
  { name: 'include: of joe', to: 'incjoe@example.org', files: { ...lists, '/home/lists/joes': { text: '/home/joe/included\n~/home\n', owner: 'joe' } } },
  { name: 'include: world writable', to: 'incopen@example.org', files: { ...lists, '/home/lists/open': { text: 'joe\n', mode: 0o666 } } },
  { name: 'include: a directory', to: 'incdir@example.org', files: lists },
  { name: 'include: a named pipe', to: 'incfifo@example.org', files: { ...lists, '/home/lists/fifo': { kind: 'fifo' } } },
  { name: 'include: in another', to: 'incnest@example.org', files: { ...member, '/home/lists/nest': ':include:/home/lists/members\nbob\n' } },
  { name: 'include: in itself', to: 'incself@example.org', files: { ...lists, '/home/lists/self': 'joe\n:include:/home/lists/self\n' } },
  { name: 'include: a long line', to: 'inclong@example.org', settings: 'line_length_limit = 512\n', files: { ...lists, '/home/lists/long': `joe, ann, ${'x'.repeat(600)}, bob\nbob\n` }, but: { why: 'the order of two that go through the queue at once', leaveOut: /collected/ } },
  { name: 'include: empty', to: 'included@example.org', files: { ...lists, '/home/lists/members': '' } },
  ...['joecmd', 'joefile', 'joehome', 'joeinc'].map((name): DeliveryCase => ({
    name: `a table of joe: ${name}`, to: `${name}@example.org`, settings: 'alias_maps = texthash:/home/etc/joes\n',
    files: { ...lists, '/home/lists/joes': { text: '~/included\n', owner: 'ann' } },
  })),
  ...(['expand_owner_alias = yes', 'reset_owner_alias = yes', 'owner_request_special = no', 'propagate_unmatched_extensions = include', 'propagate_unmatched_extensions =',
    'allow_mail_to_commands =', 'allow_mail_to_files =', 'allow_mail_to_commands = alias, include\nallow_mail_to_files = alias, include'] as const).flatMap((setting) =>
    (['quiet', 'list', 'ext+two', 'included+ext', 'inccmd', 'cmd', 'file'] as const).filter((to) => !(/allow/.test(setting) && /quiet|ext/.test(to)) && !(/owner/.test(setting) && /ext|cmd|file/.test(to))
      && !(/propagate/.test(setting) && /quiet|list|cmd|file/.test(to))).map((to): DeliveryCase => ({
      name: `${setting.replaceAll('\n', '; ')}: ${to}`, settings: `${setting}\n`, to: `${to}@example.org`,
      files: { ...member, '/home/lists/commands': '"|/home/bin/record included"\n/home/out/included\n', '/home/lists/ext': 'joe\n' },
    }))),
  { name: 'an alias table that is not there', settings: 'alias_maps = texthash:/home/etc/absent\n', to: 'joe@example.org', but: { why: 'the table is named once', leaveOut: /is unavailable\. open database/ } },
  { name: 'default_privs', settings: 'default_privs = bob\n', to: ['cmd@example.org', 'file@example.org'] },
];

const forward = (text: string, more: Readonly<Record<string, unknown>> = {}): DeliveryCase['files'] => ({ '/home/joe/.forward': { text, owner: 'joe', ...more } });

const forwards: DeliveryCase[] = [
  ...([
    ['another user', 'ann\n'], ['a copy', '\\joe, ann\n'], ['oneself', 'joe\n'], ['oneself in full', 'joe@example.org\n'], ['someone far', 'someone@far.example\n'],
    ['a file', '/home/joe/saved\n'], ['a file in the home directory', '~/saved\n'], ['a Maildir', '/home/joe/Saved/\n'], ['a command', '"|/home/bin/record forward"\n'],
    ['a command that fails', '"|exit 67"\n'], ['a command that must be tried again', '\\joe\n"|exit 75"\nann\n'], ['nothing', ''], ['comments', '# nothing\n\n# here\n'],
    ['a list', ':include:/home/joe/list\n'], ['a bad address', 'a@@b\n'], ['an unknown user', 'nobody.here\n'], ['null', '/dev/null\n'],
    ['duplicates', 'ann, ann, ann@example.org\n'], ['an alias', 'info\n'], ['a file of nobody\'s', '/home/none/x\n'], ['more', '"|/home/bin/record 1", /home/joe/saved, ann\n'],
  ] as const).map(([name, text]): DeliveryCase => ({
    name: `.forward: ${name}`, to: 'joe@example.org', files: { ...forward(text), '/home/joe/list': { text: 'ann\n~/listed\n"|/home/bin/record listed"\n', owner: 'joe' } },
  })),
  { name: '.forward: two who forward to each other', to: 'joe@example.org', files: { ...forward('ann\n'), '/home/ann/.forward': { text: 'joe\n', owner: 'ann' } } },
  { name: '.forward: a chain', to: 'joe@example.org', files: { ...forward('ann\n'), '/home/ann/.forward': { text: 'bob\n', owner: 'ann' } } },
  { name: '.forward: world writable', to: 'joe@example.org', files: forward('ann\n', { mode: 0o666 }) },
  { name: '.forward: group writable', to: 'joe@example.org', files: forward('ann\n', { mode: 0o664 }) },
  { name: '.forward: of root', to: 'joe@example.org', files: { '/home/joe/.forward': '~/saved\n' } },
  { name: '.forward: of another', to: 'joe@example.org', files: { '/home/joe/.forward': { text: 'ann\n', owner: 'ann' } } },
  { name: '.forward: not readable', to: 'joe@example.org', files: { '/home/joe/.forward': { text: 'ann\n', mode: 0o600 } } },
  { name: '.forward: a directory', to: 'joe@example.org', files: { '/home/joe/.forward': { kind: 'directory', owner: 'joe' } } },
  { name: '.forward: a named pipe', to: 'joe@example.org', files: { '/home/joe/.forward': { kind: 'fifo', owner: 'joe' } } },
  { name: '.forward: a symbolic link', to: 'joe@example.org', files: { '/home/joe/real': { text: 'ann\n', owner: 'joe' }, '/home/joe/.forward': { kind: 'link', to: 'real', owner: 'joe' } } },
  { name: '.forward: of the superuser', to: 'root@example.org', files: { '/home/root/.forward': '"|/home/bin/record root", /home/out/root, ~/saved\n' } },
  { name: '.forward: a device', to: 'joe@example.org', files: { '/home/joe/.forward': { kind: 'link', to: '/dev/zero', owner: 'joe' } } },
  { name: '.forward: for the extension', to: 'joe+box@example.org', files: { ...forward('ann\n'), '/home/joe/.forward+box': { text: 'bob\n', owner: 'joe' } } },
  { name: '.forward: none for the extension', to: 'joe+box@example.org', files: forward('ann\n') },
  { name: '.forward: propagated extension', to: 'joe+box@example.org', settings: 'propagate_unmatched_extensions = forward\n', files: forward('ann, x@far.example\n') },
  { name: '.forward: command with extension', to: 'joe+a/b$c@example.org', files: forward('"|/home/bin/record $EXTENSION"\n') },
  { name: '.forward: odd characters', to: '"joe+a;b$(c)"@example.org', files: forward('"|/home/bin/record $EXTENSION"\n') },
  { name: 'forward_path: elsewhere', to: 'joe@example.org', settings: 'forward_path = /home/fwd/$user.$extension, /home/fwd/${user}_${domain}_${recipient}_${local}\n', files: { '/home/fwd': { kind: 'directory' }, '/home/fwd/joe_DOMAIN_joe@DOMAIN_joe': { text: 'ann\n', owner: 'joe' } } },
  { name: 'forward_path: filtered', to: 'joe+A%b@example.org', settings: 'forward_path = /home/fwd/$user.$extension\nforward_expansion_filter = abcjoe\n', files: { '/home/fwd': { kind: 'directory' }, '/home/fwd/joe.__b': { text: 'ann\n', owner: 'joe' } } },
  { name: 'forward_path: empty', to: 'joe@example.org', settings: 'forward_path =\n', files: forward('ann\n') },
  { name: 'forward_path: a home that is closed', to: 'joe@example.org', files: { ...forward('ann\n'), '/home/joe/': { kind: 'directory', owner: 'ann', mode: 0o700 } } },
  { name: 'frozen_delivered_to = no', to: 'joe@example.org', settings: 'frozen_delivered_to = no\n', files: forward('ann, x@far.example, /home/joe/x\n') },
  { name: 'frozen_delivered_to = no: alias', to: 'mixed@example.org', settings: 'frozen_delivered_to = no\n' },
  { name: 'no home: .forward', to: 'nohome@example.org' },
  { name: 'no home: require_home_directory', to: 'nohome@example.org', settings: 'require_home_directory = yes\n' },
  { name: 'allow_mail_to_files: not from .forward', to: 'joe@example.org', settings: 'allow_mail_to_files = alias\nallow_mail_to_commands = alias\n', files: forward('/home/joe/x, "|/home/bin/record"\n') },
];

const mailboxes: DeliveryCase[] = [
  ...['joe', 'JOE', 'Joe+Box', 'joe+', '+box', 'unknown', 'unknown+x', 'postmaster', 'MAILER-DAEMON', 'owner-unknown', 'double-bounce', 'root', '"a b"', '\\\\joe', '\\"joe\\"'].map((local): DeliveryCase =>
    ({ name: `mailbox: ${local}`, to: `${local}@example.org` })),
  { name: 'mailbox: null sender', from: '', to: 'joe@example.org' },
  { name: 'mailbox: null sender, unknown', from: '', to: 'unknown@example.org' },
  { name: 'mailbox: quoted sender', from: '"a b"@far.example', to: 'joe@example.org' },
  { name: 'mailbox: twice the same recipient', to: ['joe@example.org', 'joe@example.org', 'JOE@Example.org'] },
  { name: 'mailbox: three recipients', to: ['joe@example.org', 'ann@example.org', 'unknown@example.org'] },
  { name: 'mailbox: appended', to: 'joe@example.org', times: 3 },
  { name: 'mailbox: From_ lines and dots', to: 'joe@example.org', text: 'Subject: x\n\nFrom me\n>From you\n.\n..\nfrom them\nFrom\nFrom: x\n\nFrom last' + '\n' },
  { name: 'mailbox: 8 bit', to: 'joe@example.org', mailOptions: 'BODY=8BITMIME', text: 'Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe\n' },
  { name: 'mailbox: a long line', to: 'joe@example.org', text: `Subject: x\n\n${'a long line '.repeat(400)}\nFrom x\n` },
  { name: 'mailbox: no body', to: 'joe@example.org', text: 'Subject: x\n' },
  { name: 'mailbox: nothing at all', to: 'joe@example.org', text: '' },
  { name: 'mailbox: a large message', to: 'joe@example.org', text: `Subject: x\n\n${'From here to there\n'.repeat(20_000)}` },
  { name: 'mailbox: been here', to: 'joe@example.org', text: 'Delivered-To: JOE@example.org\nSubject: x\n\nx\n' },
  { name: 'mailbox: been elsewhere', to: 'joe@example.org', text: 'Delivered-To: ann@example.org\nSubject: x\n\nDelivered-To: joe@example.org\n' },
  { name: 'alias: been here', to: 'list@example.org', text: 'Delivered-To: list@example.org\nSubject: x\n\nx\n' },
  { name: 'alias: been here with another extension', to: 'ext+two@example.org', text: 'Delivered-To: ext+three@example.org\nDelivered-To: joe@example.org\nSubject: x\n\nx\n' },
  ...(['home_mailbox = mbox', 'home_mailbox = Maildir/', 'home_mailbox = sub/Maildir/', 'home_mailbox = sub/mbox', 'mail_spool_directory = /home/spool', 'mail_spool_directory = /home/spool/',
    'mail_spool_directory = /home/none', 'prepend_delivered_header =', 'prepend_delivered_header = command', 'prepend_delivered_header = command, file', 'recipient_delimiter =', 'recipient_delimiter = -+',
    'enable_original_recipient = no', 'mailbox_delivery_lock = dotlock', 'mailbox_delivery_lock = fcntl', 'mailbox_delivery_lock = flock, dotlock', 'sun_mailtool_compatibility = yes\nmailbox_delivery_lock = dotlock, fcntl',
    'soft_bounce = yes', 'local_delivery_status_filter = pcre:/home/etc/filter', 'biff = no', 'info_log_address_format = internal', 'mailbox_command = /home/bin/record the mailbox command',
    'mailbox_command = /home/bin/record "$EXTENSION"', 'mailbox_command = exit 77', 'mailbox_command_maps = texthash:/home/etc/commands', 'mailbox_command = /home/bin/record\ncommand_execution_directory = $home',
    'mailbox_command = /home/bin/record\ncommand_execution_directory = /home/none', 'mailbox_command = /home/bin/record\ncommand_execution_directory = /home/x$extension\nexecution_directory_expansion_filter = abc',
    'mailbox_command = /home/bin/record\nexport_environment = TZ LANG=C { X=a b } PATH', 'mailbox_command = /home/bin/record\nlocal_command_shell = /bin/sh -x -c', 'mailbox_command = /home/bin/record\ncommand_expansion_filter = joe@',
    'mailbox_transport = collect', 'mailbox_transport = error:5.2.1 gone', 'mailbox_transport = retry:4.2.1 later', 'mailbox_transport = discard:2.7.7 eaten', 'mailbox_transport_maps = texthash:/home/etc/transports',
    'fallback_transport = collect', 'fallback_transport = error:5.1.6 moved', 'fallback_transport_maps = static:{discard:gone}', 'mailbox_transport_maps = texthash:/home/etc/absent',
    'luser_relay = ann', 'luser_relay = ann+$local', 'luser_relay = someone@far.example', 'luser_relay = $user@far.example', 'luser_relay = ${recipient}', 'luser_relay = other.unknown',
  ] as const).flatMap((setting) => ['joe+box', 'unknown+box'].filter((to) => /status_filter|soft_bounce|delimiter|_maps|info_log/.test(setting) || /luser|fallback/.test(setting) === (to !== 'joe+box')).map((to): DeliveryCase => ({
    name: `${setting.replaceAll('\n', '; ')}: ${to}`, settings: `${setting}\n`, to: `${to}@example.org`,
    files: { '/home/spool': { kind: 'directory', mode: 0o1777 }, '/home/xb__': { kind: 'directory' } },
    ...(setting.includes('command_execution_directory = /home/none') ? { but: ownWarning } : {}),
  }))),
  { name: 'mailbox_transport_maps: deferred', settings: 'mailbox_transport_maps = texthash:/home/etc/transports\n', to: ['bob@example.org', 'ann@example.org'] },
  { name: 'status filter: a file', settings: 'local_delivery_status_filter = pcre:/home/etc/filter\n', to: 'file@example.org' },
  { name: 'status filter: a deferral that becomes a bounce', settings: 'local_delivery_status_filter = pcre:/home/etc/filter\n', to: 'exit75@example.org' },
  { name: 'status filter: nonsense', settings: 'local_delivery_status_filter = pcre:/home/etc/filter\n', to: 'exit1@example.org' },
  { name: 'mailbox_size_limit', settings: 'message_size_limit = 9000\nmailbox_size_limit = 9000\n', to: 'joe@example.org', times: 2, text: `Subject: x\n\n${`${'x'.repeat(900)}\n`.repeat(5)}` },
  { name: 'mailbox_size_limit: Maildir', settings: 'message_size_limit = 9000\nmailbox_size_limit = 9000\nhome_mailbox = Maildir/\n', to: 'joe@example.org', times: 2, text: `Subject: x\n\n${`${'x'.repeat(900)}\n`.repeat(5)}` },
  { name: 'mailbox_size_limit: file', settings: 'message_size_limit = 9000\nmailbox_size_limit = 9000\n', to: 'file@example.org', times: 2, text: `Subject: x\n\n${`${'x'.repeat(900)}\n`.repeat(5)}` },
  { name: 'a dot-lock of another', settings: 'deliver_lock_attempts = 1\n', to: 'joe@example.org', files: { '/var/mail/joe.lock': '' } },
  { name: 'a file with a dot-lock of another', settings: 'deliver_lock_attempts = 1\n', to: 'file@example.org', files: { '/home/out/file.lock': '' } },
  { name: 'a dot-lock that is stale', settings: 'deliver_lock_attempts = 20\nstale_lock_time = 1s\ndeliver_lock_delay = 1s\n', to: 'joe@example.org', files: { '/var/mail/joe.lock': '' } },
  { name: 'a mailbox of another', to: 'joe@example.org', files: { '/var/mail/joe': { text: 'old\n', owner: 'ann', mode: 0o666 } } },
  { name: 'a mailbox of another, not strict', settings: 'strict_mailbox_ownership = no\n', to: 'joe@example.org', files: { '/var/mail/joe': { text: 'old\n', owner: 'ann', mode: 0o666 } } },
  { name: 'a mailbox of root', to: 'joe@example.org', files: { '/var/mail/joe': { text: 'old\n' } } },
  { name: 'a mailbox that is a symbolic link', to: 'joe@example.org', files: { '/home/joe/real': { text: 'old\n', owner: 'joe' }, '/var/mail/joe': { kind: 'link', to: '/home/joe/real', owner: 'joe' } } },
  { name: 'a mailbox with two names', to: 'joe@example.org', files: { '/var/mail/joe': { text: 'old\n', owner: 'joe' }, '/var/mail/other': { kind: 'second-name', to: '/var/mail/joe' } } },
  { name: 'a mailbox that is a directory', to: 'joe@example.org', files: { '/var/mail/joe': { kind: 'directory', owner: 'joe' } } },
  { name: 'a mailbox that is a named pipe', to: 'joe@example.org', files: { '/var/mail/joe': { kind: 'fifo', owner: 'joe' } } },
  { name: 'a mailbox that is not writable', to: 'joe@example.org', files: { '/var/mail/joe': { text: 'old\n', owner: 'joe', mode: 0o400 } } },
  { name: 'a spool directory for all', to: 'joe@example.org', files: { '/var/mail/': { kind: 'directory', mode: 0o1777 } } },
  { name: 'a spool directory of root', to: 'joe@example.org', files: { '/var/mail/': { kind: 'directory', mode: 0o755 } } },
  { name: 'a Maildir of another', settings: 'home_mailbox = Maildir/\n', to: 'joe@example.org', files: { '/home/joe/Maildir': { kind: 'directory', owner: 'ann', mode: 0o700 } } },
  { name: 'a Maildir that is a file', settings: 'home_mailbox = Maildir/\n', to: 'joe@example.org', files: { '/home/joe/Maildir': { text: 'x', owner: 'joe' } } },
  { name: 'a home that is not there', settings: 'home_mailbox = Maildir/\n', to: 'nohome@example.org' },
  { name: 'command_time_limit', settings: 'command_time_limit = 1s\n', to: 'slowly@example.org' },
  { name: 'environment: what came with the mail', settings: 'mailbox_command = /home/bin/record\n', to: 'joe+Ext@example.org', mailOptions: 'RET=HDRS', client: 'NAME=c.example ADDR=192.0.2.1 PROTO=ESMTP HELO=helo.example' },
  { name: 'environment: hostile', settings: 'mailbox_command = /home/bin/record\n', from: '"() { :;}; echo `x` $y"@far.example', to: '"joe+() { :;}; echo x"@example.org' },
  { name: 'environment: null sender', settings: 'mailbox_command = /home/bin/record\n', from: '', to: 'joe@example.org' },
];

/** A report that nobody wants is begun, and then taken back. */
function reportForNobody(local: string, notify: string): Pick<DeliveryCase, 'older'> {
  const isFailure = local === 'unknown' || local === 'dsn511';
  return isFailure && !notify.includes('FAILURE') ? { older: { why: 'a report is logged before it is complete', leaveOut: /sender non-delivery notification/ } } : {};
}

const notices: DeliveryCase[] = ['SUCCESS', 'SUCCESS,FAILURE', 'FAILURE', 'NEVER', 'DELAY'].flatMap((notify) => ['joe', 'info', 'away', 'quiet', 'unknown', 'file', 'cmd', 'away2', 'dsn511', 'ann'].map((local): DeliveryCase => ({
  name: `NOTIFY=${notify}: ${local}`, ...(local === 'cmd' ? { newer: 'ENVID in the environment' } : {}), to: `${local}@example.org`, ...reportForNobody(local, notify), rcptOptions: `NOTIFY=${notify} ORCPT=rfc822;orig+2Binal@example.net`, mailOptions: 'RET=HDRS ENVID=x1',
  files: { '/home/ann/.forward': { text: 'bob, someone@far.example\n', owner: 'ann' } },
})));

export const options: PairOptions = { tables, agentOf: () => ({ service: 'local', nexthop: '', row: 'unix - n n - - local' }) };

export const cases: readonly DeliveryCase[] = [...aliases, ...forwards, ...mailboxes, ...notices, ...moreCases];
