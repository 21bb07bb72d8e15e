/**
 * One command as a process: its streams, its exit status, and what becomes of an error that it did not expect.
 *
 * Such an error is a `fatal` line on standard error and status 1.
 */
export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export interface Command {
  main(argv: string[], environment: NodeJS.ProcessEnv, streams: Streams): Promise<number>;
}

/** Run it with this process's arguments behind the command's name, and end the process. */
export function runProgram(name: string, load: () => Promise<Command>): void {
  // A reader that has had enough (`mailq | head`) is no error of ours.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  run(load).then(end, (error: Error) => {
    process.stderr.write(`${name}: fatal: ${process.env['MAIL_DEBUG'] === undefined && !(error instanceof TypeError) ? error.message : error.stack}\n`);
    return end(1);
  });
}

async function run(load: () => Promise<Command>): Promise<number> {
  const { main } = await load();
  // Named one by one: a program that reads nothing opens nothing.
  const streams: Streams = { get stdin() { return process.stdin; }, stdout: process.stdout, stderr: process.stderr };
  return main(process.argv.slice(3), process.env, streams);
}

/** A reader may be slower than we are, and what it has not taken would be lost with us. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return stream.writableLength === 0 ? Promise.resolve() : new Promise((resolve) => stream.write('', () => resolve()));
}

async function end(status: number): Promise<void> {
  await Promise.all([written(process.stdout), written(process.stderr)]);
  process.exit(status);
}
