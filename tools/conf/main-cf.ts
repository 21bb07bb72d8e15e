// The stock main.cf, from what is written here and on the parameter cards. What a default is, is never written here: it comes from the
// card. A name without a card is an error.
import { splitFamilyName } from '../../src/parameters/families.ts';
import { cardOf } from '../../src/parameters/parameters.ts';
import { postfixRelease } from '../../src/parameters/version.ts';
import { comment, width } from './comment.ts';

interface Section {
  readonly title: string;
  readonly prose: string;
  /** Lines that hold: name and value. */
  readonly active?: readonly (readonly [string, string])[];
  /** Commented out: name and a value that shows what could stand there. */
  readonly examples?: readonly (readonly [string, string])[];
}

const mainSections: readonly Section[] = [
  {
    title: 'How to read this file',
    prose: `One setting per line, "name = value". A line that starts with a space continues the one above. A value may use
      others: $name or \${name}. When a name stands here twice, the last one counts and a warning says so. What is not
      set has its default; "postconf -d name" shows it, "postconf -n" shows what this file sets, and "postconf
      name=value" changes a line and leaves the rest alone. After a change: "postfix reload". Names that nothing uses
      are pointed out by "postconf -n" together with the name that was probably meant.`,
  },
  {
    title: 'Behaviour of which release',
    prose: `Defaults have changed over the years. This says which ones you have read about and agree with; a lower number
      brings older defaults back. Take the number along when you move a main.cf from another machine.`,
    active: [['compatibility_level', postfixRelease]],
  },
  {
    title: 'Places',
    prose: `The queue must be on a local file system that survives a crash. The data directory holds caches and keys and
      belongs to mail_owner.`,
    active: [
      ['queue_directory', '/var/spool/postfix'],
      ['data_directory', '/var/lib/postfix'],
      ['command_directory', '/usr/sbin'],
      ['daemon_directory', '/usr/libexec/postfix'],
    ],
  },
  {
    title: 'Accounts',
    prose: `The account under which nearly everything runs, and the group that may hand in mail while the mail system is
      down. Nobody else may use either of them, and no person logs in with them.`,
    active: [['mail_owner', 'postfix'], ['setgid_group', 'postdrop']],
  },
  {
    title: 'The name of this machine',
    prose: `The full name by which others know this host, and the domain it is in. Without them the system's own name is
      used, which is often not a full one. Other settings build on these two.`,
    examples: [['myhostname', 'mail.example.org'], ['mydomain', 'example.org']],
  },
  {
    title: 'Mail from here',
    prose: `The domain behind the @ of addresses that are written without one, as in mail from cron.`,
    examples: [['myorigin', '$mydomain']],
  },
  {
    title: 'On which addresses to listen',
    prose: `All of this machine's addresses, only those through which it talks to itself, or a list. Master must be stopped
      and started for a change here. Behind a translating router or proxy, say under which addresses the world sees us.`,
    examples: [['inet_interfaces', 'loopback-only'], ['inet_protocols', 'ipv4'], ['proxy_interfaces', '192.0.2.1']],
  },
  {
    title: 'Mail that ends here',
    prose: `Domains whose mail goes to accounts and aliases of this machine. Domains that live in tables of their own
      (virtual_alias_domains, virtual_mailbox_domains) must not stand here too.`,
    examples: [['mydestination', '$myhostname, localhost.$mydomain, localhost, $mydomain']],
  },
  {
    title: 'Unknown recipients',
    prose: `Mail for nobody is best refused while the sender is still connected. This table says who exists; empty turns
      the test off. The code is what the client hears: 550 for good, 450 while you are not sure of your tables.`,
    active: [['unknown_local_recipient_reject_code', '550']],
    examples: [['local_recipient_maps', 'unix:passwd.byname $alias_maps']],
  },
  {
    title: 'Whom to trust',
    prose: `Clients in these networks may send mail to anywhere. Give the style (this host, its subnet, its class) or the
      networks themselves, not both. Too much here makes an open relay.`,
    examples: [['mynetworks_style', 'host'], ['mynetworks', '127.0.0.0/8 [::1]/128 192.0.2.0/24']],
  },
  {
    title: 'Relaying',
    prose: `Domains for which this machine takes mail in order to pass it on, and the host that gets all mail for elsewhere.
      Brackets mean the host itself, without a look at its MX records.`,
    examples: [['relay_domains', 'example.net'], ['relayhost', '[gateway.example.org]'], ['transport_maps', 'lmdb:/etc/postfix/transport']],
  },
  {
    title: 'Aliases',
    prose: `Other names for accounts, lists, files and commands. The first setting says where to look, the second what
      "newaliases" builds.`,
    active: [['alias_maps', 'lmdb:/etc/aliases'], ['alias_database', 'lmdb:/etc/aliases']],
    examples: [['recipient_delimiter', '+']],
  },
  {
    title: 'Delivery to accounts',
    prose: `A path below the home directory; with a slash at its end it is a Maildir. Or a command, which runs as the
      recipient. Without either, mail goes to one file per account.`,
    examples: [['home_mailbox', 'Maildir/'], ['mailbox_command', '/usr/bin/procmail -a "$EXTENSION"'], ['mailbox_size_limit', '51200000']],
  },
  {
    title: 'Virtual mailboxes',
    prose: `Mail domains whose users have no accounts here: who exists, where the mailboxes are, and who owns them.`,
    examples: [
      ['virtual_mailbox_domains', 'example.com'], ['virtual_mailbox_base', '/var/mail/vhosts'],
      ['virtual_mailbox_maps', 'lmdb:/etc/postfix/vmailbox'], ['virtual_uid_maps', 'static:5000'], ['virtual_gid_maps', 'static:5000'],
      ['virtual_alias_maps', 'lmdb:/etc/postfix/virtual'],
    ],
  },
  {
    title: 'Who may hand in what',
    prose: `Lists of tests, done in order until one decides. The relay list keeps strangers from sending through us; do not
      empty it.`,
    examples: [
      ['smtpd_relay_restrictions', 'permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination'],
      ['smtpd_recipient_restrictions', 'reject_unknown_recipient_domain, reject_rbl_client zen.example.org'],
      ['smtpd_banner', '$myhostname ESMTP'], ['header_checks', 'regexp:/etc/postfix/header_checks'],
    ],
  },
  {
    title: 'Encryption',
    prose: `Key and certificates of the server in one file, key first. "may" offers encryption to whoever wants it.`,
    examples: [['smtpd_tls_chain_files', '/etc/ssl/private/mail.pem'], ['smtpd_tls_security_level', 'may'], ['smtp_tls_security_level', 'may']],
  },
  {
    title: 'Limits',
    prose: `The largest message in bytes, how long undeliverable mail is kept, and how many deliveries go to one place at a
      time.`,
    examples: [['message_size_limit', '52428800'], ['maximal_queue_lifetime', '2d'], ['smtp_destination_concurrency_limit', '10']],
  },
  {
    title: 'Log',
    prose: `Without this the system's log daemon gets the lines. A file below /var, or /dev/stdout in a container.`,
    examples: [['maillog_file', '/var/log/mail.log']],
  },
  {
    title: 'Processes',
    prose: `Settings that are ours and that Postfix does not have: how many processes serve the network, how many clients a
      service takes where master.cf has "-", which services share a process, and whether each client gets a process of
      its own.`,
    examples: [['service_processes', '2'], ['service_client_limit', '2000'], ['service_groups', ''], ['process_clients', '1']],
  },
  {
    title: 'The compiled sendmail',
    prose: `Where to tell a compiled sendmail (native/build/sendmail of the installation, or a copy for one instance) how to
      reach this mail system: beside that program. Empty is for the instance in /etc/postfix.`,
    examples: [['sendmail_socket_file', '/opt/lists/native/build/sendmail.socket']],
  },
];

