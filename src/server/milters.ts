/**
 * What main.cf says of milters, ready for a chain of them: for smtpd, and for cleanup's mail of other sources.
 *
 * A list that cannot be understood throws an Error that says why. Hosts are looked up at each connection.
 */
import type { Configuration } from '../config/configuration.ts';
import { tcpPort } from '../config/tcp-ports.ts';
import type { Log } from '../log/log.ts';
import { connectInet, connectUnix, type Connected } from '../network/connect.ts';
import type { ChainRules } from '../network/milter-chain.ts';
import type { MilterSurroundings } from '../network/milter-link.ts';
import type { NativeAnswer } from '../network/native-lookup.ts';
import { isDefaultAction } from '../protocol/milter/default-action.ts';
import { macroDefaults, milterList, type MilterDefaults, type MilterSettings } from '../protocol/milter/settings.ts';
import type { Clock } from './clock.ts';

export const milterParameters = [
  'milter_connect_timeout', 'milter_command_timeout', 'milter_content_timeout', 'milter_protocol', 'milter_default_action', 'milter_connect_macros', 'milter_helo_macros',
  'milter_mail_macros', 'milter_rcpt_macros', 'milter_data_macros', 'milter_end_of_header_macros', 'milter_end_of_data_macros', 'milter_unknown_command_macros',
  'milter_macro_defaults', 'milter_macro_daemon_name', 'milter_macro_v', 'myhostname', 'soft_bounce', 'known_tcp_ports',
] as const;

export interface Milters {
  readonly rules: ChainRules;
  readonly surroundings: MilterSurroundings;
  /** {daemon_name}, {v} and {j}. */
  readonly constants: ReadonlyMap<string, string>;
  list(text: string): MilterSettings[];
}

export interface MilterNeeds {
  readonly config: Configuration;
  readonly log: Log;
  readonly clock: Clock;
  /** As getaddrinfo(3) does it. */
  native(host: string): MaybeLate<NativeAnswer>;
}

type MaybeLate<T> = T | Promise<T>;

export function openMilters({ config, log, clock, native }: MilterNeeds): Milters {
  const view = config.view(milterParameters);
  const defaults: MilterDefaults = {
    connectTimeout: view.milter_connect_timeout, commandTimeout: view.milter_command_timeout, contentTimeout: view.milter_content_timeout,
    protocol: view.milter_protocol, defaultAction: view.milter_default_action,
  };
  const warn = (text: string): void => log.warning(text);
  return {
    rules: {
      macros: {
        connect: view.milter_connect_macros, hello: view.milter_helo_macros, mail: view.milter_mail_macros, rcpt: view.milter_rcpt_macros, data: view.milter_data_macros,
        endOfHeaders: view.milter_end_of_header_macros, endOfData: view.milter_end_of_data_macros, unknown: view.milter_unknown_command_macros,
      },
      macroDefaults: macroDefaults(view.milter_macro_defaults),
    },
    surroundings: { ticker: clock, softBounce: view.soft_bounce, warn, connect: (kind, place, seconds) => connect(kind, place, { ticker: clock, timeout: seconds }, view.known_tcp_ports, native) },
    constants: new Map([['{daemon_name}', view.milter_macro_daemon_name], ['{v}', view.milter_macro_v], ['{j}', view.myhostname]]),
    list(text) {
      const milters = milterList(text, defaults);
      for (const { name, defaultAction } of milters) if (!isDefaultAction(defaultAction)) warn(`milter ${name}: unrecognized default action: ${defaultAction}`);
      return milters;
    },
  };
}

type Options = Parameters<typeof connectInet>[2];

/** A daemon stands in the queue directory, jailed or not: a relative path is below it. */
async function connect(kind: 'inet' | 'unix', place: string, options: Options, ports: string, native: MilterNeeds['native']): Promise<Connected> {
  if (kind === 'unix') return connectUnix(place, options);
  const [, host = '', service = place] = /^(.*):([^:\]]*)$/.exec(place) ?? [];
  const port = tcpPort(service, ports || undefined);
  if (port === undefined) throw new Error(`host/service ${place}: Servname not supported for ai_socktype`);
  return connectHost(host.replace(/^\[(.*)\]$/, '$1') || 'localhost', port, options, native);
}

async function connectHost(host: string, port: number, options: Options, native: MilterNeeds['native']): Promise<Connected> {
  const { addresses, trouble } = /^[0-9.]+$|:/.test(host) ? { addresses: [host], trouble: undefined } : await native(host);
  let last: Connected = { trouble: { code: 'ENOTFOUND', text: `host ${host}: ${trouble?.text ?? 'Name or service not known'}` } };
  for (const address of addresses) {
    last = await connectInet(address, port, options);
    if ('socket' in last) return last;
  }
  return last;
}
