/**
 * Stands in for the daemon's policy when dialogues are played on the machine alone: knows the stage's domains and users,
 * and the default smtpd_relay_restrictions. Real verdicts are the daemon's; these need only be right for the corpus.
 */
import { isIPv4 } from 'node:net';
import { defaultSettings, forbiddenByDefault } from '../../src/protocol/smtp-server/settings.ts';
import type { SmtpServerSettings } from '../../src/protocol/smtp-server/settings.ts';
import { strangerOf } from '../../src/protocol/smtp-server/peer.ts';
import { reply, say } from '../../src/protocol/smtp-server/reply.ts';
import type { Question, Reply, Verdict } from '../../src/protocol/smtp-server/steps.ts';
import { Logins } from './logins.ts';
import { aliases, localDomains, mailboxes, mainCf, relayRecipients, users } from './stage.ts';

type Kind = 'number' | 'boolean' | 'time' | 'text';

const kinds: Readonly<Record<string, Kind>> = {
  line_length_limit: 'number', message_size_limit: 'number', smtpd_recipient_limit: 'number',
  smtpd_recipient_overshoot_limit: 'number', smtpd_hard_error_limit: 'number', smtpd_soft_error_limit: 'number',
  smtpd_error_sleep_time: 'time', smtpd_junk_command_limit: 'number', smtpd_timeout: 'time',
  smtpd_helo_required: 'boolean', disable_vrfy_command: 'boolean', strict_rfc821_envelopes: 'boolean',
  smtputf8_enable: 'boolean', strict_smtputf8: 'boolean', soft_bounce: 'boolean',
  smtpd_forbid_bare_newline: 'text', smtpd_forbid_bare_newline_reject_code: 'number',
  smtpd_forbid_unauth_pipelining: 'boolean', smtpd_banner: 'text', smtpd_sasl_auth_enable: 'boolean', smtpd_tls_auth_only: 'boolean',
  smtpd_sasl_response_limit: 'number', broken_sasl_auth_clients: 'boolean', verp_delimiter_filter: 'text', default_verp_delimiters: 'text',
};

