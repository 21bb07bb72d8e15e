/**
 * Where a message waits for its before-queue filter with smtpd_proxy_options = speed_adjust: a file without a name, gone with its descriptor.
 *
 * Writing goes to the page cache and does not wait. Throws the system's errors; after one the spool is useless.
 */
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs';

const portion = 64 * 1024;
let number = 0;

export class ProxySpool {
  readonly #directory: string;
  #fd: number | undefined;
  #size = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  write(chunk: Buffer): void {
    const fd = this.#fd ??= nameless(this.#directory);
    for (let at = 0; at < chunk.length;) {
      const written = writeSync(fd, chunk, at, chunk.length - at, this.#size);
      at += written;
      this.#size += written;
    }
  }

  /** All of it, piece by piece; each piece is the reader's own. */
  *read(): Generator<Buffer> {
    for (let at = 0; at < this.#size;) {
      const piece = Buffer.allocUnsafe(Math.min(portion, this.#size - at));
      const length = readSync(this.#fd!, piece, 0, piece.length, at);
      if (length === 0) throw new Error('unexpected end of file');
      at += length;
      yield length === piece.length ? piece : piece.subarray(0, length);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function nameless(directory: string): number {
  const path = `${directory}/proxy-log.${process.pid}.${number++}`;
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  unlinkSync(path);
  return fd;
}
