// What is known about one main.cf parameter, said once: the type check of what daemons read, the limits, `postconf`
// and the manual pages all derive from the card. A topic file is an object from name to card.
// Cards are plain constants; nothing here reads a file or can fail.

/**
 * What a value is. The kinds with an `n` have a default that is an expression; in Postfix they are a kind of their own,
 * here they only say so. `raw` is text whose `$name` is expanded by whoever uses it, at the time of use.
 */
export type Kind = 'int' | 'long' | 'nint' | 'time' | 'ntime' | 'bool' | 'nbool' | 'str' | 'raw';

export interface Card {
  readonly kind: Kind;
  /** Text as an operator would write it in main.cf; expanded like the operator's own. */
  readonly default: string;
  /** Smallest and largest number, in seconds for times. Absent: no limit. */
  readonly min?: number;
  readonly max?: number;
  /** Shortest and longest text, in bytes, after expansion. Absent: no limit. */
  readonly minLength?: number;
  readonly maxLength?: number;
  /** First Postfix release that had it, where the manual says so. */
  readonly since?: string;
  /** Earlier names that are still honoured: the default refers to them. */
  readonly olderNames?: readonly string[];
  /** The parameter to use instead; empty: use none, leave it at its default. */
  readonly deprecated?: string;
  /** The default comes from the machine or the process (host name, interfaces, process id), not from `default`. */
  readonly computed?: true;
  /** Not known to Postfix. */
  readonly ours?: true;
  /** No program of this release reads it: it may be set, and has no effect. test/parameter-usage.test.ts holds this. */
  readonly notYetUsed?: true;
}

export type Cards = { readonly [name: string]: Card };

/** What a program gets when it reads a parameter of this kind; times are seconds. */
export type ValueOfKind<K extends Kind> = K extends 'bool' | 'nbool' ? boolean : K extends 'str' | 'raw' ? string : number;