function valueOf(kind: Kind, text: string): number | boolean | string {
  if (kind === 'number') return Number(text);
  if (kind === 'time') return Number(text.replace(/s$/, ''));
  return kind === 'boolean' ? text === 'yes' : text;
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

/** main.cf of the stage and of the dialogue, as the machine wants it. */
export function machineSettings(own: ReadonlyMap<string, string>): SmtpServerSettings {
  const settings: Record<string, unknown> = { ...defaultSettings('mx.dialog.test', 'unknown[127.0.0.1]') };
  for (const [name, text] of [...mainCf, ...own]) {
    const kind = kinds[name];
    if (kind !== undefined) settings[name] = valueOf(kind, text);
  }
  const level = own.get('smtpd_tls_security_level') ?? 'none';
  settings.smtpd_use_tls = level !== 'none';
  settings.smtpd_enforce_tls = level === 'encrypt';
  const discarded = words(own.get('smtpd_discard_ehlo_keywords') ?? '');
  settings.discardedKeywords = new Set(discarded.map((word) => word.toLowerCase()));
  const noop = words(own.get('smtpd_noop_commands') ?? '').map((word) => word.toLowerCase());
  settings.isNoopCommand = (word: string) => noop.includes(word.toLowerCase());
  const forbidden = own.get('smtpd_forbidden_commands');
  const list = words(forbidden ?? '').map((word) => word.toLowerCase());
  settings.isForbiddenCommand = (word: string) =>
    forbidden === undefined ? forbiddenByDefault(word) : list.includes(word.toLowerCase());
  return settings as unknown as SmtpServerSettings;
}

const accept: Verdict = { accept: true };
const refuse = (code: number, status: string, text: string): Verdict => ({ accept: false, reply: reply(code, status, text) });

/** Verdicts for a stage with these additional main.cf settings. */
export class VerdictGiver {
  readonly #own: ReadonlyMap<string, string>;
  #messages = 0;
  readonly #logins: Logins;

  constructor(own: ReadonlyMap<string, string>) {
    this.#own = own;
    this.#logins = new Logins(own);
  }

  verdict(question: Question): Verdict {
    switch (question.verb) {
      case 'COMMAND': case 'XCLIENT': return accept;
      case 'CONNECT': return this.#connected(this.#listed('smtpd_client_restrictions', 554, '5.7.1', '<unknown[127.0.0.1]>: Client host rejected: Access denied'));
      case 'HELO': case 'EHLO': return this.#logins.offer(this.#listed('smtpd_helo_restrictions', 554, '5.7.1', `<${question.name}>: Helo command rejected: Access denied`));
      case 'STARTTLS': return this.#own.has('smtpd_tls_chain_files') ? this.#logins.secured() : { accept: false, reply: say.tlsUnavailable };
      case 'AUTH': return this.#logins.begin(question.objection, question.mechanism, question.initial);
      case 'RESPONSE': return this.#logins.respond(question.response);
      case 'MAIL': return resolves(question.sender) ? accept : refuse(501, '5.1.7', 'Bad sender address syntax');
      case 'RCPT': return question.objection !== undefined && resolves(question.recipient) ? accept : this.#recipient(question.recipient);
      case 'VRFY': return this.#recipient(question.address);
      case 'DATA': return this.#listed('smtpd_data_restrictions', 554, '5.7.1', '<DATA>: Data command rejected: Access denied');
      case 'END': return this.#own.has('smtpd_end_of_data_restrictions')
        ? refuse(554, '5.7.1', '<END-OF-MESSAGE>: End-of-data rejected: Access denied')
        : { accept: true, queueId: `M${++this.#messages}` };
      case 'ETRN': return { accept: false, reply: { code: 459, text: `<${question.domain}>: service unavailable` } };
      case 'UNKNOWN': return accept;
    }
  }

  /** Lists of trusted clients have the stage's client or nobody. */
  #connected(verdict: Verdict): Verdict {
    const settings = machineSettings(this.#own);
    const may = (name: string): boolean => this.#own.get(name)?.startsWith('127.') ?? false;
    const peer = {
      ...strangerOf(settings), xclient: may('smtpd_authorized_xclient_hosts'), xforward: may('smtpd_authorized_xforward_hosts'), verp: may('smtpd_authorized_verp_clients'),
    };
    return { ...verdict, peer };
  }

  // With smtpd_delay_reject (the default) client and HELO restrictions speak at RCPT only.
  #listed(name: string, code: number, status: string, text: string): Verdict {
    const delayed = name !== 'smtpd_data_restrictions' && this.#own.get('smtpd_delay_reject') !== 'no';
    return this.#own.get(name) === 'reject' && !delayed ? refuse(code, status, text) : accept;
  }

  #recipient(address: string): Verdict {
    if (!resolves(address)) return refuse(501, '5.1.3', 'Bad recipient address syntax');
    const { local, domain } = parts(address);
    const trusted = this.#own.get('mynetworks')?.startsWith('127.') ?? false;
    const known = knownIn(local, domain);
    if (known === undefined && !trusted) return refuse(454, '4.7.1', `<${address}>: Relay access denied`);
    if (known !== undefined && !known.user) {
      return refuse(550, '5.1.1', `<${address}>: Recipient address rejected: User unknown in ${known.table} table`);
    }
    return accept;
  }
}

interface Parts { readonly local: string; readonly domain: string }

function parts(address: string): Parts {
  const at = address.lastIndexOf('@');
  const local = (at < 0 ? address : address.slice(0, at)).toLowerCase();
  return { local, domain: at < 0 ? 'dialog.test' : address.slice(at + 1).toLowerCase() };
}

interface Known { readonly user: boolean; readonly table: string }

/** Routing hidden in the local part: a@b@here, a%b@here, b!a. Nothing that a stranger may use. */
const routed = /[@%!]/;

/** Undefined: mail for others, that this host would relay. */
function knownIn(local: string, domain: string): Known | undefined {
  if (routed.test(local)) return undefined;
  const address = `${local}@${domain}`;
  const has = (list: readonly string[]): boolean => list.includes(address);
  if (localDomains.some((name) => name === domain)) return { user: users.some((name) => name === local), table: 'local recipient' };
  if (domain === 'alias.test') return { user: has(aliases), table: 'virtual alias' };
  if (domain === 'box.test') return { user: has(mailboxes), table: 'virtual mailbox' };
  if (domain === 'relay.test') return { user: has(relayRecipients), table: 'relay recipient' };
  return undefined;
}

/** What the address resolver would say of the domain's syntax. */
function resolves(address: string): boolean {
  const at = address.lastIndexOf('@');
  const domain = at < 0 ? 'dialog.test' : address.slice(at + 1);
  if (address.startsWith('-') || address.endsWith('@@')) return false;
  if (domain === '') return true;
  if (/^\[.*\]$/.test(domain)) return isIPv4(domain.slice(1, -1)) || /^\[ipv6:[0-9a-f:.]+\]$/i.test(domain);
  return /^[0-9a-z_\x80-\xff](?:[0-9a-z_\x80-\xff.-]*[0-9a-z_\x80-\xff])?$/i.test(domain) && !/\.\.|-\.|\.-|^[0-9.]+$/.test(domain);
}

export type { Reply };
