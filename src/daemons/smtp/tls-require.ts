/**
 * REQUIRETLS (RFC 8689) on its way out: smtp_requiretls_policy says how much of it holds for a destination. postconf(5).
 *
 * A table that cannot be asked, or says what means nothing, makes the mail wait.
 */
import type { RequireTls } from '../../protocol/smtp-client/steps.ts';
import { domainToAscii } from '../../network/idna.ts';
import { openTable } from '../../tables/open.ts';
import { TableTrouble, type LookupTable, type TableContext } from '../../tables/table.ts';
import { isAscii, sameIgnoringCase, splitListGroups } from '../../text/ascii.ts';
import { validHostaddr } from '../../text/hostname.ts';

/** `disable`: nothing; `error`: nobody knows. */
export type Requirement = RequireTls | 'disable' | 'error';

const actions: readonly (readonly [name: string, action: Requirement])[] = [
  ['opportunistic+starttls', 'starttls'], ['enforce', 'enforce'], ['opportunistic', 'opportunistic'], ['disable', 'disable'],
];

export class RequirePolicy {
  readonly #parameter: string;
  readonly #items: readonly (string | LookupTable)[];
  readonly #warn: (text: string) => void;

  constructor(parameter: string, policy: string, context: TableContext) {
    this.#parameter = parameter;
    this.#warn = (text) => context.warn(text);
    this.#items = splitListGroups(policy).map((item) => (item.includes(':') ? openTable(item, context, {}) : item));
  }

  async of(nexthop: string): Promise<Requirement> {
    for (const item of this.#items) {
      const found = typeof item === 'string' ? this.#action(item, this.#parameter) : await this.#inTable(item, nexthop);
      if (found !== undefined) return found;
    }
    return 'enforce';
  }

  #action(word: string, origin: string): Requirement {
    const found = actions.find(([name]) => sameIgnoringCase(name, word))?.[1];
    if (found !== undefined) return found;
    if (!sameIgnoringCase(word, 'error')) this.#warn(`${origin}: unknown policy action: '${word}' -- ignoring the remainder of this policy`);
    return 'error';
  }

  async #inTable(table: LookupTable, nexthop: string): Promise<Requirement | undefined> {
    const name = this.#asciiName(nexthop);
    if (name === undefined) return 'enforce';
    const origin = `${table.type}:${table.name}`;
    try {
      for (const key of validHostaddr(name) || !table.fixed ? [name] : [name, ...parents(name)]) {
        const value = await table.find(key);
        if (value !== undefined) return this.#atom(value, origin);
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      this.#warn(`${this.#parameter}: ${origin}: table lookup error -- ignoring the remainder of this policy`);
      return 'error';
    }
  }

  #atom(value: string, origin: string): Requirement {
    const nested = value.includes(':');
    if (!nested && !/[, \t\r\n]/.test(value)) return this.#action(value, origin);
    this.#warn(`table ${origin}: ${nested ? 'nested' : 'composite'} lookup result "${value}" is not allowed -- ignoring remainder of policy`);
    return 'error';
  }

  #asciiName(nexthop: string): string | undefined {
    if (validHostaddr(nexthop) || isAscii(nexthop)) return nexthop;
    const answer = domainToAscii(nexthop);
    if ('ascii' in answer) return answer.ascii;
    this.#warn(`${this.#parameter}: malformed next-hop destination: '${nexthop}' -- using default policy 'enforce'`);
    return undefined;
  }
}

function parents(domain: string): string[] {
  const found: string[] = [];
  for (let dot = domain.indexOf('.', 1); dot >= 0; dot = domain.indexOf('.', dot + 1)) found.push(domain.slice(dot));
  return found;
}
