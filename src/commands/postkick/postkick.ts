/**
 * postkick(1): a few bytes to a service of the mail system, to wake it up.
 *
 * Ends with 0 when the service took the request, with 1 when it could not be reached.
 */
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import { withSocketPath } from '../../host/sockets.ts';
import { sendTrigger } from '../../ipc/trigger.ts';
import { getopt } from '../../text/getopt.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';

const usage = 'usage: postkick [-c config_dir] [-v] class service request';

/** Milliseconds for the service to take the request. */
const patience = 10_000;

export async function main(argv: string[], environment: NodeJS.ProcessEnv, { stderr }: { readonly stderr: Output }): Promise<number> {
  const voice = new Voice('postkick', stderr);
  return runCommand(voice, () => run(byteStrings(argv), environment, voice));
}

async function run(argv: string[], environment: NodeJS.ProcessEnv, voice: Voice): Promise<number> {
  const { found, operands, trouble } = getopt(argv, 'c:v');
  if (trouble !== undefined) voice.complain(trouble);
  if (trouble !== undefined || operands.length !== 3) voice.fatal(usage);
  const [area, service, request] = operands as [string, string, string];
  const directory = found.findLast(([letter]) => letter === 'c')?.[1];
  const config = Configuration.load(configDirectory(directory, environment), { environment, warn: (text) => voice.complain(`warning: ${text}`) });
  const queue = config.get('queue_directory');
  try {
    process.chdir(queue);
  } catch (error) {
    voice.fatal(`chdir ${queue}: ${errorText(error)}`);
  }
  return kick(area, service, request, voice);
}

async function kick(area: string, service: string, request: string, voice: Voice): Promise<number> {
  const path = `${area}/${service}`;
  try {
    await withSocketPath(path, (short) => sendTrigger(short, request, patience));
    return 0;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    voice.complain(`warning: ${code === 'ENOENT' ? 'unable to look up' : 'connect to'} ${path}: ${errorText(error)}`);
    voice.complain(`warning: Cannot contact class ${area} service ${service} - perhaps the mail system is down`);
    return 1;
  }
}
