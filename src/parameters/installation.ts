// Where things are installed, and under whose name they run.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';
import { mailReleaseDate, mailVersion } from './version.ts';

export const installationParameters = {
  command_directory: { kind: 'str', default: '/usr/sbin', minLength: 1 },
  config_directory: { kind: 'str', default: '/etc/postfix', computed: true },
  daemon_directory: { kind: 'str', default: '/usr/libexec/postfix', minLength: 1 },
  data_directory: { kind: 'str', default: '/var/lib/postfix', minLength: 1, since: '2.5' },
  html_directory: { kind: 'str', default: 'no', minLength: 1 },
  mail_name: { kind: 'str', default: 'Postfix', minLength: 1 },
  mail_owner: { kind: 'str', default: 'postfix', minLength: 1 },
  mail_release_date: { kind: 'str', default: mailReleaseDate, minLength: 1 },
  mail_version: { kind: 'str', default: mailVersion, minLength: 1 },
  mailq_path: { kind: 'str', default: '/usr/bin/mailq', minLength: 1 },
  manpage_directory: { kind: 'str', default: '/usr/local/man', minLength: 1 },
  meta_directory: { kind: 'str', default: '/etc/postfix', minLength: 1, since: '3.0' },
  newaliases_path: { kind: 'str', default: '/usr/bin/newaliases', minLength: 1 },
  process_id_directory: { kind: 'str', default: 'pid', minLength: 1 },
  readme_directory: { kind: 'str', default: 'no', minLength: 1 },
  sample_directory: { kind: 'str', default: '/etc/postfix', minLength: 1 },
  sendmail_path: { kind: 'str', default: '/usr/sbin/sendmail', minLength: 1 },
  setgid_group: { kind: 'str', default: 'postdrop', minLength: 1 },
  shlib_directory: { kind: 'str', default: 'no', minLength: 1, since: '3.0' },
} as const satisfies Cards;
