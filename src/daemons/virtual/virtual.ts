/**
 * virtual(8): delivers to mailboxes and Maildirs of people who have no account, all of them below virtual_mailbox_base.
 *
 * The tables say where and with whose rights; nothing is ever done with other rights than these. No aliases, no .forward, no
 * commands.
 */
import type { Stats } from 'node:fs';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { openAgent, type AgentOptions, type Delivery } from '../../delivery/agent.ts';
import { copyOf, maildirForm, mailboxForm, type CopyForm, type MessageCopy } from '../../delivery/content.ts';
import { deliveryKey } from '../../delivery/delivery-key.ts';
import { lockParameters, lockPatience } from '../../delivery/dotlock.ts';
import type { Failure } from '../../delivery/failure.ts';
import { checkSizeLimit, Mailboxes, parseMailboxLocks, type MailboxLocks } from '../../delivery/mailbox.ts';
import { Maildirs } from '../../delivery/maildir.ts';
import { isTraceOnly, reportServices } from '../../delivery/reports.ts';
import type { Recipient } from '../../ipc/deliver.ts';
import type { Daemon, Tools } from '../../server/daemon.ts';
import { addressRules, fastFlushSites, localDomains } from '../../tables/lists.ts';
import { openMaps } from '../../tables/maps.ts';
import { tableContext } from '../../tables/table.ts';
import { foldCase } from '../../text/utf8.ts';
import { mailboxOf, type MailboxTables, type VirtualMailbox } from './mailbox-of.ts';

const parameters = [
  ...lockParameters, 'virtual_mailbox_maps', 'virtual_uid_maps', 'virtual_gid_maps', 'virtual_minimum_uid', 'virtual_mailbox_base',
  'virtual_mailbox_lock', 'virtual_mailbox_limit', 'virtual_delivery_status_filter', 'message_size_limit', 'strict_mailbox_ownership',
  'enable_original_recipient',
] as const;

function prepare(tools: Tools): AgentOptions {
  const view = tools.config.view(parameters);
  checkSizeLimit('virtual_mailbox_limit', view.virtual_mailbox_limit, view.message_size_limit);
  if (!view.virtual_mailbox_base.startsWith('/'))
    throw new ConfigurationError(`do not specify relative pathname: virtual_mailbox_base = ${view.virtual_mailbox_base}`, tools.config.origin('virtual_mailbox_base'));
  const context = tableContext(tools.config, tools.log, tools.restart);
  const maps = (name: 'virtual_mailbox_maps' | 'virtual_uid_maps' | 'virtual_gid_maps') => openMaps(view[name], context, name, { sensitive: true, noSubstitution: true });
  const filter = openMaps(view.virtual_delivery_status_filter, context, 'virtual_delivery_status_filter', { fold: false });
  const agent = new VirtualAgent({
    tables: {
      mailboxes: maps('virtual_mailbox_maps'), uids: maps('virtual_uid_maps'), gids: maps('virtual_gid_maps'),
      base: view.virtual_mailbox_base, minimumUid: view.virtual_minimum_uid,
      rules: addressRules(tools.config, localDomains(tools.config, context)),
    },
    mailboxes: new Mailboxes(tools.log, lockPatience(view, () => tools.clock.now())),
    maildirs: new Maildirs(tools.log, () => tools.clock.now()),
    locks: parseMailboxLocks('virtual_mailbox_lock', view.virtual_mailbox_lock),
    sizeLimit: view.virtual_mailbox_limit,
    strictOwner: view.strict_mailbox_ownership,
    originalTo: view.enable_original_recipient,
    now: () => tools.clock.now(),
  });
  return { deliver: (delivery) => agent.deliver(delivery), statusFilter: filter.isEmpty ? undefined : filter, fastFlush: fastFlushSites(tools.config, context) };
}

interface VirtualTools {
  readonly tables: MailboxTables;
  readonly mailboxes: Mailboxes;
  readonly maildirs: Maildirs;
  readonly locks: MailboxLocks;
  readonly sizeLimit: number;
  readonly strictOwner: boolean;
  readonly originalTo: boolean;
  readonly now: () => number;
}

