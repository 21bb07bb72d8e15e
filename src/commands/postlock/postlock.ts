/**
 * postlock(1): runs a command while a mailbox is locked as deliveries lock it.
 *
 * Ends with the command's status, with 1 when the command was killed or could not be started, with 75 when something went wrong
 * before.
 */
import { spawn } from 'node:child_process';
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { errorText } from '../../host/libc.ts';
import { getopt } from '../../text/getopt.ts';
import { byteStrings, CommandFailed, runCommand, Voice, type Output } from '../voice.ts';
import { lockFolder } from './lock-folder.ts';

const usage = 'usage: postlock [-c config_dir] [-l lock_style] [-v] folder command...';

/** sysexits(3): EX_TEMPFAIL */
const temporary = 75;

export async function main(argv: string[], environment: NodeJS.ProcessEnv, { stderr }: { readonly stderr: Output }): Promise<number> {
  const voice = new Voice('postlock', stderr);
  return runCommand(voice, () => run(argv, environment, voice), temporary);
}

async function run(argv: string[], environment: NodeJS.ProcessEnv, voice: Voice): Promise<number> {
  process.umask(0o022);
  const { found, operands, trouble } = getopt(byteStrings(argv), 'c:l:v');
  if (trouble !== undefined) voice.complain(trouble);
  if (trouble !== undefined || operands.length < 2) voice.fatal(usage);
  const option = (letter: string): string | undefined => found.findLast(([each]) => each === letter)?.[1];
  const config = Configuration.load(configDirectory(option('c'), environment), { environment, warn: (text) => voice.complain(`warning: ${text}`) });
  const folder = operands[0]!;
  const lock = await lockFolder(folder, config, option('l')).catch((error: Error) => {
    throw error instanceof ConfigurationError ? error : new CommandFailed(`open file ${folder}: ${error.message}`);
  });
  try {
    // As they were given: a command line is not ours to encode anew.
    return await execute(argv.slice(argv.length - operands.length + 1), environment, voice);
  } finally {
    lock.release();
  }
}

function execute([file, ...words]: string[], environment: NodeJS.ProcessEnv, voice: Voice): Promise<number> {
  // Signals of the terminal are the command's; the lock goes when it has ended.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);
  return new Promise((resolve) => {
    const child = spawn(file!, words, { stdio: 'inherit', env: environment });
    child.on('error', (error) => {
      voice.complain(`fatal: execvp ${Buffer.from(file!, 'utf8').toString('latin1')}: ${errorText(error)}`);
      resolve(1);
    });
    child.on('exit', (status) => resolve(status ?? 1));
  });
}
