// Parameters that Postfix does not have: how local users' mail comes in.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const submissionParameters = {
  sendmail_socket_file: { kind: 'str', default: '', ours: true },
} as const satisfies Cards;
