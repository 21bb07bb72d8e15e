/**
 * The capture file of one mail transaction: in a file of its own (`-d`), or in the end appended to one that many share (`-D`).
 *
 * A file that cannot be written ends the program: a capture with holes is worse than none.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import path from 'node:path';
import { errorText } from '../../host/libc.ts';
import { localTimeText } from '../../host/local-time.ts';
import { zoneAt } from '../../host/zone.ts';
import { mailDate } from '../../text/rfc822-date.ts';

export interface DumpPlace {
  /** Name with strftime(3) patterns. */
  readonly template: string;
  readonly shared: boolean;
  readonly startString: string;
  readonly hostname: string;
  readonly fatal: (text: string) => never;
}

export interface DumpClient {
  /** With `ipv6:` in front of an IPv6 address. */
  readonly address: string;
  readonly protocol: string;
  /** What HELO or EHLO said. */
  readonly helo: string | undefined;
}

const tries = 100;

function bytesOf(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

function failed(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Open a file; directories that are missing are made. */
function opened(name: string, flags: string, fatal: (text: string) => never): number {
  try {
    return openSync(bytesOf(name), flags, 0o644);
  } catch (error) {
    if (!failed(error, 'ENOENT')) throw error;
  }
  try {
    mkdirSync(bytesOf(path.dirname(name)), { recursive: true, mode: 0o755 });
  } catch (error) {
    fatal(`mkdir ${path.dirname(name)}: ${errorText(error)}`);
  }
  return openSync(bytesOf(name), flags, 0o644);
}

export class Dump {
  readonly #place: DumpPlace;
  readonly #client: DumpClient;
  readonly #start = Date.now();
  readonly #id: string;
  readonly #name: string;
  readonly #fd: number;

  constructor(place: DumpPlace, client: DumpClient) {
    this.#place = place;
    this.#client = client;
    const { id, name, fd } = this.#create(localTimeText(place.template, this.#start));
    this.#id = id;
    this.#name = name;
    this.#fd = fd;
    if (place.shared) unlinkSync(bytesOf(name));
    this.text(place.startString);
    this.text(`X-Client-Addr: ${client.address}\nX-Client-Proto: ${client.protocol}\n`);
    if (client.helo !== undefined) this.text(`X-Helo-Args: ${client.helo}\n`);
  }

  text(text: string): void {
    this.bytes(Buffer.from(text, 'latin1'));
  }

  bytes(bytes: Buffer): void {
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      this.#place.fatal(`append file ${this.#name}: ${errorText(error)}`);
    }
  }

  /** The envelope is complete: the message itself follows. */
  endHeader(): void {
    const { address, protocol, helo } = this.#client;
    const seconds = this.#start / 1000;
    this.text(`Received: from ${helo ?? `[${address}]`} ([${address}])\n\tby ${this.#place.hostname} (smtp-sink) with ${protocol} id ${this.#id};\n`
      + `\t${mailDate(seconds, zoneAt(this.#start))}\n`);
  }

  /** The message is complete. */
  finish(): void {
    if (this.#place.shared) this.#append();
    closeSync(this.#fd);
  }

  /** There will be no message. */
  forget(): void {
    closeSync(this.#fd);
    if (this.#place.shared) return;
    try {
      unlinkSync(bytesOf(this.#name));
    } catch (error) {
      if (!failed(error, 'ENOENT')) this.#place.fatal(`unlink ${this.#name}: ${errorText(error)}`);
    }
  }

  #create(prefix: string): { id: string; name: string; fd: number } {
    for (let count = 0; count < tries; count++) {
      const id = Math.floor(Math.random() * 2 ** 31).toString(16).padStart(8, '0');
      const name = `${prefix}${id}`;
      try {
        return { id, name, fd: opened(name, 'wx+', this.#place.fatal) };
      } catch (error) {
        if (!failed(error, 'EEXIST')) this.#place.fatal(`open ${name}: ${errorText(error)}`);
      }
    }
    return this.#place.fatal('mail_file_open: something is looping');
  }

  #append(): void {
    const name = localTimeText(this.#place.template, this.#start);
    try {
      const fd = opened(name, 'a', this.#place.fatal);
      copyAll(this.#fd, fd);
      closeSync(fd);
    } catch (error) {
      this.#place.fatal(`append file ${name}: ${errorText(error)}`);
    }
  }
}

function copyAll(from: number, to: number): void {
  const block = Buffer.allocUnsafe(64 << 10);
  const { size } = fstatSync(from);
  for (let at = 0; at < size;) {
    const length = readSync(from, block, 0, block.length, at);
    if (length === 0) return;
    for (let done = 0; done < length;) done += writeSync(to, block, done, length - done);
    at += length;
  }
}