class VirtualAgent {
  readonly #tools: VirtualTools;

  constructor(tools: VirtualTools) {
    this.#tools = tools;
  }

  async deliver(delivery: Delivery): Promise<void> {
    for (const recipient of delivery.request.recipients) await this.#toRecipient(delivery, recipient);
  }

  async #toRecipient(delivery: Delivery, recipient: Recipient): Promise<unknown> {
    const { outcome, log, request } = delivery;
    const user = foldCase(recipient.address);
    const mailbox = await mailboxOf(user, this.#tools.tables, log);
    if (mailbox === undefined) return outcome.bounced(recipient, { dsn: '5.1.1', text: `unknown user: "${user}"` });
    if ('dsn' in mailbox) return outcome.deferred(recipient, mailbox);
    const kind = mailbox.path.endsWith('/') ? 'maildir' : 'mailbox';
    if (isTraceOnly(request.flags)) return outcome.sent(recipient, { dsn: '2.0.0', text: `delivers to ${kind}` });
    const failure = kind === 'maildir' ? await this.#toMaildir(delivery, recipient, mailbox) : await this.#toMailbox(delivery, recipient, mailbox);
    if (failure !== undefined) return outcome.failed(recipient, failure);
    return outcome.sent(recipient, { dsn: '2.0.0', text: `delivered to ${kind}` });
  }

  #toMaildir(delivery: Delivery, recipient: Recipient, { path, rights }: VirtualMailbox): Promise<Failure | undefined> {
    const { maildirs, sizeLimit } = this.#tools;
    const key = deliveryKey(delivery.request, recipient);
    return maildirs.append({ path, rights, sizeLimit, otherwise: '4.2.0', key }, () => this.#copy(delivery, recipient, maildirForm));
  }

  async #toMailbox(delivery: Delivery, recipient: Recipient, mailbox: VirtualMailbox): Promise<Failure | undefined> {
    const { mailboxes, locks, sizeLimit } = this.#tools;
    const { path, rights } = mailbox;
    const accept = (status: Stats): Failure | undefined => this.#refuse(delivery, recipient, mailbox, status);
    const target = { path, openAs: rights, writeAs: rights, locks, sizeLimit, otherwise: '4.2.0', accept, key: deliveryKey(delivery.request, recipient) };
    const failure = await mailboxes.append(target, () => this.#copy(delivery, recipient, mailboxForm));
    return failure && { ...failure, text: `delivery failed to mailbox ${path}: ${failure.text}` };
  }

  #refuse({ log }: Delivery, recipient: Recipient, { path, rights }: VirtualMailbox, status: Stats): Failure | undefined {
    if (!status.isFile()) {
      log.warning(`recipient ${recipient.address}: destination ${path} is not a regular file`);
      return { dsn: '5.3.5', text: 'mail system configuration error' };
    }
    if (!this.#tools.strictOwner || status.uid === rights.uid) return undefined;
    log.warning('specify "strict_mailbox_ownership = no" to ignore mailbox ownership mismatch');
    return { dsn: '4.2.0', text: `destination ${path} is not owned by recipient` };
  }

  #copy(delivery: Delivery, { address, originalAddress }: Recipient, form: CopyForm): MessageCopy {
    const originalRecipient = this.#tools.originalTo ? originalAddress : '';
    return copyOf(delivery, form, { sender: delivery.request.sender, originalRecipient, delivered: address }, this.#tools.now());
  }
}

export const daemon: Daemon = {
  card: {
    name: 'virtual',
    summary: 'delivers to mailboxes and Maildirs of virtual domains',
    group: 'delivery',
    calls: reportServices,
    privileges: { user: 'recipient', network: false, writes: ['active', 'mailboxes'] },
    row: 'virtual   unix  -       n       n       -       -       virtual',
    standards: ['RFC 822'],
  },
  open: (tools) => openAgent(tools, () => prepare(tools)),
};
