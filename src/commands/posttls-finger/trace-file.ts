/** The file of `-L trace`, in the working directory: one for a run, with a line between its sessions. Trouble is told once. */
import { appendFileSync, openSync, closeSync, writeSync } from 'node:fs';
import { errorText } from '../../host/libc.ts';
import { localTimeText } from '../../host/local-time.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const tries = 100;

export class TraceFile {
  readonly #voice: { info(text: string): void; warning(text: string): void };
  #name: string | undefined;
  #failed = false;

  constructor(voice: { info(text: string): void; warning(text: string): void }) {
    this.#voice = voice;
  }

  write(peer: string, text: Buffer): void {
    if (this.#failed) return;
    try {
      if (this.#name === undefined) this.#begin(peer, text);
      else appendFileSync(this.#name, Buffer.concat([Buffer.from('\n=== posttls-finger reconnect ===\n\n'), text]));
    } catch (error) {
      this.#failed = true;
      this.#voice.warning(`TLS trace: cannot open ${this.#name ?? nameFor(peer, 'XXXXXX')}: ${errorText(error)}`);
    }
  }

  #begin(peer: string, text: Buffer): void {
    const { fd, name } = create(peer);
    this.#name = name;
    for (let at = 0; at < text.length;) at += writeSync(fd, text, at);
    closeSync(fd);
    this.#voice.info(`TLS protocol trace saved to ${name}`);
  }
}

function nameFor(peer: string, unique: string): string {
  const now = Date.now();
  return `posttls-finger-${localTimeText('%Y%m%d%H%M%S', now)}.${String(now % 1000).padStart(3, '0')}000-${peer.replaceAll('/', '_')}-${unique}`;
}

function create(peer: string): { fd: number; name: string } {
  for (let count = 1; ; count++) {
    const name = nameFor(peer, Array.from({ length: 6 }, () => alphabet[Math.floor(Math.random() * alphabet.length)]!).join(''));
    try {
      return { fd: openSync(name, 'wx', 0o600), name };
    } catch (error) {
      if (count === tries || (error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
