/**
 * Bearer tokens (OAuth 2) by user name: from a file that someone keeps fresh, or from a command that prints one. The tables of
 * smtp_sasl_token_maps say which: `file:/path` or `command:/path words`.
 *
 * What is there is the token alone, or JSON with `access_token` and, for how long it is good, `expires_in` (seconds, for a file since it was
 * written) or `expires_at` (seconds since 1970). A file is read for each login; what a command printed is kept while it is good, at most an hour, and until a server
 * refuses it. A command runs as the mail system's user, with neither shell nor mail, and smtp_sasl_token_time_limit ends it. Trouble is a
 * text for the log that never shows a token; only tables that cannot be asked throw (TableTrouble).
 */
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { nativeText } from '../../delivery/environment.ts';
import type { Maps } from '../../tables/maps.ts';
import { splitWhite } from '../../text/ascii.ts';

export interface TokenSourceTools {
  readonly maps: Maps;
  /** Seconds. */
  readonly timeLimit: number;
  readonly clock: { now(): number };
  /** For the log. */
  warn(text: string): void;
}

export type Token = { readonly text: string } | { readonly trouble: string };

interface Kept {
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Tokens of commands that are kept. */
const keptLimit = 1000;
/** Longer ones are none. */
const outputLimit = 64 * 1024;
const longest = 3_600_000;
/** A token that ends so soon would end on the way. */
const margin = 30_000;

export class TokenSource {
  private readonly tools: TokenSourceTools;
  private readonly kept = new Map<string, Kept>();
  private readonly asked = new Map<string, Promise<Token>>();
  private readonly tokenUsers = new Set<string>();

  constructor(tools: TokenSourceTools) {
    this.tools = tools;
  }

  /** Undefined: this user has no token, but a password. */
  async find(username: string): Promise<Token | undefined> {
    const source = await this.tools.maps.find(username);
    if (source === undefined) return undefined;
    if (this.tokenUsers.size >= keptLimit) this.tokenUsers.clear();
    this.tokenUsers.add(username);
    if (source.startsWith('file:/')) return this.read(source.slice('file:'.length), username);
    if (source.startsWith('command:/')) return this.run(source.slice('command:'.length), username);
    return this.trouble(username, `${this.tools.maps.title}: "${source.slice(0, 40)}" for ${username} is neither file:/path nor command:/path`);
  }

  /** A server refused it. True: the user has a token; the next login asks for it anew. */
  forget(username: string): boolean {
    for (const key of [...this.kept.keys()]) if (key.endsWith(`\n${username}`)) this.kept.delete(key);
    return this.tokenUsers.has(username);
  }

  private async read(path: string, username: string): Promise<Token> {
    let file: { text: string; written: number };
    try {
      file = await contents(path);
    } catch (error) {
      return this.trouble(username, `cannot read the token of ${username}: ${(error as Error).message}`);
    }
    const found = parse(file.text, file.written);
    if ('trouble' in found) return this.trouble(username, `${path}: ${found.trouble}`);
    if (found.until <= this.tools.clock.now()) return this.trouble(username, `${path}: the token has expired`);
    return { text: found.text };
  }

  private run(command: string, username: string): Promise<Token> | Token {
    const key = `${command}\n${username}`;
    const known = this.kept.get(key);
    if (known !== undefined && known.until - margin > this.tools.clock.now()) return { text: known.text };
    // Many messages may want it at once: one process is enough.
    const underWay = this.asked.get(key);
    if (underWay !== undefined) return underWay;
    const asked = this.fromCommand(command, username, key).finally(() => this.asked.delete(key));
    this.asked.set(key, asked);
    return asked;
  }

  private async fromCommand(command: string, username: string, key: string): Promise<Token> {
    const output = await outputOf(splitWhite(command), username, this.tools.timeLimit);
    if ('trouble' in output) return this.trouble(username, `${splitWhite(command)[0]}: ${output.trouble}`);
    const found = parse(output.text, this.tools.clock.now());
    if ('trouble' in found) return this.trouble(username, `${splitWhite(command)[0]}: ${found.trouble}`);
    if (this.kept.size >= keptLimit) this.kept.clear();
    this.kept.set(key, { text: found.text, until: Math.min(found.until, this.tools.clock.now() + longest) });
    return { text: found.text };
  }

  private trouble(username: string, text: string): Token {
    this.tools.warn(text);
    return { trouble: `no token for ${username}` };
  }
}

async function contents(path: string): Promise<{ text: string; written: number }> {
  const file = await open(Buffer.from(path, 'latin1'));
  try {
    const bytes = Buffer.alloc(outputLimit);
    const { bytesRead } = await file.read(bytes, 0, outputLimit, 0);
    return { text: bytes.toString('latin1', 0, bytesRead), written: (await file.stat()).mtimeMs };
  } finally {
    await file.close();
  }
}

/** `from`: since when `expires_in` counts, milliseconds since 1970. */
function parse(output: string, from: number): Kept | { readonly trouble: string } {
  const plain = output.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
  if (!plain.startsWith('{')) return checked(plain, Number.POSITIVE_INFINITY);
  let fields: unknown;
  try {
    fields = JSON.parse(Buffer.from(plain, 'latin1').toString('utf8'));
  } catch {
    return { trouble: 'neither a token nor JSON' };
  }
  const { access_token: token, expires_in: seconds, expires_at: end } = fields as Readonly<Record<string, unknown>>;
  const until = isNumber(end) ? Number(end) * 1000 : isNumber(seconds) ? from + Number(seconds) * 1000 : Number.POSITIVE_INFINITY;
  return checked(typeof token === 'string' ? token : '', until);
}

const isNumber = (value: unknown): boolean => typeof value === 'number' || (typeof value === 'string' && /^[0-9]+$/.test(value));

// RFC 6750 section 2.1: anything else could change what is said around it.
function checked(text: string, until: number): Kept | { readonly trouble: string } {
  if (text === '') return { trouble: 'no access_token' };
  return /^[A-Za-z0-9._~+/-]+=*$/.test(text) ? { text, until } : { trouble: 'this is no token' };
}

type Output = { readonly text: string } | { readonly trouble: string };

/** What a command prints; USER tells it whose token is wanted. */
function outputOf(words: readonly string[], username: string, seconds: number): Promise<Output> {
  return new Promise((resolve) => {
    const [path = '', ...args] = words;
    const child = spawn(path, args, {
      cwd: '/', env: { PATH: '/usr/local/bin:/usr/bin:/bin', USER: nativeText(username) }, stdio: ['ignore', 'pipe', 'ignore'], timeout: seconds * 1000, killSignal: 'SIGKILL',
    });
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (text.length > outputLimit) child.kill('SIGKILL');
    });
    child.on('error', (error) => resolve({ trouble: error.message }));
    child.on('close', (status, signal) => {
      if (text.length > outputLimit) resolve({ trouble: 'too much output' });
      else if (status === 0) resolve({ text });
      else resolve({ trouble: signal === null ? `status ${status}` : `ended by ${signal}, after ${seconds} seconds at most` });
    });
  });
}
