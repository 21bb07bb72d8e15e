/** Whom milters and their log lines are told that a message came from. */
import { attributeName } from '../../message/envelope-names.ts';
import type { Attributes } from '../../message/envelope.ts';

export interface FilterClient {
  readonly name: string;
  readonly reverseName: string;
  readonly address: string;
  readonly port: string;
  readonly family: 'inet' | 'inet6';
  readonly serverAddress: string | undefined;
  readonly serverPort: string | undefined;
}

/** Mail without a client comes from this host. */
export function clientOf(attributes: Pick<Attributes, 'get'>): FilterClient {
  const name = attributes.get(attributeName.clientName);
  const address = attributes.get(attributeName.clientAddress);
  const family = attributes.get(attributeName.clientAddressType);
  const port = attributes.get(attributeName.clientPort) ?? '0';
  const serverPort = attributes.get(attributeName.serverPort) ?? (port === '0' ? '0' : undefined);
  if (name === undefined || address === undefined || family === undefined)
    return { name: 'localhost', reverseName: 'localhost', address: '127.0.0.1', port, family: 'inet', serverAddress: '127.0.0.1', serverPort };
  const reverseName = attributes.get(attributeName.reverseClientName) ?? name;
  return { name, reverseName, address, port, family: family === '10' ? 'inet6' : 'inet', serverAddress: attributes.get(attributeName.serverAddress), serverPort };
}
