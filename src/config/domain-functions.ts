// The functions of ${...} expressions: ${domain_to_ascii{name}} and ${domain_to_utf8{name}}. Names are byte strings holding
// UTF-8. A name that IDNA refuses gives undefined. The tables of IDNA are loaded when the first such name comes.
import { late } from '../host/late.ts';
import { isAscii } from '../text/ascii.ts';

type DomainFunction = (name: string) => string | undefined;

interface Idna {
  toASCII(name: string, options: object): string | null;
  toUnicode(name: string, options: object): { domain: string; error: boolean };
}

const idna = late<Idna>('tr46');

// UTS 46, non-transitional: what registries have used since IDNA2008.
const rules = { checkHyphens: true, checkBidi: true, checkJoiners: true, useSTD3ASCIIRules: true, verifyDNSLength: true };

const functions: ReadonlyMap<string, DomainFunction> = new Map([
  ['domain_to_ascii', (name) => (name === '' ? undefined : isAscii(name) ? name : (idna().toASCII(fromBytes(name), rules) ?? undefined))],
  ['domain_to_utf8', (name) => (!isAscii(name) ? name : /xn--/i.test(name) ? toUnicode(name) : /^[A-Za-z0-9._-]*$/.test(name) ? name : undefined)],
]);

export function domainFunction(name: string): DomainFunction | undefined {
  return functions.get(name);
}

function toUnicode(name: string): string | undefined {
  const { domain, error } = idna().toUnicode(name, rules);
  return error ? undefined : Buffer.from(domain, 'utf8').toString('latin1');
}

function fromBytes(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}