/** The stock main.cf. */
export function renderMain(): string {
  const parts = [`# main.cf: the settings of the mail system. Every name is explained by "man 5 postconf".\n`];
  for (const { title, prose, active = [], examples = [] } of mainSections) {
    parts.push(`# ${title.toUpperCase()}\n#\n${comment(prose)}`);
    if (examples.length > 0) parts.push(`#\n${examples.map(example).join('')}`.replace(/^#\n/, '#\n'));
    for (const [name, value] of active) parts.push(`${known(name)} = ${value}\n`);
    parts.push('\n');
  }
  return `${parts.slice(0, 1).join('')}\n${parts.slice(1).join('').trimEnd()}\n`;
}

function example([name, value]: readonly [string, string]): string {
  const text = defaultOf(known(name));
  const note = text === undefined ? 'default: of this machine' : text === '' ? 'default: empty' : `default: ${text}`;
  return `${folded(`#   ${note}`)}#${name} = ${value}`.trimEnd() + '\n';
}

function defaultOf(name: string): string | undefined {
  const card = cardOf(name) ?? splitFamilyName(name)?.card;
  return card?.computed ? undefined : card?.default;
}

function known(name: string): string {
  if (!cardOf(name) && !splitFamilyName(name)) throw new Error(`${name} has no card`);
  return name;
}

// Defaults may be long lists.
function folded(line: string): string {
  return line.length <= width ? `${line}\n` : `${line.slice(0, width - 4).replace(/\s\S*$/, '')} ...\n`;
}
