/**
 * What posttls-finger(1) reads before it gives up root's rights: authorities, trust anchors, its own certificates, digest and ciphers.
 *
 * Trouble with any of these turns TLS off, with Postfix's words about it, but for trust anchors, which end the program.
 */
import { X509Certificate } from 'node:crypto';
import { daneDigests, type DaneDigests } from '../../network/dane-digests.ts';
import { digestExists } from '../../network/tls-facts.ts';
import { accessSync, constants } from 'node:fs';
import tls from 'node:tls';
import type { Configuration } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import type { TlsaData } from '../../network/dns.ts';
import { anchorsIn } from '../../network/tls-anchors.ts';
import { ChainTrouble, type Chain } from '../../network/tls-chains.ts';
import { certificatesOf, readChains } from '../../network/tls-files.ts';
import { groupList } from '../../network/tls-protocols.ts';
import { level } from '../../network/tls-levels.ts';
import { logs } from './levels.ts';
import type { FingerOptions } from './options.ts';

export interface Credentials {
  readonly authorities: readonly string[];
  /** Our own. */
  readonly chains: readonly Chain[];
  readonly digest: string;
  readonly daneDigests: DaneDigests;
  readonly groups: string;
  /** Instead of authorities; empty: there are none. */
  readonly anchors: readonly TlsaData[];
}

export interface CredentialsVoice {
  info(text: string): void;
  warning(text: string): void;
  fatal(text: string): never;
}

const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/** Undefined: no TLS, and why has been said. */
export function loadCredentials(options: FingerOptions, config: Configuration, voice: CredentialsVoice): Credentials | undefined {
  const anchors = anchorsOf(options, voice);
  if (options.level === level.none) return undefined;
  if ((options.log & logs.verbose) !== 0) voice.info('initializing the client-side TLS engine');
  const digest = options.digest ?? config.get('smtp_tls_fingerprint_digest');
  if (!digestExists(digest)) {
    voice.warning(`Digest algorithm "${digest}" not found`);
    voice.warning('disabling TLS support');
    return undefined;
  }
  const authorities = authoritiesOf(options, config.get('tls_append_default_CA'), voice);
  const own = authorities && ownOf(options, voice);
  return own && {
    authorities: authorities!, chains: own, digest, daneDigests: daneDigests(config.get('tls_dane_digests'), (text) => voice.warning(text)), groups: groupsOf(config), anchors,
  };
}

function authoritiesOf({ caFile, caPath }: FingerOptions, appendDefault: boolean, voice: CredentialsVoice): string[] | undefined {
  try {
    const found = [...certificatesOf(caFile, caPath), ...(appendDefault ? tls.getCACertificates('system') : [])];
    for (const pem of found) for (const [certificate] of pem.matchAll(block)) if (/^-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE/.test(certificate)) new X509Certificate(certificate.replaceAll('TRUSTED ', ''));
    return found;
  } catch (error) {
    const where = [...(caFile === '' ? [] : [`CAfile="${caFile}"`]), ...(caPath === '' ? [] : [`CApath="${caPath}"`])];
    voice.info(`cannot load Certification Authority data, ${where.join(' ')}: disabling TLS support`);
    voice.warning(`TLS library problem: ${errorText(error)}`);
    return undefined;
  }
}

function ownOf({ certificate, key, chainFiles }: FingerOptions, voice: CredentialsVoice): Chain[] | undefined {
  const trouble = certificate === key && certificate !== '' ? unreadable(certificate) : undefined;
  if (trouble !== undefined) return void voice.warning(`error opening chain file: ${certificate}: ${trouble}`);
  try {
    return readChains({ chainFiles, single: [['RSA', certificate, key]] });
  } catch (error) {
    if (!(error instanceof ChainTrouble)) throw error;
    for (const line of error.lines) voice.warning(line);
    return undefined;
  }
}

function unreadable(file: string): string | undefined {
  try {
    accessSync(Buffer.from(file, 'latin1'), constants.R_OK);
    return undefined;
  } catch (error) {
    return errorText(error);
  }
}

/** Names of key exchange groups; those that OpenSSL has not are left out, as Postfix leaves them out. */
function groupsOf(config: Configuration): string {
  return groupList([config.get('tls_eecdh_auto_curves'), config.get('tls_ffdhe_auto_groups')], groupExists);
}

function groupExists(name: string): boolean {
  try {
    tls.createSecureContext({ ca: [], ecdhCurve: name });
    return true;
  } catch {
    return false;
  }
}

function anchorsOf({ trustAnchors, level: chosen }: FingerOptions, voice: CredentialsVoice): TlsaData[] {
  const anchors: TlsaData[] = [];
  if (chosen !== level.secure && chosen !== level.verify) return anchors;
  for (const file of trustAnchors) {
    const found = anchorsIn(file, (text) => voice.warning(text));
    if (found === undefined) voice.fatal(`Failed to load trust anchor file: ${file}`);
    else anchors.unshift(...found);
  }
  return anchors;
}
