// What must hold for the mail system as a whole before any program starts: names that are names, values that do not defeat
// each other. Throws ConfigurationError in Postfix's words; accounts are checked where they are looked up.
import { sameIgnoringCase } from '../text/ascii.ts';
import { validHostname } from '../text/hostname.ts';
import { parseLevel } from './comparison.ts';
import type { Configuration } from './configuration.ts';
import { ConfigurationError } from './configuration-error.ts';
import { inetProtocols, ownAddresses } from './own-addresses.ts';

export function checkConfiguration(configuration: Configuration): void {
  checkLevel(configuration);
  checkPaths(configuration);
  located(configuration, 'inet_protocols', () => inetProtocols(configuration.text('inet_protocols')));
  located(configuration, 'inet_interfaces', () => ownAddresses(configuration.text('inet_interfaces'), inetProtocols(configuration.text('inet_protocols'))));
  checkHostname(configuration, 'myhostname');
  checkHostname(configuration, 'mydomain');
  checkRelayhost(configuration);
  checkOrigin(configuration);
  checkVerp(configuration);
}

function checkLevel(configuration: Configuration): void {
  try {
    parseLevel(configuration.get('compatibility_level'));
  } catch (error) {
    throw new ConfigurationError((error as Error).message, configuration.origin('compatibility_level'), 'write a release, as in 3.6');
  }
}

/** What the value's reader complains of, with the place where the value was written. */
function located(configuration: Configuration, name: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof ConfigurationError) || error.line !== undefined) throw error;
    throw new ConfigurationError(error.message, configuration.origin(name));
  }
}

// Every process has a working directory of its own.
function checkPaths(configuration: Configuration): void {
  for (const name of ['queue_directory', 'data_directory', 'daemon_directory', 'command_directory'] as const) {
    const value = configuration.get(name);
    if (!value.startsWith('/')) throw new ConfigurationError(`bad directory: ${name} = ${value}`, configuration.origin(name), 'write the whole path, from / on');
  }
}

function checkHostname(configuration: Configuration, name: 'myhostname' | 'mydomain'): void {
  const value = configuration.get(name);
  if (validHostname(value)) return;
  const text = `file ${configuration.directory}/main.cf: parameter ${name}: bad parameter value: ${value}`;
  throw new ConfigurationError(text, configuration.origin(name), hostnameTrouble(value));
}

/** What is wrong with the delimiters of VERP addresses; also for settings of one service alone. */
export function verpTrouble(configuration: Configuration): string | undefined {
  const [delimiters, allowed] = [configuration.get('default_verp_delimiters'), configuration.get('verp_delimiter_filter')];
  const wrong = !allowed.includes(delimiters[0]!) ? 'bad first VERP delimiter character'
    : !allowed.includes(delimiters[1]!) ? 'bad second VERP delimiter character' : undefined;
  return wrong === undefined ? undefined : `file ${configuration.directory}/main.cf: parameters default_verp_delimiters and verp_delimiter_filter: ${wrong}`;
}

function checkVerp(configuration: Configuration): void {
  const text = verpTrouble(configuration);
  if (text !== undefined) throw new ConfigurationError(text, configuration.origin('default_verp_delimiters'), `write two of ${configuration.get('verp_delimiter_filter')}`);
}

// What is wrong with a name that is no host name.
function hostnameTrouble(name: string): string {
  const bad = /[^A-Za-z0-9_.-]/.exec(name);
  if (bad) return `invalid character ${bad[0].charCodeAt(0)}(decimal)`;
  const labels = name.split('.');
  if (labels.includes('')) return 'misplaced delimiter';
  if (labels.some((label) => label.startsWith('-') || label.endsWith('-'))) return 'misplaced hyphen';
  return /^[0-9.]+$/.test(name) ? 'numeric hostname' : 'hostname or label too long';
}

// Mail for everywhere would go to this very machine, for ever.
function checkRelayhost(configuration: Configuration): void {
  const name = configuration.get('myhostname');
  if (!sameIgnoringCase(name, configuration.get('relayhost'))) return;
  const text = `myhostname and relayhost parameter settings must not be identical: ${name}`;
  throw new ConfigurationError(text, configuration.origin('relayhost'), 'relayhost is another machine, or empty');
}

function checkOrigin(configuration: Configuration): void {
  const origin = configuration.get('myorigin');
  if (!/[, \t\r\n]/.test(origin)) return;
  const text = `myorigin parameter setting must not contain multiple values: ${origin}`;
  throw new ConfigurationError(text, configuration.origin('myorigin'), 'write one domain');
}
