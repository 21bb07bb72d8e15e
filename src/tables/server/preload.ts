/** Loads the client libraries of tables that will be opened in a jail, where nothing more can be loaded. What is missing is told when a table wants it. */
import { library } from './common.ts';

const libraries = new Map([['ldap', 'ldapts'], ['mongodb', 'mongodb'], ['mysql', 'mysql2'], ['pgsql', 'pg'], ['redis', 'ioredis']]);

/** @param tables type:name of each */
export function preloadLibraries(tables: Iterable<string>): void {
  const wanted = new Set([...tables].flatMap((table) => [...table.matchAll(/(?:^|[{,\s])([a-z0-9]+):/g)].map(([, type = '']) => libraries.get(type) ?? [])).flat());
  for (const name of wanted) {
    try {
      library(name, name);
    } catch {
      // an optional one
    }
  }
}
