/**
 * What main.cf tells local(8), read and opened once. What makes no sense is a ConfigurationError.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import { lockParameters, lockPatience } from '../../delivery/dotlock.ts';
import { exportedEnvironment } from '../../delivery/environment.ts';
import type { Rights } from '../../delivery/failure.ts';
import { checkSizeLimit, Mailboxes, parseMailboxLocks, type MailboxLocks } from '../../delivery/mailbox.ts';
import { Maildirs } from '../../delivery/maildir.ts';
import { getpwnam } from '../../host/identity.ts';
import { internalMailParameters } from '../../ipc/internal-mail.ts';
import { rewriteService } from '../../ipc/rewrite.ts';
import type { Calls } from '../../ipc/service.ts';
import type { ExtensionOptions } from '../../message/address.ts';
import type { View } from '../../parameters/parameters.ts';
import type { Tools } from '../../server/daemon.ts';
import { openMaps, type Maps } from '../../tables/maps.ts';
import { tableContext } from '../../tables/table.ts';
import { parseNameMask, type NameTable } from '../../text/name-mask.ts';
import { Biff } from './biff.ts';

export const localParameters = [
  ...lockParameters, ...internalMailParameters,
  'alias_maps', 'allow_mail_to_commands', 'allow_mail_to_files', 'biff', 'cleanup_service_name', 'command_execution_directory',
  'command_expansion_filter', 'command_time_limit', 'default_privs', 'double_bounce_sender', 'duplicate_filter_limit',
  'enable_original_recipient', 'execution_directory_expansion_filter', 'expand_owner_alias', 'export_environment', 'fallback_transport',
  'fallback_transport_maps', 'forward_expansion_filter', 'forward_path', 'frozen_delivered_to', 'home_mailbox', 'line_length_limit',
  'local_command_shell', 'local_delivery_status_filter', 'luser_relay', 'mail_name', 'mail_owner', 'mail_spool_directory',
  'mailbox_command', 'mailbox_command_maps', 'mailbox_delivery_lock', 'mailbox_size_limit', 'mailbox_transport',
  'mailbox_transport_maps', 'message_size_limit', 'myhostname', 'owner_request_special', 'prepend_delivered_header',
  'propagate_unmatched_extensions', 'recipient_delimiter', 'require_home_directory', 'reset_owner_alias', 'rewrite_service_name',
  'smtputf8_enable', 'strict_mailbox_ownership', 'sun_mailtool_compatibility',
] as const;

export type LocalView = View<typeof localParameters>;

/** How a destination was found: in an alias table, a .forward file or an :include: file. */
export const expansion = { none: 0, alias: 1, forward: 2, include: 4 } as const;
export type ExpansionKind = (typeof expansion)[keyof typeof expansion];

const expansionNames: NameTable = [['alias', 1], ['forward', 2], ['include', 4]];

/** When a Delivered-To: header is put in front. */
export const deliveredHeader = { command: 1, file: 2, forward: 4 } as const;

const deliveredNames: NameTable = [['command', 1], ['file', 2], ['forward', 4]];

const propagationNames: NameTable = [['canonical', 1], ['virtual', 2], ['alias', 4], ['forward', 8], ['include', 16], ['generic', 32]];

export interface LocalSettings {
  readonly tools: Tools;
  readonly view: LocalView;
  /** master.cf name of the service: addresses that resolve to it are delivered here. */
  readonly service: string;
  readonly aliases: Maps;
  readonly mailboxTransports: Maps;
  readonly mailboxCommands: Maps;
  readonly fallbackTransports: Maps;
  readonly statusFilter: Maps;
  readonly rewrite: Calls<typeof rewriteService>;
  readonly mailboxes: Mailboxes;
  readonly maildirs: Maildirs;
  readonly locks: MailboxLocks;
  /** Undefined: nobody is told of new mail. */
  readonly biff: Biff | undefined;
  /** default_privs: who runs the commands and writes the files of root's aliases. */
  readonly defaultRights: Rights;
  readonly environment: Readonly<Record<string, string>>;
  readonly commandsFrom: number;
  readonly filesFrom: number;
  readonly deliveredHeaders: number;
  readonly propagates: { readonly alias: boolean; readonly forward: boolean; readonly include: boolean };
  readonly extensions: ExtensionOptions;
  now(): number;
}

