// Virtual aliases.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const virtualAliasParameters = {
  virtual_alias_address_length_limit: { kind: 'int', default: '1000', min: 1, since: '3.0' },
  virtual_alias_domains: { kind: 'str', default: '$virtual_alias_maps', since: '2.0' },
  virtual_alias_expansion_limit: { kind: 'int', default: '1000', min: 1, since: '2.1' },
  virtual_alias_maps: { kind: 'str', default: '$virtual_maps', since: '2.0', olderNames: ['virtual_maps'] },
  virtual_alias_recursion_limit: { kind: 'int', default: '1000', min: 1, since: '2.1' },
} as const satisfies Cards;
