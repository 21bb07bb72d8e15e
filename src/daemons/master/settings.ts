/**
 * What master(8) itself takes from main.cf, read as a whole: either all of it is usable or ConfigurationError says what is not.
 */
import { checkConfiguration } from '../../config/checks.ts';
import { Configuration } from '../../config/configuration.ts';
import { inetProtocols } from '../../config/own-addresses.ts';
import { splitList } from '../../text/ascii.ts';
import { mailOwner } from '../../server/mail-owner.ts';
import { isRoot } from '../../host/identity.ts';
import type { EndpointSettings } from './endpoints.ts';
import type { PlacementSettings } from './placement.ts';

export interface MasterSettings {
  readonly config: Configuration;
  readonly queueDirectory: string;
  readonly dataDirectory: string;
  readonly daemonDirectory: string;
  readonly syslogName: string;
  readonly version: string;
  readonly throttle: number;
  readonly disabled: readonly string[];
  readonly processClients: number;
  readonly placement: PlacementSettings;
  readonly endpoints: EndpointSettings;
  /** Who the daemons run as: mail_owner as root, else ourselves. */
  readonly owner: { readonly uid: number; readonly gid: number; readonly name: string };
  readonly importEnvironment: string;
}

/** Throws ConfigurationError when main.cf says what no mail system can follow. */
export function masterSettings(config: Configuration): MasterSettings {
  checkConfiguration(config);
  return {
    config,
    queueDirectory: config.get('queue_directory'),
    dataDirectory: config.get('data_directory'),
    daemonDirectory: config.get('daemon_directory'),
    syslogName: config.get('syslog_name'),
    version: config.get('mail_version'),
    throttle: config.get('service_throttle_time') * 1000,
    disabled: splitList(config.get('master_service_disable')),
    processClients: config.get('process_clients'),
    placement: {
      groups: splitList(config.get('service_groups')),
      processes: config.get('service_processes'),
      defaultProcessLimit: config.get('default_process_limit'),
      serviceClientLimit: config.get('service_client_limit'),
    },
    endpoints: {
      inetInterfaces: config.get('inet_interfaces'),
      protocols: inetProtocols(config.get('inet_protocols')),
      knownTcpPorts: config.get('known_tcp_ports'),
    },
    owner: isRoot() ? mailOwner(config) : ourselves(),
    importEnvironment: config.get('import_environment'),
  };
}

function ourselves(): MasterSettings['owner'] {
  return { uid: process.geteuid!(), gid: process.getegid!(), name: '' };
}
