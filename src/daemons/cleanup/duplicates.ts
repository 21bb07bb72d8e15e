/**
 * Which recipients a message has already, in whatever case: at most `limit` are remembered (duplicate_filter_limit; 0: no limit).
 *
 * With enable_original_recipient two are the same only when the client called them the same and wants the same for them.
 */
import { foldCase } from '../../text/utf8.ts';

export interface NamedRecipient {
  readonly address: string;
  readonly originalAddress: string;
  readonly dsnOrcpt: string;
  readonly dsnNotify: number;
}

export class Duplicates {
  // Most messages have one recipient, to which nothing has to be compared.
  #first: NamedRecipient | undefined;
  #seen: Set<string> | undefined;

  /** Remember it, unless it is there already: then false. */
  isNew(recipient: NamedRecipient, byOriginal: boolean, limit: number): boolean {
    if (this.#seen === undefined && this.#first === undefined) {
      this.#first = recipient;
      return true;
    }
    const seen = this.#open(byOriginal);
    const key = keyOf(recipient, byOriginal);
    if (seen.has(key)) return false;
    if (limit === 0 || seen.size < limit) seen.add(key);
    return true;
  }

  /** It may come again. */
  forget(recipient: NamedRecipient, byOriginal: boolean): void {
    this.#open(byOriginal).delete(keyOf(recipient, byOriginal));
  }

  #open(byOriginal: boolean): Set<string> {
    if (this.#seen === undefined) {
      this.#seen = new Set();
      if (this.#first !== undefined) this.#seen.add(keyOf(this.#first, byOriginal));
    }
    return this.#seen;
  }
}

function keyOf(recipient: NamedRecipient, byOriginal: boolean): string {
  const { address, originalAddress, dsnOrcpt, dsnNotify } = recipient;
  if (!byOriginal || isPlain(recipient)) return foldCase(address);
  return foldCase(`${dsnOrcpt}\n${dsnNotify}\n${originalAddress}\n${address}`);
}

/** Named as it is written, and nothing wished: the address alone tells it from others, unless somebody made it look like one of those keys. */
function isPlain({ address, originalAddress, dsnOrcpt, dsnNotify }: NamedRecipient): boolean {
  return dsnNotify === 0 && originalAddress === address && dsnOrcpt.length === orcptType.length + address.length
    && dsnOrcpt.endsWith(address) && dsnOrcpt.startsWith(orcptType) && !address.includes('\n');
}

const orcptType = 'rfc822;';
