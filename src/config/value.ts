// Turns the expanded text of a parameter into its value and checks it against the limits of its card.
// Throws ConfigurationError: Postfix's own text, then file, line and how the value is likely meant.
import { sameIgnoringCase } from '../text/ascii.ts';
import { parseTime } from '../text/time.ts';
import type { TimeUnit } from '../text/time.ts';
import type { Card, Kind } from '../parameters/card.ts';
import { ConfigurationError } from './configuration-error.ts';
import type { Origin } from './configuration-error.ts';

interface Question {
  readonly name: string;
  readonly text: string;
  readonly card: Card;
  /** The default, expanded. */
  readonly defaultText: () => string;
  /** Does main.cf say it? */
  readonly isSet: boolean;
  readonly refuse: (text: string, fix: string) => ConfigurationError;
}

type Convert = (question: Question) => number | boolean | string;

const largestInt = 0x7fffffff;

const converters: { readonly [K in Kind]: Convert } = {
  int: (question) => number(question, largestInt),
  nint: (question) => number(question, largestInt),
  long: (question) => number(question, Number.MAX_SAFE_INTEGER),
  time,
  ntime: time,
  bool: boolean,
  nbool: boolean,
  str: string,
  raw: string,
};

export function convertValue(name: string, text: string, card: Card, expand: (text: string) => string, origin: Origin | undefined): number | boolean | string {
  return converters[card.kind]({
    name,
    text,
    card,
    isSet: origin !== undefined,
    defaultText: () => expand(card.default),
    refuse: (message, fix) => new ConfigurationError(message, origin, fix),
  });
}

function number({ name, text, card, defaultText, refuse }: Question, largest: number): number {
  const value = /^[ \t\n\v\f\r]*[+-]?[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!(Math.abs(value) <= largest))
    throw refuse(`bad numerical configuration: ${name} = ${text}`, `write a whole number, as in "${name} = ${defaultText()}"`);
  const { min, max } = card;
  if (min !== undefined && value < min) throw refuse(`invalid ${name} parameter value ${value} < ${min}`, `write ${min} or more`);
  if (max !== undefined && value > max) throw refuse(`invalid ${name} parameter value ${value} > ${max}`, `write ${max} or less`);
  return value === 0 ? 0 : value;
}

// A bare number is in the unit that the default is written in.
function time({ name, text, card, defaultText, refuse }: Question): number {
  const unit = (/[A-Za-z]/.exec(defaultText())?.[0] ?? 's') as TimeUnit;
  const value = /[0-9]/.test(text) ? parseTime(text, unit) : undefined;
  if (value === undefined)
    throw refuse(`parameter ${name}: bad time value or unit: ${text}`, 'write a whole number and s, m, h, d or w, as in "90s"');
  const { min, max } = card;
  if (min !== undefined && value < min) throw refuse(`invalid ${name}: ${value} (min ${min})`, `write ${min}s or more`);
  if (max !== undefined && value > max) throw refuse(`invalid ${name}: ${value} (max ${max})`, `write ${max}s or less`);
  return value;
}

function boolean({ name, text, refuse }: Question): boolean {
  if (sameIgnoringCase(text, 'yes')) return true;
  if (sameIgnoringCase(text, 'no')) return false;
  throw refuse(`bad boolean configuration: ${name} = ${text}`, 'write yes or no');
}

function string({ name, text, card, refuse, isSet }: Question): string {
  const { minLength, maxLength } = card;
  if (minLength !== undefined && text.length < minLength)
    throw refuse(`bad string length ${text.length} < ${minLength}: ${name} = ${text}`, isSet ? 'give it a value, or remove the line' : 'set it in main.cf');
  if (maxLength !== undefined && text.length > maxLength)
    throw refuse(`bad string length ${text.length} > ${maxLength}: ${name} = ${text}`, `write ${maxLength} characters or less`);
  return text;
}
