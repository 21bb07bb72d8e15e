/** What posttls-finger(1) tells about a session and its certificates, in the words of Postfix's log. */
import type { X509Certificate } from 'node:crypto';
import type tls from 'node:tls';
import { spkiOf } from '../../network/dane.ts';
import { fingerprint } from '../../network/tls-facts.ts';
import { groupName, signatureBy, tlsSummary } from '../../network/tls-summary.ts';
import { level, mustMatch } from '../../network/tls-levels.ts';
import { logs } from './levels.ts';
import type { TraceFacts } from './trace.ts';
import { errorLine, matchLines, oneLineName, partOf, type Verdict } from '../../network/tls-verdict.ts';

export interface ReportVoice {
  info(text: string): void;
}

export class Report {
  readonly #voice: ReportVoice;
  readonly #peer: string;
  readonly #log: number;
  readonly #digest: string;
  readonly #level: number;

  constructor(voice: ReportVoice, peer: string, log: number, digest: string, chosen: number) {
    this.#voice = voice;
    this.#peer = peer;
    this.#log = log;
    this.#digest = digest;
    this.#level = chosen;
  }

  /** Why the server is trusted, or why not, and who it says it is. */
  certificates(verdict: Verdict, chain: readonly X509Certificate[], reused: boolean): void {
    const [leaf] = chain;
    if (reused && (this.#log & logs.cache) !== 0) this.#voice.info(`${this.#peer}: Reusing old session`);
    if (leaf === undefined) return;
    const talkative = (this.#log & (logs.certmatch | logs.verbose | logs.peercert)) !== 0;
    if (verdict.matched && talkative) for (const line of matchLines(verdict, this.#level)) this.#voice.info(`${this.#peer}: ${line}`);
    if (!verdict.matched && (this.#log & logs.untrusted) !== 0) this.#complain(verdict, chain, reused);
    if (!talkative) return;
    const issuer = partOf(leaf.issuer, 'CN') ?? partOf(leaf.issuer, 'O') ?? '';
    this.#voice.info(`${this.#peer}: subject_CN=${partOf(leaf.subject, 'CN') ?? ''}, issuer=${issuer}, cert fingerprint=${fingerprint(this.#digest, leaf.raw)}`
      + `, pkey fingerprint=${fingerprint(this.#digest, spkiOf(leaf))}`);
  }

  #complain(verdict: Verdict, chain: readonly X509Certificate[], reused: boolean): void {
    if (reused) return this.#voice.info(`${this.#peer}: re-using session with untrusted peer credential, look for details earlier in the log`);
    const line = errorLine(verdict, this.#peer, chain);
    if (line !== undefined) this.#voice.info(line);
  }

  summary(stream: tls.TLSSocket, trace: TraceFacts, verdict: Verdict, chain: readonly X509Certificate[], reused: boolean): void {
    if ((this.#log & logs.summary) === 0) return;
    const protocol = stream.getProtocol() ?? '';
    const signed = protocol === 'TLSv1.3' && !reused;
    const own = stream.getX509Certificate();
    this.#voice.info(tlsSummary({
      trust: this.#trust(verdict, chain), usage: 'established', peer: this.#peer, protocol, cipher: stream.getCipher().name,
      keyExchange: groupName(protocol, stream.getEphemeralKeyInfo() as { name?: string; type?: string; size?: number } | null),
      server: signed && chain[0] !== undefined ? signatureBy(chain[0].publicKey, trace.serverScheme) : undefined,
      client: signed && own !== undefined && trace.clientScheme !== undefined ? signatureBy(own.publicKey, trace.clientScheme) : undefined,
    }));
  }

  #trust({ trusted, matched }: Verdict, chain: readonly X509Certificate[]): 'Anonymous' | 'Verified' | 'Trusted' | 'Untrusted' {
    if (chain.length === 0) return 'Anonymous';
    if (matched && mustMatch(this.#level) && this.#level !== level.halfDane) return 'Verified';
    return trusted ? 'Trusted' : 'Untrusted';
  }
}

/** The chain as it was sent, each certificate with its names and digests. */
export function printChain(chain: readonly X509Certificate[], digest: string): string {
  const parts = chain.map((certificate, at) => [
    `${String(at).padStart(2)} subject: ${oneLineName(certificate.subject)}`, `    issuer: ${oneLineName(certificate.issuer)}`,
    `   cert digest=${fingerprint(digest, certificate.raw)}`, `   pkey digest=${fingerprint(digest, spkiOf(certificate))}`, certificate.toString(),
  ].join('\n'));
  return `\n---\nCertificate chain\n${parts.join('')}`;
}
