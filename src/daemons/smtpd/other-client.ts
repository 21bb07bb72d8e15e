/** The client that another one speaks for: by XCLIENT, or by a proxy whose header says so. */
import { unknownValue, type ClientOverride } from '../../protocol/smtp-server/client-attributes.ts';
import type { Client } from './access/state.ts';

/** `name[address]`, and with smtpd_client_port_logging `:port`. */
export function labelOf(name: string, address: string, port: string, withPort: boolean): string {
  return `${name}[${address === '' ? unknownValue : address}]${withPort ? `:${port}` : ''}`;
}

/** A client of which nothing is known: whoever should have said who it is did not. */
export function unknownClient(withPort: boolean): Client {
  return {
    name: unknownValue, reverseName: unknownValue, nameStatus: 'permanent', reverseStatus: 'permanent', address: unknownValue, literal: unknownValue,
    port: unknownValue, label: labelOf(unknownValue, unknownValue, unknownValue, withPort), serverAddress: unknownValue, serverPort: unknownValue,
  };
}

/** The client as XCLIENT says that it is; what was not said stays. */
export function overridden(client: Client, said: ClientOverride, withPort: boolean): Client {
  const name = said.name?.name ?? client.name;
  const address = said.address?.address ?? client.address;
  const port = said.port ?? client.port;
  const renamed = said.name !== undefined || said.address !== undefined || said.port !== undefined;
  return {
    name, address, port,
    nameStatus: said.name?.status ?? client.nameStatus,
    reverseName: said.reverseName?.name ?? client.reverseName,
    reverseStatus: said.reverseName?.status ?? client.reverseStatus,
    literal: said.address?.literal ?? client.literal,
    label: renamed ? labelOf(name, address, port, withPort) : client.label,
    serverAddress: said.serverAddress ?? client.serverAddress,
    serverPort: said.serverPort ?? client.serverPort,
  };
}
