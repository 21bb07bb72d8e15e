/** What became of mail, as lines that can be compared: what must differ between two systems (queue ids, times, random names) is made equal. */
import fs from 'node:fs';

/** What was logged and what is there afterwards, a line for each thing. */
export type Trace = readonly string[];

/** A log that grows, read once. */
export class LogTail {
  readonly #path: string;
  #fd = -1;
  #at = 0;
  text = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** From here on. */
  forget(): void {
    this.more();
    this.text = '';
  }

  more(): string {
    if (this.#fd < 0) this.#fd = fs.openSync(this.#path, 'r');
    const chunk = Buffer.alloc(64 << 10);
    for (let count = fs.readSync(this.#fd, chunk, 0, chunk.length, this.#at); count > 0; count = fs.readSync(this.#fd, chunk, 0, chunk.length, this.#at)) {
      this.#at += count;
      this.text += chunk.toString('latin1', 0, count);
    }
    return this.text;
  }

  close(): void {
    if (this.#fd >= 0) fs.closeSync(this.#fd);
  }
}

/** Postfix says it in each process that opens the table or reads the parameter, when it does: ours once. */
const saidAtStart = /^error: open database |: deprecated parameter, use |overriding earlier entry/;
const agents = new Set(['local', 'virtual', 'pipe', 'error', 'discard', 'bounce', 'collect']);

/** Lines of the agents: those of the message sent, in order; then all others, sorted. */
export function logTrace(log: string, ids: readonly string[], inOrder: boolean): string[] {
  const own: string[] = [];
  const others: string[] = [];
  for (const line of log.split('\n')) {
    const [, program, text] = /^\S+ +\S+ \S+ \S+ postfix\/(?:[a-z]+\/)?([a-z-]+)\[[0-9]+\]: (.*)$/.exec(line) ?? [];
    if (program === undefined || !agents.has(program) || saidAtStart.test(text!)) continue;
    const plain = equalized(text!);
    const isOwn = ids.some((id) => text!.startsWith(`${id}: to=`));
    (isOwn ? own : others).push(`${isOwn ? 'log' : 'other log'} ${program}: ${plain}`);
  }
  // Several recipients are delivered to at once.
  return [...(inOrder ? own : own.sort()), ...others.sort()];
}

const month = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';

function equalized(text: string): string {
  return text.replace(/\b[0-9A-F]{8,14}\b|\b(?=[0-9A-Za-z]*z)[0-9BCDFGHJKLMNPQRSTVWXYZa-z]{12,20}\b/g, 'ID').replace(/delay=[0-9.e+]+, delays=[0-9.e+/]+/, 'delay')
    .replace(/^(>?From .*?) {1,2}[A-Z][a-z]{2} [A-Z][a-z]{2} .{16}$/gm, '$1  DATE').replace(new RegExp(`(?:[A-Z][a-z]{2}, )?[ 0-9]?[0-9] ${month} [0-9]{4} [0-9:]{8} [-+][0-9]{4}(?: \\([A-Z]+\\))?`, 'g'), 'DATE')
    .replace(/ID\.[0-9]{9,}\//g, 'ID.TIME/').replace(/\b[0-9]+\.P[0-9]+Q?[0-9]*\.|\b[0-9]{9,}\.[A-Za-z0-9]+\.(?=\S)/g, 'NAME.')
    .replace(/\/tmp\/[^\s:/]+/g, '/tmp/NAME').replace(/\/new\/ID\.V[^\s:]+/g, '/new/NAME');
}

/** What a report says before it comes to the point is ours alone. */
function withoutProse(text: string): string {
  return text.replace(/^(This is the mail system at host .*\n)[^]*?^( +The mail system)$/gm, '$1$2');
}

/** The messages of a mailbox: those that go through the queue come as they like. */
function inAnyOrder(text: string): string {
  const messages = text.split(/^(?=From .* {2}DATE$)/m);
  return messages.length < 2 ? text : messages.sort().join('');
}

/** Every file and directory with its mode and owner, and what stands in it. */
export function fileTrace({ home, mail }: { readonly home: string; readonly mail: string }): string[] {
  const found: string[] = [];
  const walk = (place: string, shown: string): void => {
    const texts: string[] = [];
    for (const name of fs.readdirSync(place).sort()) {
      const path = `${place}/${name}`;
      const status = fs.lstatSync(path);
      const isMessage = /\/(?:new|tmp|cur)$/.test(shown);
      const title = `${shown}/${isMessage ? 'NAME' : name} ${(status.mode & 0o7777).toString(8)} ${status.uid}:${status.gid}`;
      if (status.isDirectory()) {
        found.push(`${title} directory`);
        walk(path, `${shown}/${name}`);
      } else if (!status.isFile()) found.push(`${title} ${status.isSymbolicLink() ? 'link' : 'special'}`);
      else {
        const lines = inAnyOrder(withoutProse(equalized(fs.readFileSync(path, 'latin1')))).split('\n').map((line) => `${isMessage ? shown : `${shown}/${name}`} | ${line}`);
        texts.push([title, ...lines].join('\n'));
      }
    }
    for (const text of texts.sort()) found.push(...text.split('\n'));
  };
  for (const name of fs.readdirSync(home).sort()) if (name !== 'etc' && name !== 'bin') walk(`${home}/${name}`, `/home/${name}`);
  walk(mail, '/var/mail');
  return found;
}
