/**
 * What was asked of TLS and what came of it, as delivery log lines show it behind `tls=` (smtp_log_tls_feature_status): `may`, `may:none`,
 * `!verify`, `encrypt/requiretls:none`, `dane?`.
 */
interface Part {
  readonly asked: string;
  /** What came of it; undefined: nothing yet. */
  came?: string;
  broken?: boolean;
}

export class TlsStatus {
  readonly #level: Part;
  readonly #required: Part | undefined;

  /** @param level name of the security level; @param required the sender asked for REQUIRETLS */
  constructor(level: string, required: boolean) {
    this.#level = { asked: level };
    this.#required = required ? { asked: 'requiretls' } : undefined;
  }

  /** The level that holds; `broken`: mail was not sent because of it. */
  level(name: string, broken = false): void {
    Object.assign(this.#level, { came: name, broken });
  }

  required(name: string, broken = false): void {
    if (this.#required !== undefined) Object.assign(this.#required, { came: name, broken });
  }

  get text(): string {
    return this.#required === undefined ? textOf(this.#level) : `${textOf(this.#level)}/${textOf(this.#required)}`;
  }
}

function textOf({ asked, came, broken }: Part): string {
  const shown = `${broken === true ? '!' : ''}${asked}`;
  return came === undefined ? `${shown}?` : came === asked ? shown : `${shown}:${came}`;
}
