/** The table types whose entries are on a server, by name. */
import type { MakeKind } from '../open.ts';
import { ldapKind } from './ldap.ts';
import { memcacheKind } from './memcache.ts';
import { mongodbKind } from './mongodb.ts';
import { mysqlKind } from './mysql.ts';
import { pgsqlKind } from './pgsql.ts';
import { redisKind } from './redis.ts';
import { socketmapKind } from './socketmap.ts';
import { tcpKind } from './tcp.ts';

export const serverKinds: ReadonlyMap<string, MakeKind> = new Map<string, MakeKind>([
  ['ldap', ldapKind],
  ['memcache', memcacheKind],
  ['mongodb', mongodbKind],
  ['mysql', mysqlKind],
  ['pgsql', pgsqlKind],
  ['redis', redisKind],
  ['socketmap', socketmapKind],
  ['tcp', tcpKind],
]);
