/**
 * One command within another, without a process of its own: what it said, and its exit status.
 *
 * Only for commands that neither give up rights nor change the working directory. Streams can be handed through (`outer`); what is
 * not handed through is collected as byte strings.
 */
export interface Writer { write(bytes: Uint8Array): unknown }

export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Streams { readonly stdout: Writer; readonly stderr: Writer & { readonly isTTY?: boolean } }
type Main = (argv: string[], environment: NodeJS.ProcessEnv, streams: Streams & { stdin: AsyncIterable<Uint8Array> }) => Promise<number>;

/** Arguments as byte strings. */
export async function runWithin(main: Main, words: readonly string[], environment: NodeJS.ProcessEnv, outer: Partial<Streams> = {}): Promise<Answer> {
  const [out, err] = [[] as Uint8Array[], [] as Uint8Array[]];
  const streams = { stdin: nothing(), stdout: outer.stdout ?? collector(out), stderr: outer.stderr ?? collector(err) };
  const status = await main(words.map((word) => Buffer.from(word, 'latin1').toString('utf8')), environment, streams);
  return { status, stdout: textOf(out), stderr: textOf(err) };
}

/** postconf(1) for one configuration directory. */
export async function runPostconf(directory: string, words: readonly string[], outer: Partial<Streams> = {}): Promise<Answer> {
  const { main } = await import('./postconf/postconf.ts');
  return runWithin(main as Main, ['-c', directory, ...words], {}, outer);
}

function collector(chunks: Uint8Array[]): Writer {
  return { write: (bytes) => chunks.push(bytes) };
}

function textOf(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString('latin1');
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