export function localSettings(tools: Tools): LocalSettings {
  const view = tools.config.view(localParameters);
  checkSizeLimit('mailbox_size_limit', view.mailbox_size_limit, view.message_size_limit);
  const now = () => tools.clock.now();
  const sensitive = { sensitive: true, noSubstitution: true };
  const context = tableContext(tools.config, tools.log, tools.restart);
  const propagation = mask('propagate_unmatched_extensions', propagationNames, view);
  return {
    tools, view, now,
    service: tools.row.service,
    aliases: openMaps(view.alias_maps, context, 'aliases', sensitive),
    mailboxTransports: openMaps(view.mailbox_transport_maps, context, 'mailbox_transport_maps', { noSubstitution: true }),
    mailboxCommands: openMaps(view.mailbox_command_maps, context, 'mailbox_command_maps', sensitive),
    fallbackTransports: openMaps(view.fallback_transport_maps, context, 'fallback_transport_maps', { noSubstitution: true }),
    statusFilter: openMaps(view.local_delivery_status_filter, context, 'local_delivery_status_filter', { fold: false }),
    rewrite: tools.services.connect(rewriteService, view.rewrite_service_name),
    mailboxes: new Mailboxes(tools.log, lockPatience(view, now)),
    maildirs: new Maildirs(tools.log, now),
    locks: locksOf(tools, view),
    biff: view.biff ? new Biff() : undefined,
    defaultRights: defaultRights(view, tools.config.directory),
    environment: exportedEnvironment(view.export_environment),
    commandsFrom: mask('allow_mail_to_commands', expansionNames, view),
    filesFrom: mask('allow_mail_to_files', expansionNames, view),
    deliveredHeaders: mask('prepend_delivered_header', deliveredNames, view),
    propagates: { alias: (propagation & 4) !== 0, forward: (propagation & 8) !== 0, include: (propagation & 16) !== 0 },
    extensions: { doubleBounceSender: view.double_bounce_sender, ownerRequestSpecial: view.owner_request_special },
  };
}

type MaskName = 'allow_mail_to_commands' | 'allow_mail_to_files' | 'prepend_delivered_header' | 'propagate_unmatched_extensions';

function mask(name: MaskName, names: NameTable, view: LocalView): number {
  const result = parseNameMask(name, names, view[name]);
  if ('error' in result) throw new ConfigurationError(result.error, undefined, `known are ${names.map(([known]) => known).join(', ')}`);
  return result.mask;
}

function locksOf({ log }: Tools, view: LocalView): MailboxLocks {
  const locks = parseMailboxLocks('mailbox_delivery_lock', view.mailbox_delivery_lock);
  if (!view.sun_mailtool_compatibility) return locks;
  log.warning('sun_mailtool_compatibility: deprecated parameter, use "mailbox_delivery_lock = dotlock" instead');
  if (!locks.dotlock) throw new ConfigurationError('parameter mailbox_delivery_lock specifies no applicable mailbox locking method');
  return { dotlock: true, flock: false, fcntl: false };
}

function defaultRights({ default_privs: name, mail_owner: owner }: LocalView, directory: string): Rights {
  const wrong = (what: string): never => {
    throw new ConfigurationError(`file ${directory}/main.cf: parameter default_privs: ${what}`, undefined, 'name an account that is nobody\'s, such as nobody');
  };
  const account = getpwnam(name);
  if (account === undefined) return wrong(`unknown user name value: ${name}`);
  if (account.uid === 0) wrong(`user ${name} has privileged user ID`);
  if (account.gid === 0) wrong(`user ${name} has privileged group ID`);
  if (account.uid === getpwnam(owner)?.uid) wrong(`user ${name} is the mail system owner`);
  return { uid: account.uid, gid: account.gid };
}
