// Internationalised mail.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const smtputf8Parameters = {
  enable_idna2003_compatibility: { kind: 'nbool', default: 'no', since: '3.2' },
  smtputf8_autodetect_classes: { kind: 'str', default: 'sendmail, verify', minLength: 1, since: '3.0' },
  smtputf8_enable: { kind: 'nbool', default: '${{$compatibility_level} <level {1} ? {no} : {yes}}', since: '3.0' },
  strict_smtputf8: { kind: 'bool', default: 'no', since: '3.0' },
} as const satisfies Cards;
