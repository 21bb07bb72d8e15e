/**
 * How much one client may ask of us: connections at a time, and connections, messages and recipients per time unit.
 *
 * anvil(8) counts, here it is decided. Clients that smtpd_client_event_limit_exceptions lists are not even counted, nor those that speak
 * for others (smtpd_authorized_xclient_hosts): whom they speak for is. When anvil is out of reach there is no limit: counting is no
 * reason to refuse mail, nor to let a client wait for long. When the list is out of reach nobody is excepted.
 */
import { anvilService } from '../../ipc/anvil.ts';
import { ServiceTrouble, type Calls } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { unknownValue } from '../../protocol/smtp-server/client-attributes.ts';
import { reply } from '../../protocol/smtp-server/reply.ts';
import type { Reply } from '../../protocol/smtp-server/steps.ts';
import type { Tools } from '../../server/daemon.ts';
import { clients } from '../../tables/lists.ts';
import { TableTrouble, type TableContext } from '../../tables/table.ts';
import { parseIpAddress, renderIpAddress } from '../../text/cidr.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Client } from './access/state.ts';
import { patient, ServiceRests } from './patient-calls.ts';

export const countParameters = [
  'myhostname', 'smtpd_client_connection_count_limit', 'smtpd_client_connection_rate_limit', 'smtpd_client_message_rate_limit',
  'smtpd_client_recipient_rate_limit', 'smtpd_client_new_tls_session_rate_limit', 'smtpd_client_auth_rate_limit',
  'smtpd_client_ipv4_prefix_length', 'smtpd_client_ipv6_prefix_length', 'smtpd_client_count_timeout',
] as const;

/** One client's counts. Refusals are told to the log. */
export interface ClientCounts {
  /** Before the greeting. */
  connected(): MaybePromise<Reply | undefined>;
  message(): MaybePromise<Reply | undefined>;
  recipient(): MaybePromise<Reply | undefined>;
  /** Before AUTH is looked at. */
  auth(): MaybePromise<Reply | undefined>;
  /** May another TLS handshake begin? Asked before the work is done. */
  mayStartTls(): MaybePromise<boolean>;
  /** A handshake that resumed no session is over: how many there were, when that is too many. */
  startedTls(): MaybePromise<number | undefined>;
  /** How many connections the client has, where that was asked. */
  readonly connections?: number | undefined;
  /** The client is gone. */
  gone(): void;
}

export type CountsFor = (client: Client, log: Log) => ClientCounts;

type Anvil = Calls<typeof anvilService>;
type Limits = ReturnType<typeof limitsOf>;

function limitsOf(tools: Tools) {
  const view = tools.config.view(countParameters);
  return {
    hostname: view.myhostname, service: tools.row.service,
    connections: view.smtpd_client_connection_count_limit, connectionRate: view.smtpd_client_connection_rate_limit,
    messageRate: view.smtpd_client_message_rate_limit, recipientRate: view.smtpd_client_recipient_rate_limit,
    newTls: view.smtpd_client_new_tls_session_rate_limit, authRate: view.smtpd_client_auth_rate_limit,
    prefix4: view.smtpd_client_ipv4_prefix_length, prefix6: view.smtpd_client_ipv6_prefix_length,
  };
}

const uncounted: ClientCounts = {
  connected: () => undefined, message: () => undefined, recipient: () => undefined, auth: () => undefined, mayStartTls: () => true, startedTls: () => undefined, gone: () => undefined,
};

/** Lists are opened now. */
export function clientCounts(tools: Tools, context: TableContext): CountsFor {
  const limits = limitsOf(tools);
  const { connections, connectionRate, messageRate, recipientRate, newTls, authRate } = limits;
  if (connections + connectionRate + messageRate + recipientRate + newTls + authRate === 0) return () => uncounted;
  const isListed = clients('smtpd_client_event_limit_exceptions', tools.config, context);
  const speaksForOthers = clients('smtpd_authorized_xclient_hosts', tools.config, context);
  const isExempt: Exempt = (name, address) => chain(isListed(name, address), (listed) => listed || speaksForOthers(name, address));
  const anvil = patient(tools.services.connect(anvilService), anvilService.name, tools.clock, tools.config.get('smtpd_client_count_timeout') * 1000);
  return (client, log) => new Counted(client, log, limits, anvil, isExempt);
}

type Exempt = (name: string, address: string) => MaybePromise<boolean>;

class Counted implements ClientCounts {
  readonly #client: Client;
  readonly #log: Log;
  readonly #limits: Limits;
  readonly #anvil: Anvil;
  readonly #isExempt: Exempt;
  connections: number | undefined;
  #key = '';
  #counts = false;
  #isGone = false;

  constructor(client: Client, log: Log, limits: Limits, anvil: Anvil, isExempt: Exempt) {
    this.#client = client;
    this.#log = log;
    this.#limits = limits;
    this.#anvil = anvil;
    this.#isExempt = isExempt;
  }

