// Lookup tables: types, caches, sizes.
// One line per main.cf parameter; `card.ts` says what the fields mean.

import type { Cards } from './card.ts';

export const tablesParameters = {
  berkeley_db_create_buffer_size: { kind: 'int', default: '16777216', min: 1, since: '2.0' },
  berkeley_db_read_buffer_size: { kind: 'int', default: '131072', min: 1, since: '2.0' },
  daemon_table_open_error_is_fatal: { kind: 'bool', default: 'no', since: '2.9' },
  default_cache_db_type: { kind: 'str', default: 'lmdb', minLength: 1, since: '3.11' },
  default_database_type: { kind: 'str', default: 'lmdb', minLength: 1 },
  lmdb_map_size: { kind: 'long', default: '16777216', min: 1, since: '2.11' },
  non_bdb_custom_mapping: { kind: 'str', default: '', since: '3.11', notYetUsed: true },
  non_bdb_migration_allow_root_prefixes: { kind: 'str', default: '/etc /usr/local/etc', since: '3.11', notYetUsed: true },
  non_bdb_migration_allow_user_prefixes: { kind: 'str', default: '$data_directory /var/lib/mailman /var/lib/mailman3', since: '3.11', notYetUsed: true },
  non_bdb_migration_level: { kind: 'str', default: 'disable', minLength: 1, since: '3.11' },
  non_bdb_migration_log_redirect: { kind: 'nbool', default: 'yes', since: '3.11', notYetUsed: true },
  non_bdb_migration_service_name: { kind: 'str', default: 'nbdb_reindex', since: '3.11', notYetUsed: true },
  socketmap_max_query_size: { kind: 'int', default: '10000', min: 1, since: '3.12' },
  socketmap_max_reply_size: { kind: 'int', default: '100000', min: 1, since: '3.10' },
} as const satisfies Cards;
