// The defaults that depend on this machine or process. They are computed when they are asked for: a main.cf that sets
// myhostname and mynetworks never looks at the interfaces. May throw ConfigurationError (see own-addresses.ts).
import os from 'node:os';
import path from 'node:path';
import type { Configuration } from './configuration.ts';
import { inetProtocols, ownAddresses, ownNetworks } from './own-addresses.ts';

const computations: { readonly [name: string]: (configuration: Configuration) => string } = {
  config_directory: (configuration) => configuration.directory,
  myhostname,
  mydomain,
  mynetworks,
  process_id: () => String(process.pid),
  process_name: () => path.basename(process.argv[1] ?? 'postern').replace(/\.[jt]s$/, ''),
};

export function computedDefault(name: string, configuration: Configuration): string {
  return computations[name]?.(configuration) ?? '';
}

const unknownDomain = 'localdomain';

// No name server is asked here: every command would wait for it. Who wants another name says so in main.cf.
function myhostname(configuration: Configuration): string {
  const name = os.hostname();
  if (name.includes('.')) return name;
  return `${name}.${configuration.has('mydomain') ? configuration.text('mydomain') : unknownDomain}`;
}

function mydomain(configuration: Configuration): string {
  const name = configuration.text('myhostname');
  const dot = name.indexOf('.');
  return dot < 0 ? unknownDomain : name.slice(dot + 1);
}

function mynetworks(configuration: Configuration): string {
  const protocols = inetProtocols(configuration.text('inet_protocols'));
  const addresses = ownAddresses(configuration.text('inet_interfaces'), protocols);
  // The blank at the end is Postfix's.
  return addresses.length === 0 ? '' : `${ownNetworks(configuration.text('mynetworks_style'), addresses)} `;
}
