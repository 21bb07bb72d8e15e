// The stock master.cf: its rows, and what is said about them.
import { comment } from './comment.ts';

type Row = readonly [service: string, type: string, isPrivate: string, unprivileged: string, chroot: string, wakeup: string, maxproc: string, command: string];
type MasterLine = Row | string;

const masterLines: readonly MasterLine[] = [
  'comment: master.cf: one line per service. After a change: "postfix reload".',
  'comment: ',
  'comment: service: a port, address:port, or the name of a socket in the queue directory. type: inet, unix, unix-dgram, pass (fifo is served as unix). private: may only the mail system use it? unpriv: does it run as mail_owner? chroot: is the queue directory all it sees? wakeup: every so many seconds; with ? only once it was used. maxproc: how many clients at once, 0 for no limit. A "-" takes the value in brackets.',
  'comment: ',
  'comment: A line that starts with a space continues the one above. "-o name=value" sets a parameter of main.cf for this service alone, "-o { name = value }" when the value has spaces; -v says more in the log.',
  '',
  '# ==========================================================================',
  '# service type  private unpriv  chroot  wakeup  maxproc command + args',
  '#               (yes)   (yes)   (no)    (never) (100)',
  '# ==========================================================================',
  ['smtp', 'inet', 'n', '-', 'n', '-', '-', 'smtpd'],
  '',
  'comment: postscreen in front of the SMTP server: take the line above away and these in.',
  ['#smtp', 'inet', 'n', '-', 'n', '-', '1', 'postscreen'],
  ['#smtpd', 'pass', '-', '-', 'n', '-', '-', 'smtpd'],
  ['#dnsblog', 'unix', '-', '-', 'n', '-', '0', 'dnsblog'],
  ['#tlsproxy', 'unix', '-', '-', 'n', '-', '0', 'tlsproxy'],
  '',
  'comment: Mail programs of your own users: port 587 with STARTTLS, port 465 encrypted from the first byte.',
  ['#submission', 'inet', 'n', '-', 'n', '-', '-', 'smtpd'],
  '#  -o syslog_name=postfix/submission',
  '#  -o smtpd_tls_security_level=encrypt',
  '#  -o smtpd_sasl_auth_enable=yes',
  '#  -o smtpd_tls_auth_only=yes',
  '#  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject',
  '#  -o { smtpd_recipient_restrictions = permit_sasl_authenticated, reject }',
  ['#submissions', 'inet', 'n', '-', 'n', '-', '-', 'smtpd'],
  '#  -o syslog_name=postfix/submissions',
  '#  -o smtpd_tls_wrappermode=yes',
  '#  -o smtpd_sasl_auth_enable=yes',
  '#  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject',
  '',
  'comment: QMQP, for the hosts of qmqpd_authorized_clients.',
  ['#628', 'inet', 'n', '-', 'n', '-', '-', 'qmqpd'],
  '',
  'comment: The way in, and the queue.',
  ['pickup', 'unix', 'n', '-', 'n', '60', '1', 'pickup'],
  ['cleanup', 'unix', 'n', '-', 'n', '-', '0', 'cleanup'],
  ['qmgr', 'unix', 'n', '-', 'n', '300', '1', 'qmgr'],
  ['tlsmgr', 'unix', '-', '-', 'n', '1000?', '1', 'tlsmgr'],
  ['rewrite', 'unix', '-', '-', 'n', '-', '-', 'trivial-rewrite'],
  ['bounce', 'unix', '-', '-', 'n', '-', '0', 'bounce'],
  ['defer', 'unix', '-', '-', 'n', '-', '0', 'bounce'],
  ['trace', 'unix', '-', '-', 'n', '-', '0', 'bounce'],
  ['verify', 'unix', '-', '-', 'n', '-', '1', 'verify'],
  ['flush', 'unix', 'n', '-', 'n', '1000?', '0', 'flush'],
  ['proxymap', 'unix', '-', '-', 'n', '-', '-', 'proxymap'],
  ['proxywrite', 'unix', '-', '-', 'n', '-', '1', 'proxymap'],
  '',
  'comment: The ways out. Do not limit the number of processes here to slow down deliveries: that is what smtp_destination_concurrency_limit and its relatives in main.cf are for.',
  ['smtp', 'unix', '-', '-', 'n', '-', '-', 'smtp'],
  ['relay', 'unix', '-', '-', 'n', '-', '-', 'smtp'],
  '        -o syslog_name=${multi_instance_name?{$multi_instance_name}:{postfix}}/$service_name',
  ['showq', 'unix', 'n', '-', 'n', '-', '-', 'showq'],
  ['error', 'unix', '-', '-', 'n', '-', '-', 'error'],
  ['retry', 'unix', '-', '-', 'n', '-', '-', 'error'],
  ['discard', 'unix', '-', '-', 'n', '-', '-', 'discard'],
  ['local', 'unix', '-', 'n', 'n', '-', '-', 'local'],
  ['virtual', 'unix', '-', 'n', 'n', '-', '-', 'virtual'],
  ['lmtp', 'unix', '-', '-', 'n', '-', '-', 'lmtp'],
  ['anvil', 'unix', '-', '-', 'n', '-', '1', 'anvil'],
  ['scache', 'unix', '-', '-', 'n', '-', '1', 'scache'],
  ['postlog', 'unix-dgram', 'n', '-', 'n', '-', '1', 'postlogd'],
  '',
  'comment: Mail to programs: "man 8 pipe" has the flags and the names that may stand in the arguments. The program runs as the user that is named here, never as root.',
  ['#maildrop', 'unix', '-', 'n', 'n', '-', '-', 'pipe'],
  '#  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}',
  ['#cyrus', 'unix', '-', 'n', 'n', '-', '-', 'pipe'],
  '#  flags=DRX user=cyrus argv=/usr/lib/cyrus/deliver -e -r ${sender} -m ${extension} ${user}',
  ['#uucp', 'unix', '-', 'n', 'n', '-', '-', 'pipe'],
  '#  flags=Fqhu user=uucp argv=uux -r -n -z -a$sender - $nexthop!rmail ($recipient)',
  '',
  'comment: Policy servers and other programs that talk on a socket.',
  ['#policy', 'unix', '-', 'n', 'n', '-', '0', 'spawn'],
  '#  user=nobody argv=/usr/local/bin/policy-server',
];

const columns = [0, 10, 16, 24, 32, 40, 48, 56];

/** The stock master.cf. */
export function renderMaster(): string {
  return masterLines.map((line) => {
    if (typeof line !== 'string') return `${layOut(line)}\n`;
    return line.startsWith('comment: ') ? commentOrBlank(line.slice('comment: '.length)) : `${line}\n`;
  }).join('');
}

function commentOrBlank(text: string): string {
  return text === '' ? '#\n' : comment(text);
}

function layOut(row: Row): string {
  return row.reduce((line, field, index) => (index === 0 ? field : `${line} `.padEnd(columns[index]!) + field), '');
}
