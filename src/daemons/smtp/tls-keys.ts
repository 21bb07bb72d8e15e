/**
 * Keys and certificates of the client: authorities, its own chains, and TLS contexts made of them.
 *
 * Read before privileges are dropped. A mistake leaves the program without TLS, and the log says why: mail that must be encrypted then
 * waits. Contexts are costly, so one is kept for each set of wishes.
 */
import { daneDigests, type DaneDigests } from '../../network/dane-digests.ts';
import { digestExists } from '../../network/tls-facts.ts';
import { existsSync } from 'node:fs';
import type tls from 'node:tls';
import { nodeTls } from '../../host/node-tls.ts';
import { errorText } from '../../host/libc.ts';
import { nodeCiphers } from '../../network/tls-ciphers.ts';
import { ChainTrouble, type Chain } from '../../network/tls-chains.ts';
import { certificatesOf, readChains } from '../../network/tls-files.ts';
import { groupList, libraryOptions, type ProtocolRange } from '../../network/tls-protocols.ts';
import { isKnownGroup } from '../../network/tls-server.ts';
import type { TlsSettings } from './tls-settings.ts';

export interface KeysVoice {
  info(text: string): void;
  warning(text: string): void;
}

export interface ContextWish {
  readonly range: ProtocolRange;
  /** OpenSSL's list. */
  readonly ciphers: string;
  /** OpenSSL's: how weak keys may be. */
  readonly securityLevel: number;
}

/** Contexts that are kept; who has more policies than this pays for making them. */
const keptContexts = 50;
const block = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

export class ClientKeys {
  /** Whose keys could answer a server that asks for a certificate. */
  readonly chains: readonly Chain[];
  /** Of TLSA records: what can be made use of. */
  readonly daneDigests: DaneDigests;
  readonly #authorities: readonly string[];
  readonly #options: number;
  readonly #groups: string;
  readonly #contexts = new Map<string, tls.SecureContext>();

  private constructor(settings: TlsSettings, authorities: readonly string[], chains: readonly Chain[], voice: KeysVoice) {
    this.chains = chains;
    this.daneDigests = daneDigests(settings.daneDigests, (text) => voice.warning(text));
    this.#authorities = authorities;
    this.#options = libraryOptions(settings.sslOptions, settings.disabledWorkarounds, (text) => voice.warning(text));
    this.#groups = groupList(settings.curves, isKnownGroup);
  }

  /** Undefined: no TLS, and why has been said. */
  static read(settings: TlsSettings, voice: KeysVoice): ClientKeys | undefined {
    if (!digestExists(settings.digest)) {
      voice.warning(`Digest algorithm "${settings.digest}" not found`);
      voice.warning('disabling TLS support');
      return undefined;
    }
    const { chainFiles, single } = settings.keys;
    if (chainFiles.length > 0 && single.some(([, certificate]) => certificate !== '')) {
      const name = (word: string): string => `${settings.program}_tls_${word}`;
      voice.warning(`Both ${name('chain_files')} and one or more of the legacy  ${name('cert_file')}, ${name('eccert_file')} or ${name('dcert_file')} are non-empty; the legacy  parameters will be ignored`);
    }
    const authorities = authoritiesOf(settings, voice);
    if (authorities === undefined) return undefined;
    try {
      const made = new ClientKeys(settings, authorities, readChains(settings.keys), voice);
      made.context({ range: { minVersion: 'TLSv1', maxVersion: 'TLSv1.3', excluded: 0 }, ciphers: 'DEFAULT', securityLevel: 0 });
      return made;
    } catch (error) {
      for (const line of error instanceof ChainTrouble ? error.lines : [`TLS library problem: ${(error as Error).message}`, 'disabling TLS support']) voice.warning(line);
      return undefined;
    }
  }

  /** Throws what OpenSSL has against the wishes. */
  context({ range, ciphers, securityLevel }: ContextWish): tls.SecureContext {
    const name = [range.minVersion, range.maxVersion, range.excluded, securityLevel, ciphers].join(' ');
    const known = this.#contexts.get(name);
    if (known !== undefined) return known;
    const made = nodeTls().createSecureContext({
      minVersion: range.minVersion, maxVersion: range.maxVersion, secureOptions: (this.#options | range.excluded) >>> 0,
      ciphers: nodeCiphers(ciphers, securityLevel), ecdhCurve: this.#groups, ca: [...this.#authorities],
      ...(this.chains.length === 0 ? {} : { cert: this.chains.map(({ certificates }) => certificates), key: this.chains.map(({ key }) => key) }),
    });
    if (this.#contexts.size >= keptContexts) this.#contexts.clear();
    this.#contexts.set(name, made);
    return made;
  }
}

function authoritiesOf({ authorityFile: file, authorityPath: path, appendsDefaultAuthorities }: TlsSettings, voice: KeysVoice): string[] | undefined {
  if (file === '' && path === '') return [];
  try {
    // As OpenSSL has it: a directory that is not there has no certificates.
    const found = [...certificatesOf(file, path === '' || existsSync(Buffer.from(path, 'latin1')) ? path : ''), ...(appendsDefaultAuthorities ? nodeTls().getCACertificates('system') : [])];
    // In one piece, and each but once: the library reads them again for every context.
    const certificates = new Set(found.flatMap((pem) => (pem.match(block) ?? []).map((each) => each.replaceAll('TRUSTED ', ''))));
    if (file !== '' && certificates.size === 0) throw new Error('no certificate found');
    const text = [...certificates].join('\n');
    nodeTls().createSecureContext({ ca: text === '' ? [] : text });
    return text === '' ? [] : [text];
  } catch (error) {
    const where = [...(file === '' ? [] : [`CAfile="${file}"`]), ...(path === '' ? [] : [`CApath="${path}"`])];
    voice.info(`cannot load Certification Authority data, ${where.join(' ')}: disabling TLS support`);
    voice.warning(`TLS library problem: ${errorText(error)}`);
    return undefined;
  }
}
