// What `postconf -T` says of the TLS library: the one that is built into the Node which runs us. Undefined for a question that
// nobody knows.
import tls from 'node:tls';

/** A certificate can be used when ciphers exist that are named after the algorithm of its key. */
const keyAlgorithms = [['dsa', '-dss-'], ['ecdsa', '-ecdsa-'], ['rsa', '-rsa-']] as const;

const version = (): string[] => [`OpenSSL ${process.versions.openssl}`];

const facts: ReadonlyMap<string, () => readonly string[]> = new Map([
  ['compile-version', version],
  ['run-version', version],
  ['public-key-algorithms', () => keyAlgorithms.filter(([, part]) => tls.getCiphers().some((cipher) => cipher.includes(part))).map(([name]) => name)],
]);

export function tlsFacts(question: string): string | undefined {
  return facts.get(question)?.().map((line) => `${line}\n`).join('');
}

export const tlsQuestions = [...facts.keys()].join(', ');
