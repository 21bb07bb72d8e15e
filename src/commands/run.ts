/**
 * What the launchers in bin/ start: the command named by the first argument, with the rest as its own arguments.
 *
 * Ends with the command's status; an error that the command did not expect is a `fatal` line on standard error and status 1.
 */
import { existsSync } from 'node:fs';

export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

interface Command {
  main(argv: string[], environment: NodeJS.ProcessEnv, streams: Streams): Promise<number>;
}

const name = process.argv[2] ?? '';
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const module = new URL(`./${name}/${name}.${extension}`, import.meta.url);

/** A reader that has had enough (`mailq | head`) is no error of ours. */
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

async function run(): Promise<number> {
  if (!/^[a-z]+$/.test(name) || !existsSync(module)) {
    process.stderr.write(`${name}: fatal: this command is not part of this release\n`);
    return 1;
  }
  const command = await import(module.href) as Command;
  const { stdin, stdout, stderr } = process;
  return command.main(process.argv.slice(3), process.env, { stdin, stdout, stderr });
}

/** A reader may be slower than we are, and what it has not taken would be lost with us. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return stream.writableLength === 0 ? Promise.resolve() : new Promise((resolve) => stream.write('', () => resolve()));
}

async function end(status: number): Promise<void> {
  await Promise.all([written(process.stdout), written(process.stderr)]);
  process.exit(status);
}

run().then(end, (error: Error) => {
  process.stderr.write(`${name}: fatal: ${process.env['MAIL_DEBUG'] === undefined && !(error instanceof TypeError) ? error.message : error.stack}\n`);
  return end(1);
});
