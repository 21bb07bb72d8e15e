// Variable envelope return paths.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const verpParameters = {
  default_verp_delimiters: { kind: 'str', default: '+=', minLength: 2, maxLength: 2, since: '1.1' },
  verp_delimiter_filter: { kind: 'str', default: '-=+', minLength: 1, since: '1.1' },
} as const satisfies Cards;
