/** Mail for programs that people put behind local(8) and pipe(8): procmail, maildrop, Dovecot's LDA, mlmmj, vacation, and Sympa's way of queueing. */
import type { DeliveryCase, PairOptions } from '../delivery-pair.ts';
import type { GivenFile } from '../delivery-scene.ts';

const programs = { procmail: '/usr/bin/procmail', maildrop: '/usr/bin/maildrop', dovecot: '/usr/lib/dovecot/dovecot-lda', mlmmj: '/usr/bin/mlmmj-receive', vacation: '/usr/bin/vacation' } as const;

/** As the manuals of these programs have them. */
const rows = new Map([
  ['procmail', 'unix - n n - - pipe flags=RO user=store argv=/usr/bin/procmail -t -m USER=${user} EXTENSION=${extension} DOMAIN=${domain} SENDER=${sender} RECIPIENT=${recipient} /home/bin/procmailrc'],
  ['maildrop', 'unix - n n - - pipe flags=DRXhu user=ann argv=/usr/bin/maildrop -d ${user}'],
  ['dovecot', 'unix - n n - - pipe flags=DRhu user=store:store argv=/usr/lib/dovecot/deliver -c /home/bin/dovecot.conf -o mail_location=maildir:/home/boxes/${user} -f ${sender} -a ${recipient} -m ${extension}'],
  ['mlmmj', 'unix - n n - - pipe flags=ORhu user=list argv=/usr/bin/mlmmj-receive -F -L /home/lists/$nexthop'],
  ['sympa', 'unix - n n - - pipe flags=hqRu null_sender= user=list argv=/home/bin/queue ${nexthop}'],
  ['sympabounce', 'unix - n n - - pipe flags=hqRu null_sender= user=list argv=/home/bin/bouncequeue ${nexthop}'],
]);

export const options: PairOptions = {
  tables: {
    aliases: `sympa "|/home/bin/queue sympa@example.org"
listmaster "|/home/bin/queue listmaster@example.org"
cooks "|/home/bin/queue cooks@example.org"
cooks-request "|/home/bin/queue cooks-request@example.org"
cooks-owner "|/home/bin/bouncequeue cooks@example.org"
owner-cooks cooks-owner
`,
    boxes: '#\n',
    virtual: 'news@lists.test lists.test--news@localhost.mlmmj\nverp@lists.test lists.test--verp@localhost.mlmmj\nmembers@lists.test lists.test--members@localhost.mlmmj\n',
    transport: 'lists.test--news@localhost.mlmmj mlmmj:news\nlists.test--verp@localhost.mlmmj mlmmj:verp\nlists.test--members@localhost.mlmmj mlmmj:members\n'
      + 'procmail.test procmail:\nmaildrop.test maildrop:\ndovecot.test dovecot:\ncooks@sympa.test sympa:cooks@sympa.test\ncooks-owner@sympa.test sympabounce:cooks@sympa.test\n',
  },
  rows,
  mainCf: `virtual_alias_maps = texthash:/home/etc/virtual
propagate_unmatched_extensions = virtual
smtpd_authorized_verp_clients = 127.0.0.1
${['mlmmj', 'procmail', 'maildrop', 'dovecot', 'sympa', 'sympabounce'].map((service) => `${service}_destination_recipient_limit = 1\n`).join('')}`,
  agentOf: () => ({ service: 'local', nexthop: '', row: 'unix - n n - - local' }),
};

const joes = (text: string, mode = 0o644): GivenFile => ({ text, owner: 'joe', mode });
const byCommand = (command: string): string => `mailbox_command = ${command}\n`;

const procmailCommand = byCommand('/usr/bin/procmail -a "$EXTENSION"');
const procmailRules = joes(`MAILDIR=$HOME
:0:
* ^Subject: folder
box
EXT=$1
:0
* EXT ?? ^ext$
extended/
:0
* ^Subject: refuse
{
EXITCODE=67
HOST
}
:0
* ^Subject: forward
! ann@far.example
:0
* ^Subject: later
{
EXITCODE=75
HOST
}
`);

