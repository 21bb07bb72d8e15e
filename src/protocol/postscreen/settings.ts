/** What main.cf says, as far as a session of postscreen(8) has to know, and what it may ask while it runs. */

export type Action = 'drop' | 'enforce' | 'ignore';

/** A table gave no answer. */
export const outOfOrder = Symbol('out of order');

/** Seconds when all is well, and under stress. */
export interface Patience {
  readonly normal: number;
  readonly stress: number;
}

export interface ScreenSettings {
  readonly myhostname: string;
  /** smtpd_banner, postscreen_greet_banner: texts without a code; the latter '' switches the pregreet test off. */
  readonly banner: string;
  readonly teaser: string;
  /** Set of test bits that are switched on. */
  readonly enabled: number;
  readonly greetWait: Patience;
  readonly greetTtl: number;
  readonly greetAction: Action;
  readonly dnsblAction: Action;
  readonly dnsblThreshold: number;
  /** 0: no list can let a client in. */
  readonly dnsblAllowThreshold: number;
  readonly dnsblMinTtl: number;
  readonly dnsblMaxTtl: number;
  readonly pipeliningTtl: number;
  readonly pipeliningAction: Action;
  readonly nonSmtpTtl: number;
  readonly nonSmtpAction: Action;
  readonly bareNewlineTtl: number;
  readonly bareNewlineAction: Action;
  readonly commandTime: Patience;
  readonly commandCountLimit: number;
  readonly lineLengthLimit: number;
  readonly messageSizeLimit: number;
  readonly heloRequired: boolean;
  /** disable_vrfy_command hides VRFY, postscreen_disable_vrfy_command switches it off. */
  readonly hidesVrfy: boolean;
  readonly disablesVrfy: boolean;
  readonly smtputf8: boolean;
  readonly softBounce: boolean;
  /** Digits behind the point of a delay in the log. */
  readonly delayDigits: number;
  /** Keywords that are not offered, in lower case. */
  readonly discardedKeywords: ReadonlySet<string>;
  readonly tls: {
    readonly isUsed: boolean; readonly isRequired: boolean; readonly isReady: () => boolean;
    /** STARTTLS is offered and cannot be had after all: 454. The log knows why. */
    readonly isRefused: (label: string) => boolean;
  };
  /** Local parts in the log are quoted where mail needs quotes. */
  readonly logsQuoted: boolean;
  /** Under stress everybody has less time. */
  isStressed(): boolean;
  /** Seconds since the epoch. */
  seconds(): number;
  isForbiddenCommand(word: string): boolean;
  /** postscreen_command_filter; undefined: leave the command alone. */
  filterCommand(line: string): string | undefined | typeof outOfOrder;
  /** postscreen_discard_ehlo_keyword_address_maps */
  discardsFor(address: string): string | undefined | typeof outOfOrder;
  /** A footer for a refusal (`450 4.3.2 text`, without an end of line), with $names replaced; '' for none. */
  footer(reply: string, client: Client): string;
}

/** Who is served. */
export interface Client {
  readonly address: string;
  readonly port: string;
}

/** For how long any test's result holds at least: who is let off for now is tested again then. */
export function shortestTtl(settings: ScreenSettings): number {
  return Math.min(settings.greetTtl, settings.dnsblMinTtl, settings.pipeliningTtl, settings.nonSmtpTtl, settings.bareNewlineTtl);
}
