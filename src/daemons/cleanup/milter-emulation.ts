/**
 * Milters for mail that does not come by SMTP (non_smtpd_milters): cleanup has the connections, and plays the session that there was none
 * of - CONNECT, EHLO, MAIL, RCPT, DATA - before it shows the message.
 */
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { quote821Local } from '../../message/address.ts';
import { attributeName } from '../../message/envelope-names.ts';
import { HostsFile } from '../../network/hosts-file.ts';
import { MilterChain } from '../../network/milter-chain.ts';
import { lookupNative } from '../../network/native-lookup.ts';
import { Resolver } from '../../network/resolver.ts';
import type { ContentInspection } from '../../protocol/milter/inspection.ts';
import type { FilterVerdict } from '../../protocol/milter/reply.ts';
import type { MilterSettings } from '../../protocol/milter/settings.ts';
import type { Tools } from '../../server/daemon.ts';
import { openMilters, type Milters } from '../../server/milters.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';
import type { CleanupContext } from './context.ts';
import { clientOf } from './milter-client.ts';
import type { MessageState } from './state.ts';

export interface OtherMilters {
  readonly milters: Milters;
  readonly list: readonly MilterSettings[];
}

const parameters = ['non_smtpd_milters', 'resolver_configuration'] as const;

/** Undefined: none. */
export function openOtherMilters({ config, log, clock }: Tools): OtherMilters | undefined {
  const view = config.view(parameters);
  if (view.non_smtpd_milters === '') return undefined;
  const dns = new Resolver({ ticker: clock, warn: (text) => log.warning(text), file: view.resolver_configuration });
  const hosts = new HostsFile('/etc/hosts', clock);
  const milters = openMilters({ config, log, clock, native: (host) => lookupNative(host, hosts, dns) });
  try {
    return { milters, list: milters.list(view.non_smtpd_milters) };
  } catch (error) {
    log.fatal(`milter service syntax error: ${(error as Error).message}`);
  }
}

/** `recipient`: as the log names it; undefined: none was named yet. */
type Apply = (event: string, verdict: FilterVerdict, recipient: string | undefined) => boolean;

export class Emulation {
  readonly #context: CleanupContext;
  readonly #state: MessageState;
  readonly #apply: Apply;
  readonly #chain: MilterChain;
  /** As filters have heard of them last. */
  #sender: string | undefined;
  #recipient: string | undefined;
  #isClosed = false;

  constructor(context: CleanupContext, state: MessageState, apply: Apply) {
    this.#context = context;
    this.#state = state;
    this.#apply = apply;
    const { milters, list } = context.milters!;
    this.#chain = new MilterChain(list, milters.rules, milters.surroundings, (name) => this.#value(name));
  }

  /** The session as far as the message; undefined: it is refused, or nobody wants to see it. */
  async perform(): Promise<ContentInspection | undefined> {
    await this.#greet();
    if (!this.#isOk) return undefined;
    for (const recipient of this.#state.told ?? []) {
      this.#recipient = externalForm(recipient);
      const verdict = await this.#chain.rcpt([this.#recipient]);
      if (verdict !== undefined && this.#apply('RCPT', verdict, recipient)) this.#cannotRefuseRecipient();
      if (!this.#isOk) return undefined;
    }
    const verdict = await this.#chain.data();
    if (verdict !== undefined) this.#apply('DATA', verdict, this.#state.recipient);
    return this.#isOk ? this.#chain.inspection() : undefined;
  }

  get #isOk(): boolean {
    return this.#state.status === 0 && !this.#isClosed;
  }

  async #greet(): Promise<void> {
    const { attributes, sender } = this.#state;
    const client = clientOf(attributes);
    const port = /^[0-9]{1,5}$/.test(client.port) ? Math.min(Number(client.port), 65_535) : 0;
    let verdict = await this.#chain.connect({ name: client.name, address: client.address, port, family: client.family });
    if (verdict !== undefined) return void this.#apply('CONNECT', verdict, undefined);
    verdict = await this.#chain.hello(attributes.get(attributeName.heloName) ?? client.name);
    if (verdict !== undefined) return void this.#apply('EHLO', verdict, undefined);
    this.#sender = externalForm(sender ?? '');
    verdict = await this.#chain.mail([this.#sender]);
    if (verdict !== undefined) this.#apply('MAIL', verdict, undefined);
  }

  /** There is nobody who could be told of one recipient: the whole message waits until the milter is set right. */
  #cannotRefuseRecipient(): void {
    const { log } = this.#context;
    const { queueId } = this.#state;
    log.warning(`${queueId}: milter configuration error: can't reject recipient in non-smtpd(8) submission`);
    log.warning(`${queueId}: message not accepted, try again later`);
    this.#state.reason = '4.3.5 Server configuration error';
    this.#state.refuse(cleanupStatus.defer);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#chain.quit();
  }

  #value(name: string): string | undefined {
    const { attributes, queueId } = this.#state;
    const constant = this.#context.milters!.milters.constants.get(name);
    if (constant !== undefined) return constant;
    const client = clientOf(attributes);
    switch (name) {
      case '{_}': return `${client.reverseName} [${client.address}]${sameIgnoringCase(client.name, client.reverseName) ? '' : ' (may be forged)'}`;
      case '{client_addr}': return client.address;
      case '{client_name}': return client.name;
      case '{client_port}': return client.port === 'unknown' ? '0' : client.port;
      case '{client_ptr}': return client.reverseName;
      case '{daemon_addr}': return client.serverAddress;
      case '{daemon_port}': return client.serverPort === undefined || client.serverPort === 'unknown' ? '0' : client.serverPort;
      case '{i}': return queueId;
      case '{auth_type}': return attributes.get('sasl_method');
      case '{auth_authen}': return attributes.get('sasl_username');
      case '{auth_author}': return attributes.get('sasl_sender');
      case '{mail_addr}': return this.#sender;
      case '{rcpt_addr}': return this.#recipient;
      default: return undefined;
    }
  }
}

function externalForm(address: string): string {
  return address === '' ? '' : quote821Local(address);
}