  // Reported even when nothing limits connections: else anvil would forget the other rates too early.
  connected(): MaybePromise<Reply | undefined> {
    const listed = this.#isListed();
    return isPending(listed) ? listed.then((late) => this.#beginCount(late)) : this.#beginCount(listed);
  }

  #beginCount(listed: boolean): MaybePromise<Reply | undefined> {
    if (listed || this.#isGone) return undefined;
    this.#counts = true;
    this.#key = this.#name();
    return this.#countConnection();
  }

  async #countConnection(): Promise<Reply | undefined> {
    const answer = await this.#ask(() => this.#anvil.connect({ client: this.#key }));
    if (answer === undefined) return undefined;
    this.connections = answer.count;
    const { connections, connectionRate, hostname } = this.#limits;
    const refusal = reply(421, '4.7.0', `${hostname} Error: too many connections from ${this.#client.address}`);
    if (connections > 0 && answer.count > connections) return this.#refuse('Connection concurrency', answer.count, refusal);
    return connectionRate > 0 && answer.rate > connectionRate ? this.#refuse('Connection rate', answer.rate, refusal) : undefined;
  }

  message(): MaybePromise<Reply | undefined> {
    const limit = this.#limits.messageRate;
    if (!this.#counts || limit === 0) return undefined;
    return this.#limited(() => this.#anvil.message({ client: this.#key }), limit, 'Message delivery request rate', 'too much mail');
  }

  recipient(): MaybePromise<Reply | undefined> {
    const limit = this.#limits.recipientRate;
    if (!this.#counts || limit === 0) return undefined;
    return this.#limited(() => this.#anvil.recipient({ client: this.#key }), limit, 'Recipient address rate', 'too many recipients');
  }

  auth(): MaybePromise<Reply | undefined> {
    const limit = this.#limits.authRate;
    if (!this.#counts || limit === 0) return undefined;
    return this.#limited(() => this.#anvil.auth({ client: this.#key }), limit, 'AUTH command rate', 'too many AUTH commands');
  }

  // In wrapper mode these are asked before the connection is counted.
  mayStartTls(): MaybePromise<boolean> {
    const { newTls: limit } = this.#limits;
    if (limit === 0) return true;
    return chain(this.#isListed(), async (listed) => {
      const known = listed ? undefined : await this.#ask(() => this.#anvil.lookup({ client: this.#name() }));
      return known === undefined || known.newtls <= limit;
    });
  }

  startedTls(): MaybePromise<number | undefined> {
    const { newTls: limit, service } = this.#limits;
    if (limit === 0) return undefined;
    return chain(this.#isListed(), async (listed) => {
      const answer = listed ? undefined : await this.#ask(() => this.#anvil.newtls({ client: this.#name() }));
      if (answer === undefined || answer.rate <= limit) return undefined;
      this.#log.warning(`New TLS session rate limit exceeded: ${answer.rate} from ${this.#client.label} for service ${service}`);
      return answer.rate;
    });
  }

  #name(): string {
    return `${this.#limits.service}:${network(this.#client.address, this.#limits)}`;
  }

  gone(): void {
    this.#isGone = true;
    if (!this.#counts) return;
    this.#counts = false;
    void this.#ask(() => this.#anvil.disconnect({ client: this.#key }));
  }

  /** A list that cannot be asked exempts nobody: the worst that follows is a 421. */
  #isListed(): MaybePromise<boolean> {
    const { name, address } = this.#client;
    if (address === '' || address === unknownValue) return true;
    try {
      const listed = this.#isExempt(name, address);
      return isPending(listed) ? listed.catch((error: Error) => this.#exemptsNobody(error)) : listed;
    } catch (error) {
      return this.#exemptsNobody(error as Error);
    }
  }

  #exemptsNobody(error: Error): boolean {
    if (!(error instanceof TableTrouble)) throw error;
    this.#log.warning(error.message);
    return false;
  }

  async #limited(question: () => MaybePromise<{ rate: number }>, limit: number, what: string, complaint: string): Promise<Reply | undefined> {
    const answer = await this.#ask(question);
    if (answer === undefined || answer.rate <= limit) return undefined;
    return this.#refuse(what, answer.rate, reply(450, '4.7.1', `Error: ${complaint} from ${this.#client.address}`));
  }

  async #ask<T>(question: () => MaybePromise<T>): Promise<T | undefined> {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof ServiceTrouble)) throw error;
      if (error instanceof ServiceRests) return undefined;
      this.#log.warning(`${error.message} -- client limits are not enforced`);
      return undefined;
    }
  }

  #refuse(what: string, value: number, refusal: Reply): Reply {
    this.#log.warning(`${what} limit exceeded: ${value} from ${this.#client.label} for service ${this.#limits.service}`);
    return refusal;
  }
}

/** smtpd_client_ipv4_prefix_length, smtpd_client_ipv6_prefix_length: clients of one network may count as one. */
export function network(address: string, { prefix4, prefix6 }: { prefix4: number; prefix6: number }): string {
  const bytes = parseIpAddress(address);
  if (bytes === undefined) return address;
  const prefix = bytes.length === 4 ? prefix4 : prefix6;
  if (prefix >= bytes.length * 8 || prefix < 0) return renderIpAddress(bytes);
  const masked = bytes.map((byte, index) => byte & (0xff << Math.max(0, 8 - Math.max(0, prefix - index * 8))));
  return `${renderIpAddress(masked)}/${prefix}`;
}