const procmail: DeliveryCase[] = [
  ...(['folder', 'refuse', 'later', 'forward', 'other'] as const).map((subject): DeliveryCase => ({ name: `procmail: ${subject}`, settings: procmailCommand, to: 'joe@example.org', files: { '/home/joe/.procmailrc': procmailRules }, text: `Subject: ${subject}\n\nFrom here\n.\n`,
    expects: { folder: /^\/home\/joe\/box \| Subject: folder/, refuse: /status=bounced \(user unknown/, later: /status=deferred \(temporary failure/, forward: /^\/home\/out\/sendmail \| sendmail .*ann@far\.example/, other: /^\/var\/mail\/joe \| Subject: other/ }[subject] })),
  { name: 'procmail: an extension', settings: procmailCommand, to: 'joe+ext@example.org', files: { '/home/joe/.procmailrc': procmailRules }, expects: /^\/home\/joe\/extended\/new \| Subject: test/ },
  { name: 'procmail: no rules', settings: procmailCommand, to: 'joe@example.org', from: '', expects: /^\/var\/mail\/joe \| Subject: test/ },
  { name: 'procmail: from .forward', to: 'joe@example.org', files: { '/home/joe/.procmailrc': procmailRules, '/home/joe/.forward': joes('"|IFS=\' \' && exec /usr/bin/procmail -f- || exit 75 #joe"\n') }, text: 'Subject: folder\n\nx\n', expects: /^\/home\/joe\/box \| Subject: folder/ },
  { name: 'procmail: by pipe', to: 'Some.One+Ext@procmail.test', files: { '/home/bin/procmailrc': ':0\n| { echo "$USER $EXTENSION $DOMAIN $SENDER $RECIPIENT"; cat; } > /home/out/taken\n' }, expects: /^\/home\/out\/taken \| Some\.One Ext procmail\.test sender@far\.example/ },
  { name: 'procmail: by pipe, without rules', to: 'someone@procmail.test', expects: /status=(?:deferred|bounced)/ },
].map((each: DeliveryCase) => ({ ...each, needs: programs.procmail }));

const maildrop: DeliveryCase[] = ([
  { name: 'maildrop: a Maildir', settings: byCommand('/usr/bin/maildrop -d ${USER}'), to: 'joe@example.org', expects: /^\/home\/joe\/Maildir\/new \| Subject: test/,
    files: { '/home/joe/.mailfilter': joes('to "Maildir/"\n', 0o600), ...Object.fromEntries(['', '/new', '/cur', '/tmp'].map((part) => [`/home/joe/Maildir${part}`, { kind: 'directory', owner: 'joe', mode: 0o700 } as const])) } },
  { name: 'maildrop: a mailbox', settings: byCommand('/usr/bin/maildrop'), to: 'joe@example.org', files: { '/home/joe/.mailfilter': joes('if (/^Subject: folder/)\n  to "box"\n', 0o600) }, text: 'Subject: folder\n\nx\n', expects: /^\/home\/joe\/box \| Subject: folder/ },
  { name: 'maildrop: refused', settings: byCommand('/usr/bin/maildrop'), to: 'joe@example.org', files: { '/home/joe/.mailfilter': joes('EXITCODE=77\nexit\n', 0o600) }, expects: /status=bounced \(permission denied/ },
  { name: 'maildrop: a filter that others can read', settings: byCommand('/usr/bin/maildrop'), to: 'joe@example.org', files: { '/home/joe/.mailfilter': joes('to "box"\n', 0o666) }, expects: /status=/ },
  { name: 'maildrop: by pipe', to: 'Ann+x@maildrop.test', files: { '/home/ann/.mailfilter': { text: 'to "box"\n', owner: 'ann', mode: 0o600 } }, rcptOptions: 'NOTIFY=SUCCESS', expects: /^\/home\/ann\/box \| Subject: test/ },
  { name: 'maildrop: by pipe, nobody', to: 'nobody.here@maildrop.test', expects: /status=(?:bounced|deferred)/ },
] as DeliveryCase[]).map((each) => ({ ...each, needs: programs.maildrop }));

const dovecotConf = (more = ''): GivenFile => ({ text: `ssl = no\nprotocols =\nbase_dir = /home/out/run\nmail_location = maildir:~/Maildir\nlog_path = /dev/null\nlda_mailbox_autocreate = yes\npostmaster_address = postmaster@example.org\nhostname = host.example.test\n${more}` });
const lda = byCommand('/usr/lib/dovecot/dovecot-lda -c /home/bin/dovecot.conf -e -f "$SENDER" -a "$ORIGINAL_RECIPIENT" -m "$EXTENSION"');
const quota = 'mail_plugins = quota\nplugin {\n  quota = maildir:User quota\n  quota_rule = *:bytes=10\n  quota_exceeded_message = no room for you\n}\n';

/** Dovecot's own files hold times and random numbers. */
const but = { why: 'Dovecot keeps times and random names in files of its own', leaveOut: /^\/home\/\S*(?:dovecot|maildirsize|subscriptions)|^\/home\/out\/run/, replace: [[/[0-9]+\/host\.example\.test|dovecot-\w+-[0-9]+-0@/g, 'UNIQUE']] } as const;
const dovecot: DeliveryCase[] = [
  { name: 'dovecot-lda: a Maildir', settings: lda, to: 'joe@example.org', expects: /^\/home\/joe\/Maildir\/new \| Subject: test/ },
  { name: 'dovecot-lda: an extension', settings: lda, to: 'joe+Box@example.org', expects: /^\/home\/joe\/Maildir\/\.box\/new \| Subject: test/ },
  { name: 'dovecot-lda: null sender', settings: lda, to: 'joe@example.org', from: '', expects: /^\/home\/joe\/Maildir\/new \| Return-Path: <MAILER-DAEMON|^\/home\/joe\/Maildir\/new \| Return-Path: <>/ },
  { name: 'dovecot-lda: over quota', settings: lda, to: 'joe@example.org', files: { '/home/bin/dovecot.conf': dovecotConf(quota) }, expects: /status=bounced .*no room for you/ },
  { name: 'dovecot-lda: over quota for now', settings: lda, to: 'joe@example.org', files: { '/home/bin/dovecot.conf': dovecotConf(`quota_full_tempfail = yes\n${quota}`) }, expects: /status=deferred/ },
  { name: 'dovecot-lda: a bad configuration', settings: lda, to: 'joe@example.org', files: { '/home/bin/dovecot.conf': dovecotConf('nonsense = yes\n') }, expects: /status=/ },
  { name: 'dovecot-lda: over quota, told by Dovecot', settings: byCommand('/usr/lib/dovecot/dovecot-lda -c /home/bin/dovecot.conf -f "$SENDER" -a "$ORIGINAL_RECIPIENT"'), to: 'joe@example.org', files: { '/home/bin/dovecot.conf': dovecotConf(quota) }, expects: /^\/home\/out\/sendmail \| sendmail / },
  { name: 'dovecot-lda: by pipe', to: 'Some.One+Box@dovecot.test', expects: /^\/home\/boxes\/some\.one\/\.box\/new \| Delivered-To: Some\.One\+Box@dovecot\.test/ },
  { name: 'dovecot-lda: by pipe, null sender', from: '', to: 'someone@dovecot.test', expects: /status=sent/ },
].map((each: DeliveryCase) => ({ ...each, files: { '/home/bin/dovecot.conf': dovecotConf(), ...each.files }, needs: programs.dovecot, but }));

const listFile = (text: string): GivenFile => ({ text, owner: 'list' });
function list(name: string, more: Readonly<Record<string, GivenFile>> = {}): Record<string, GivenFile> {
  const home = `/home/lists/${name}`;
  const directories = ['', '/incoming', '/queue', '/queue/discarded', '/archive', '/subconf', '/unsubconf', '/bounce', '/control', '/moderation', '/subscribers.d', '/digesters.d', '/requeue', '/nomailsubs.d'];
  return {
    '/home/lists': { kind: 'directory' },
    ...Object.fromEntries(directories.map((part) => [`${home}${part}`, { kind: 'directory', owner: 'list', mode: 0o700 } as const])),
    [`${home}/index`]: listFile('0'), [`${home}/text`]: { kind: 'link', to: '/usr/share/mlmmj/text.skel/en', owner: 'list' },
    [`${home}/control/listaddress`]: listFile(`${name}@lists.test\n`), [`${home}/control/owner`]: listFile('bob@example.org\n'), [`${home}/control/relayhost`]: listFile('127.0.0.1\n'),
    [`${home}/control/smtpport`]: listFile('@PORT@\n'), [`${home}/control/prefix`]: listFile('[news]\n'), [`${home}/subscribers.d/a`]: listFile('ann@example.org\n'),
    [`${home}/subscribers.d/s`]: listFile('someone@far.example\n'), ...more,
  };
}

const fromMember = (to: string): DeliveryCase => ({ name: `mlmmj: to ${to}`, from: 'ann@example.org', to: `${to}@lists.test`, text: `From: ann@example.org\nTo: ${to}@lists.test\nSubject: hello\n\nto all\n` });
const mlmmjOwn = { why: 'mlmmj keeps times, ports and random names', leaveOut: /^\/home\/lists/, replace: [[/[0-9a-f]{16}\b|-[0-9]+-mlmmj-[0-9a-zA-Z]+/g, 'COOKIE']] } as const;
const mlmmj: DeliveryCase[] = ([
  { ...fromMember('news'), name: 'mlmmj: to all members', files: list('news'), expects: /^\/home\/collected\/new \| Return-Path: <news\+bounces-1-someone=far\.example@lists\.test>/ },
  { ...fromMember('verp'), name: 'mlmmj: VERP by the mail system', files: list('verp', { '/home/lists/verp/control/verp': listFile('postfix\n') }), expects: /^\/var\/mail\/ann \| Return-Path: <verp\+bounces-1-ann=example\.org@lists\.test>/ },
  { name: 'mlmmj: someone subscribes', to: 'news+subscribe@lists.test', from: 'joe@example.org', text: 'From: joe@example.org\nTo: news+subscribe@lists.test\nSubject: x\n\n\n', files: list('news'), expects: /^\/var\/mail\/joe \| Reply-To: news\+confsub-/ },
  { ...fromMember('members'), name: 'mlmmj: a list that is not there', expects: /status=(?:bounced|deferred)/ },
] as DeliveryCase[]).map((each) => ({ but: mlmmjOwn, ...each, needs: programs.mlmmj }));

const vacationFiles = { '/home/joe/.forward': joes('\\joe, "|/usr/bin/vacation -i joe && exec /usr/bin/vacation joe"\n'), '/home/joe/.vacation.msg': joes('Subject: away\n\nI am away.\n') } as const;
const vacation: DeliveryCase[] = ([
  { name: 'vacation: answers', to: 'joe@example.org', text: 'To: joe@example.org\nSubject: x\n\nx\n', expects: /^\/home\/out\/sendmail \| sendmail .*sender@far\.example/ },
  { name: 'vacation: not to a list', to: 'joe@example.org', text: 'To: joe@example.org\nPrecedence: bulk\nSubject: x\n\nx\n', expects: /^\/var\/mail\/joe \| Subject: x/ },
  { name: 'vacation: not to nobody', from: '', to: 'joe@example.org', text: 'To: joe@example.org\nSubject: x\n\nx\n', expects: /^\/var\/mail\/joe \| Subject: x/ },
] as DeliveryCase[]).map((each) => ({ ...each, files: vacationFiles, needs: programs.vacation, but: { why: 'vacation keeps times', leaveOut: /^\/home\/joe\/\.vacation\.db/ } }));

/** What Sympa's `queue` and `bouncequeue` do: a file in a spool directory, with the name of the list. */
const queue = (spool: string): GivenFile => ({ mode: 0o755, text: `#!/bin/sh
test $# = 1 || exit 64
umask 027
{ echo "X-Sympa-To: $1"; id -un; cat; } > "/home/spool/${spool}/T.$1" || exit 75
mv "/home/spool/${spool}/T.$1" "/home/spool/${spool}/$1"
` });
const spools = { '/home/spool': { kind: 'directory' }, '/home/spool/msg': { kind: 'directory', mode: 0o1777 }, '/home/spool/bounce': { kind: 'directory', mode: 0o1777 }, '/home/bin/queue': queue('msg'), '/home/bin/bouncequeue': queue('bounce') } as const;
const closed = { ...spools, '/home/spool/msg': { kind: 'directory', mode: 0o755 } } as const;
const sympa: DeliveryCase[] = [
  ...['sympa', 'listmaster', 'cooks', 'cooks-request'].map((local): DeliveryCase => ({ name: `sympa: ${local}`, to: `${local}@example.org`, files: spools, expects: new RegExp(`^/home/spool/msg/${local}@example\\.org \\| X-Sympa-To: ${local}@example\\.org`) })),
  ...['cooks-owner', 'owner-cooks'].map((local): DeliveryCase => ({ name: `sympa: ${local}`, from: '', to: `${local}@example.org`, files: spools, expects: /^\/home\/spool\/bounce\/cooks@example\.org \| nobody/ })),
  { name: 'sympa: no room', to: 'cooks@example.org', files: closed, expects: /status=deferred/ },
  { name: 'sympa: by pipe', to: 'Cooks@Sympa.test', files: spools, expects: /^\/home\/spool\/msg\/cooks@sympa\.test \| list/ },
  { name: 'sympa: by pipe, a report', from: '', to: 'cooks-owner@sympa.test', files: spools, expects: /^\/home\/spool\/bounce\/cooks@sympa\.test \| Return-Path: <>/ },
  { name: 'sympa: by pipe, no room', to: 'cooks@sympa.test', files: closed, expects: /status=deferred/ },
];

export const cases: readonly DeliveryCase[] = [...procmail, ...maildrop, ...dovecot, ...mlmmj, ...vacation, ...sympa];
