/**
 * Cipher grades and lists (smtpd_tls_ciphers and the like), and how many bits a cipher has. Pure. postconf(5).
 *
 * Lists are OpenSSL's, with security level 0 as Postfix's unless a verified certificate is required.
 */
import { lowerAscii } from '../text/ascii.ts';

export interface CipherLists {
  readonly high: string;
  readonly medium: string;
  readonly none: string;
}

export interface CipherWish {
  readonly grade: string;
  /** Texts of the exclude parameters that hold. */
  readonly exclusions: readonly string[];
  readonly securityLevel: number;
}

/** TLSv1.3 has suites of its own, which no grade touches. */
const newestSuites = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';

/** Grades by name; what OpenSSL no longer has (export, low) means medium. */
const grades: ReadonlyMap<string, keyof CipherLists> = new Map([
  ['high', 'high'], ['medium', 'medium'], ['low', 'medium'], ['export', 'medium'], ['null', 'none'],
]);

/** The list without the suites of TLSv1.3, as the log shows it; `trouble`: there can be no TLS. */
export function cipherList(wish: CipherWish, lists: CipherLists): { readonly list: string } | { readonly trouble: string } {
  const grade = grades.get(lowerAscii(wish.grade));
  if (grade === undefined) return { trouble: `invalid cipher grade: "${wish.grade}"` };
  let list = lists[grade];
  for (const word of wish.exclusions.flatMap((text) => text.split(/[ \t\r\n,:]+/))) {
    if (word === '') continue;
    if ('!+-@'.includes(word[0]!)) return { trouble: `invalid unary '!+-@' in cipher exclusion: ${word}` };
    list += `:!${word}`;
  }
  return { list };
}

/** As node:tls wants it. */
export function nodeCiphers(list: string, securityLevel: number): string {
  return `${newestSuites}:${list.replace(/[ \t,]+/g, ':')}:@SECLEVEL=${securityLevel}`;
}

const bitRules: readonly (readonly [part: RegExp, used: number, algorithm: number])[] = [
  [/NULL/, 0, 0], [/DES-CBC3|3DES/, 112, 168], [/(?:AES|ARIA|CAMELLIA)_?-?256|CHACHA20|GOST/, 256, 256], [/(?:AES|ARIA|CAMELLIA)_?-?128|SEED|IDEA|RC4/, 128, 128],
];

/** The bits of a cipher by OpenSSL's name: those used, and those of the algorithm. 0: unknown. */
export function cipherBits(name: string): { readonly used: number; readonly algorithm: number } {
  const rule = bitRules.find(([part]) => part.test(name));
  return rule === undefined ? { used: 0, algorithm: 0 } : { used: rule[1], algorithm: rule[2] };
}
