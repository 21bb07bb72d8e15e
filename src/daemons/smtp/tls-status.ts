/**
 * What was asked of TLS and what came of it, as delivery log lines show it behind `tls=` (smtp_log_tls_feature_status): `may`, `may:none`,
 * `!verify`, `encrypt/requiretls:none`, `dane?`.
 */
interface Part {
  readonly asked: string;
  /** What came of it; undefined: nothing yet. */
  came: string | undefined;
  broken: boolean;
}

export class TlsStatus {
  readonly #level: Part;
  readonly #required: Part | undefined;

  /** @param level name of the security level; @param required the sender asked for REQUIRETLS */
  constructor(level: string, required: boolean) {
    this.#level = { asked: level, came: undefined, broken: false };
    this.#required = required ? { asked: 'requiretls', came: undefined, broken: false } : undefined;
  }

  /** The level that holds; `broken`: mail was not sent because of it. */
  level(name: string, broken = false): void {
    came(this.#level, name, broken);
  }

  required(name: string, broken = false): void {
    if (this.#required !== undefined) came(this.#required, name, broken);
  }

  get text(): string {
    return this.#required === undefined ? textOf(this.#level) : `${textOf(this.#level)}/${textOf(this.#required)}`;
  }
}

function came(part: Part, name: string, broken: boolean): void {
  part.came = name;
  part.broken = broken;
}

function textOf({ asked, came, broken }: Part): string {
  const shown = broken ? `!${asked}` : asked;
  return came === undefined ? `${shown}?` : came === asked ? shown : `${shown}:${came}`;
}
