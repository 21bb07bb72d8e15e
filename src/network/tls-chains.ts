/**
 * Private keys and certificate chains from PEM text, as the parameters for chain files and for single certificates want them.
 *
 * What is given out fits together: each key with the first certificate behind it, the issuers after that. Whatever does not - a file
 * cut short, a key of another certificate - is a ChainTrouble with the lines that the log gets: nothing of such a set is used.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { errnoText } from '../host/libc.ts';
import { keyKind, type KeyKind } from './tls-facts.ts';

export interface Chain {
  /** PEM */
  readonly key: string;
  /** PEM: the certificate, then its issuers. */
  readonly certificates: string;
  readonly kind: KeyKind;
}

export class ChainTrouble extends Error {
  readonly lines: readonly string[];
  /** No file, or one that may not be read: waiting does not help. */
  readonly isOutOfReach: boolean;

  constructor(lines: readonly string[], isOutOfReach = false) {
    super(lines.join('; '));
    this.lines = lines;
    this.isOutOfReach = isOutOfReach;
  }
}

interface Block { readonly type: string; readonly text: string }

interface Draft { key: KeyObject | undefined; keyText: string; keyAt: string; certificates: string[] }

const newDraft = (): Draft => ({ key: undefined, keyText: '', keyAt: '', certificates: [] });

/** Objects of a PEM text; throws where one has no end. */
function blocksOf(text: string, source: string): Block[] {
  const blocks: Block[] = [];
  for (let at = text.indexOf('-----BEGIN '); at >= 0;) {
    const type = /^-----BEGIN ([^-\r\n]+)-----/.exec(text.slice(at, at + 100))?.[1];
    const last = `-----END ${type}-----`;
    const end = text.indexOf(last, at);
    if (type === undefined || end < 0) throw new ChainTrouble([`TLS library problem: error:0480006D:PEM routines::no end line in ${source}:`]);
    blocks.push({ type, text: text.slice(at, end + last.length) });
    at = text.indexOf('-----BEGIN ', end + last.length);
  }
  return blocks;
}

const isCertificate = ({ type }: Block): boolean => type === 'CERTIFICATE' || type === 'X509 CERTIFICATE';
const isKey = ({ type }: Block): boolean => /^(?:(?:RSA|EC|DSA) )?PRIVATE KEY$/.test(type);

function readKey({ text }: Block, at: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new ChainTrouble([`error loading private key (PEM object number ${at}`, `TLS library problem: ${(error as Error).message}:`]);
  }
}

function readCertificate(text: string, at: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new ChainTrouble([`error loading certificate (PEM object number ${at}`, `TLS library problem: ${(error as Error).message}:`]);
  }
}

function finished({ key, keyText, keyAt, certificates }: Draft): Chain {
  const [leaf] = certificates.map((text, index) => readCertificate(text, `${index + 1}) behind key ${keyAt}`));
  if (!leaf!.checkPrivateKey(key!)) throw new ChainTrouble([`key at index ${keyAt} does not match next certificate`]);
  return { key: keyText, certificates: `${certificates.join('\n')}\n`, kind: keyKind(key!) };
}

export interface PemSource { readonly name: string; readonly text: string }

/** smtpd_tls_chain_files, and what tls_server_sni_maps hold: a key, its certificate, issuers; and so on. Throws ChainTrouble. */
export function chainsInOrder(sources: readonly PemSource[], origin: string, consequence: string): Chain[] {
  try {
    return ordered(sources, origin);
  } catch (error) {
    if (!(error instanceof ChainTrouble)) throw error;
    throw new ChainTrouble([...error.lines, `error loading private keys and certificates from: ${origin}: ${consequence}`]);
  }
}

function ordered(sources: readonly PemSource[], origin: string): Chain[] {
  const chains: Chain[] = [];
  let draft = newDraft();
  for (const { name, text } of sources) {
    blocksOf(text, name).forEach((block, index) => {
      const at = `${index + 1}) from ${name}`;
      if (isKey(block)) {
        if (draft.key !== undefined) {
          if (draft.certificates.length === 0) throw new ChainTrouble([`error loading certificate chain: key at index ${draft.keyAt} not followed by a certificate`]);
          chains.push(finished(draft));
        }
        draft = { ...newDraft(), key: readKey(block, at), keyText: block.text, keyAt: `${index + 1} in ${name}` };
      } else if (isCertificate(block)) {
        if (draft.key === undefined) throw new ChainTrouble([`error loading chain from ${name}: key not first`]);
        draft.certificates.push(block.text);
      }
    });
  }
  if (draft.key === undefined) throw new ChainTrouble([`No PEM data in ${origin}`]);
  if (draft.certificates.length === 0) throw new ChainTrouble([`No certs for key at index ${draft.keyAt}`]);
  return [...chains, finished(draft)];
}

/** A certificate file with its issuers, and the key in another file or anywhere in the same. Throws ChainTrouble. */
export function chainOfFiles(type: 'RSA' | 'DSA' | 'ECDSA', certificate: PemSource, key: PemSource): Chain {
  const certificates = blocksOf(certificate.text, certificate.name).filter(isCertificate).map(({ text }) => text);
  const keys = blocksOf(key.text, key.name).filter(isKey);
  if (certificates.length === 0) throw new ChainTrouble([`cannot get ${type} certificate from file "${certificate.name}": disabling TLS support`]);
  if (keys.length === 0) throw new ChainTrouble([`cannot get ${type} private key from file "${key.name}": disabling TLS support`]);
  const opened = readKey(keys[0]!, `1) from ${key.name}`);
  const [leaf] = certificates.map((text, index) => readCertificate(text, `${index + 1}) from ${certificate.name}`));
  if (!leaf!.checkPrivateKey(opened)) throw new ChainTrouble([`${type} private key in ${key.name} does not match public key in ${certificate.name}: disabling TLS support`]);
  return { key: keys[0]!.text, certificates: `${certificates.join('\n')}\n`, kind: keyKind(opened) };
}

/** The library's words for a file that cannot be read. */
export function fileProblem(path: string, error: NodeJS.ErrnoException): string {
  const text = error.errno === undefined ? error.message : errnoText(Math.abs(error.errno));
  return `TLS library problem: error:80000000:system library::${text}:fopen('${path}', 'r'):`;
}
