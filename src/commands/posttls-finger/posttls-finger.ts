/**
 * posttls-finger(1): connects to a mail server, and tells what TLS it offers and whether its certificate is the right one.
 *
 * What it finds is on standard output. Ends with 0 whatever the server did; with 1 when the command line or main.cf makes no sense.
 */
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { becomeUser, getpwnam, isRoot } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';
import { loadCredentials } from './credentials.ts';
import { Finger } from './finger.ts';
import { parseFinger, usage, UsageError } from './options.ts';

interface Streams { readonly stdout: Output; readonly stderr: Output }

export async function main(argv: string[], environment: NodeJS.ProcessEnv, { stdout, stderr }: Streams): Promise<number> {
  // It is a tool for looking: its log is what was asked for.
  const voice = new Voice('posttls-finger', stdout);
  return runCommand(voice, async () => {
    try {
      return await run(byteStrings(argv), environment, stdout, voice);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      stderr.write(Buffer.from(error.message + usage, 'latin1'));
      return 1;
    }
  });
}

async function run(argv: string[], environment: NodeJS.ProcessEnv, stdout: Output, voice: Voice): Promise<number> {
  const info = (text: string): void => voice.complain(text);
  const speaker = { info, warning: (text: string) => voice.warning(text), fatal: (text: string) => voice.fatal(text) };
  const options = parseFinger(argv, speaker);
  if (environment['MAIL_VERBOSE'] !== undefined) options.verbose++;
  if (options.tlsproxy) voice.fatal('the -X option needs tlsproxy(8), which this release does not have');
  if (options.rawKeys) voice.warning('raw public keys are not supported by this TLS library');
  const config = Configuration.load(configDirectory(undefined, environment), { environment, overrides: options.overrides, warn: (text) => voice.warning(text) });
  const credentials = loadCredentials(options, config, speaker);
  if (isRoot()) giveUpRights(config.get('mail_owner'), voice);
  await new Finger({ options, config, credentials, voice: speaker, print: (text) => stdout.write(Buffer.from(text, 'latin1')) }).run();
  return 0;
}

/** Nothing of a stranger's is read as root. */
function giveUpRights(owner: string, voice: Voice): void {
  const user = getpwnam(owner);
  if (user === undefined) throw new ConfigurationError(`unknown user: ${owner}`);
  try {
    becomeUser({ uid: user.uid, gid: user.gid, name: owner });
  } catch (error) {
    voice.fatal(`setuid(${user.uid}): ${errorText(error)}`);
  }
}
