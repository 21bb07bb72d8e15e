/**
 * pipe(8): delivers to an external command, the words of which stand in master.cf.
 *
 * The command is never run with root's or the mail system's own rights, and never through a shell. Its exit status decides, as in
 * sysexits(3); what it says is logged and told to the sender.
 */
import { ExpansionError } from '../../config/expand.ts';
import type { MasterRow } from '../../config/master-cf.ts';
import { openAgent, type AgentOptions, type Delivery } from '../../delivery/agent.ts';
import { runCommand, type CommandOutcome } from '../../delivery/command.ts';
import { messageCopy } from '../../delivery/content.ts';
import { DeliveredTo } from '../../delivery/delivered-to.ts';
import { exportedEnvironment } from '../../delivery/environment.ts';
import { isTraceOnly, reportServices, type Report } from '../../delivery/reports.ts';
import type { Daemon, Tools } from '../../server/daemon.ts';
import { fastFlushSites } from '../../tables/lists.ts';
import { openMaps } from '../../tables/maps.ts';
import { tableContext } from '../../tables/table.ts';
import { trimWhite } from '../../text/ascii.ts';
import { pipeAttributes } from './attributes.ts';
import { commandWords, senderOf, UnknownMacro, type WordRules } from './command-words.ts';

const parameters = [
  'mail_owner', 'setgid_group', 'export_environment', 'recipient_delimiter', 'double_bounce_sender', 'owner_request_special',
  'enable_original_recipient', 'pipe_delivery_status_filter', 'smtputf8_enable',
] as const;

function prepare(tools: Tools): AgentOptions {
  const view = tools.config.view(parameters);
  const attributes = pipeAttributes(tools.row, view);
  const context = tableContext(tools.config, tools.log, tools.restart);
  const filter = openMaps(view.pipe_delivery_status_filter, context, 'pipe_delivery_status_filter', { fold: false });
  const agent = new PipeAgent({
    row: tools.row, attributes,
    masterCf: `${tools.config.directory}/master.cf`,
    timeLimit: tools.config.transport(tools.row.service, '_time_limit') * 1000,
    environment: exportedEnvironment(view.export_environment),
    originalTo: view.enable_original_recipient,
    utf8: view.smtputf8_enable,
    delimiters: view.recipient_delimiter,
    extensions: { doubleBounceSender: view.double_bounce_sender, ownerRequestSpecial: view.owner_request_special },
    now: () => tools.clock.now(),
  });
  return { deliver: (delivery) => agent.deliver(delivery), statusFilter: filter.isEmpty ? undefined : filter, fastFlush: fastFlushSites(tools.config, context) };
}

interface PipeTools extends Omit<WordRules, 'warn'> {
  readonly row: MasterRow;
  readonly masterCf: string;
  /** Milliseconds. */
  readonly timeLimit: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly originalTo: boolean;
  /** smtputf8_enable */
  readonly utf8: boolean;
  readonly now: () => number;
}

const configurationError = { dsn: '4.3.5', text: 'mail system configuration error' } as const;

class PipeAgent {
  readonly #tools: PipeTools;

  constructor(tools: PipeTools) {
    this.#tools = tools;
  }

  async deliver(delivery: Delivery): Promise<void> {
    const { outcome, request } = delivery;
    const refused = this.#forbidden(delivery) ?? await this.#loop(delivery);
    if (refused !== undefined) return outcome.all('failed', refused);
    if (isTraceOnly(request.flags)) return outcome.all('sent', { dsn: '2.0.0', text: `delivers to command: ${this.#tools.attributes.argv[0]}` });
    const words = this.#words(delivery);
    if (words === undefined) return outcome.all('deferred', configurationError);
    const result = await this.#run(delivery, words);
    if ('failure' in result) return outcome.all('failed', result.failure);
    return outcome.all('sent', this.#success(result.output));
  }

  /** One header for one recipient only; and not more than the command takes. */
  #forbidden({ request, log }: Delivery): Report | undefined {
    const { form, sizeLimit } = this.#tools.attributes;
    const flag = form.deliveredTo ? 'D' : form.originalTo ? 'O' : undefined;
    if (flag !== undefined && request.recipients.length > 1) {
      log.warning(`pipe flag \`${flag}' requires ${this.#tools.row.service}_destination_recipient_limit = 1`);
      return configurationError;
    }
    return sizeLimit > 0 && request.dataSize > sizeLimit ? { dsn: '5.2.3', text: 'message too large' } : undefined;
  }

  async #loop({ request, content }: Delivery): Promise<Report | undefined> {
    const { address } = request.recipients[0]!;
    if (!this.#tools.attributes.form.deliveredTo || isTraceOnly(request.flags)) return undefined;
    const seen = (await DeliveredTo.of(content())).has(address);
    return seen ? { dsn: '5.4.6', text: `mail forwarding loop for ${address}` } : undefined;
  }

  #words({ request, log }: Delivery): string[] | undefined {
    const { row, masterCf } = this.#tools;
    try {
      return commandWords(request, { ...this.#tools, warn: (text) => log.warning(text) });
    } catch (error) {
      if (error instanceof UnknownMacro) log.warning(`file ${masterCf}: service ${row.service}: unknown macro name: "${error.message}"`);
      else if (error instanceof ExpansionError) log.warning(`file ${masterCf}: service ${row.service}: ${error.message}`);
      else throw error;
      return undefined;
    }
  }

  #run({ request, log, content }: Delivery, argv: string[]): Promise<CommandOutcome> {
    const { attributes, environment, timeLimit, utf8 } = this.#tools;
    const { address, originalAddress } = request.recipients[0]!;
    const addresses = {
      sender: senderOf(request, attributes), originalRecipient: this.#tools.originalTo ? originalAddress : '', delivered: address,
    };
    const message = messageCopy(content(), attributes.form, addresses, this.#tools.now());
    const { rights, root, directory } = attributes;
    return runCommand({ run: { argv }, rights, root, directory, environment, timeLimit, agent: 'pipe', utf8 }, message, log);
  }

  #success(output: string): Report {
    const said = trimWhite(output).slice(0, 100);
    const text = `delivered via ${this.#tools.row.service} service${said === '' ? '' : ` (${said})`}`;
    return { dsn: '2.0.0', text, action: this.#tools.attributes.final ? 'delivered' : 'relayed' };
  }
}

export const daemon: Daemon = {
  card: {
    name: 'pipe',
    summary: 'delivers to external commands',
    group: 'delivery',
    calls: reportServices,
    privileges: { user: 'recipient', network: false, writes: ['active'] },
    row: 'maildrop  unix  -       n       n       -       -       pipe',
    standards: [],
  },
  open: (tools) => openAgent(tools, () => prepare(tools)),
};
