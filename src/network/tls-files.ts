/**
 * The files of a server's keys and certificates: read together, and watched, so that renewed ones are used without anybody's doing.
 *
 * Watching begins before privileges are dropped and goes on after: the kernel tells of changes also where the files may not be read
 * any more. Changes are reported when the directory has been quiet for a moment, so that a key and its certificate come together.
 */
import { readdirSync, readFileSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { chainOfFiles, chainsInOrder, ChainTrouble, fileProblem, type Chain, type PemSource } from './tls-chains.ts';
import type { Ticker } from './ticker.ts';

export interface KeyFiles {
  /** Takes the place of all others when it is not empty. */
  readonly chainFiles: readonly string[];
  /** Certificate and key, by the kind of key; '' where there is none. */
  readonly single: readonly (readonly [type: 'RSA' | 'DSA' | 'ECDSA', certificate: string, key: string])[];
}

/** Throws ChainTrouble. */
export function readChains({ chainFiles, single }: KeyFiles): Chain[] {
  if (chainFiles.length > 0) {
    const sources = chainFiles.map((name) => source(name, `error opening chain file: ${name}`));
    return chainsInOrder(sources, chainFiles.join(', '), 'disabling TLS support');
  }
  return single.filter(([, certificate]) => certificate !== '').map(([type, certificate, key]) => {
    const complain = (what: string, name: string): string => `cannot get ${type} ${what} from file "${name}": disabling TLS support`;
    const first = source(certificate, complain('certificate', certificate));
    return chainOfFiles(type, first, key === certificate ? first : source(key, complain('private key', key)));
  });
}

function source(name: string, complaint: string): PemSource {
  try {
    return { name, text: readFileSync(Buffer.from(name, 'latin1'), 'latin1') };
  } catch (error) {
    throw new ChainTrouble([complaint, fileProblem(name, error as NodeJS.ErrnoException)], true);
  }
}

/** Certificates of a CApath directory: those under the names that c_rehash gives. */
export function certificatesOf(file: string, directory: string): string[] {
  const texts = file === '' ? [] : [readFileSync(Buffer.from(file, 'latin1'), 'latin1')];
  if (directory === '') return texts;
  const names = readdirSync(Buffer.from(directory, 'latin1'), 'latin1').filter((name) => /^[0-9a-f]{8}\.[0-9]+$/.test(name));
  return [...texts, ...names.map((name) => readFileSync(Buffer.from(`${directory}/${name}`, 'latin1'), 'latin1'))];
}

/** Milliseconds without a change after which what has changed is looked at. */
const settled = 1000;

/** Watches the directories of files, so that it is also seen when one is put in another's place. */
export class FileWatch {
  readonly #watchers: FSWatcher[] = [];
  readonly #ticker: Ticker;
  readonly #changed: () => void;
  #timer: { cancel(): void } | undefined;

  /** `warn` hears of what cannot be watched: changes there are then seen at the next reload. */
  constructor(files: readonly string[], ticker: Ticker, changed: () => void, warn: (text: string) => void) {
    this.#ticker = ticker;
    this.#changed = changed;
    const names = new Map<string, Set<string>>();
    for (const file of files) {
      const directory = dirname(file);
      names.set(directory, (names.get(directory) ?? new Set()).add(file.slice(file.lastIndexOf('/') + 1)));
    }
    for (const [directory, wanted] of names) this.#watch(directory, wanted, warn);
  }

  close(): void {
    this.#timer?.cancel();
    for (const watcher of this.#watchers) watcher.close();
  }

  #watch(directory: string, wanted: ReadonlySet<string>, warn: (text: string) => void): void {
    try {
      const watcher = watch(Buffer.from(directory, 'latin1'), { persistent: false, encoding: 'latin1' }, (_event, name) => {
        // A kernel that does not say which file leaves us to look.
        if (name === null || wanted.has(name)) this.#noticed();
      });
      watcher.on('error', (error) => warn(`cannot watch ${directory}: ${error.message}`));
      this.#watchers.push(watcher);
    } catch (error) {
      warn(`cannot watch ${directory}: ${(error as Error).message}`);
    }
  }

  #noticed(): void {
    this.#timer?.cancel();
    this.#timer = this.#ticker.after(settled, this.#changed);
  }
}
