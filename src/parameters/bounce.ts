// Reports about mail that could not be delivered.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const bounceParameters = {
  '2bounce_notice_recipient': { kind: 'str', default: 'postmaster', minLength: 1 },
  backwards_bounce_logfile_compatibility: { kind: 'bool', default: 'yes', since: '2.1' },
  bounce_notice_recipient: { kind: 'str', default: 'postmaster', minLength: 1 },
  bounce_size_limit: { kind: 'int', default: '50000', min: 1 },
  bounce_template_file: { kind: 'str', default: '', since: '2.3' },
  delay_notice_recipient: { kind: 'str', default: 'postmaster', minLength: 1 },
  disable_verp_bounces: { kind: 'bool', default: 'no', since: '1.1' },
  double_bounce_sender: { kind: 'str', default: 'double-bounce', minLength: 1 },
  enable_threaded_bounces: { kind: 'nbool', default: 'no', since: '3.6' },
  error_notice_recipient: { kind: 'str', default: 'postmaster', minLength: 1 },
  notify_classes: { kind: 'str', default: 'resource, software', since: '2.9' },
  soft_bounce: { kind: 'bool', default: 'no' },
} as const satisfies Cards;
