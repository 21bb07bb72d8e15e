/**
 * postfix non-bdb migrate: every table of a Berkeley DB type that main.cf and master.cf name is made anew from its source in the default type,
 * and then, each file in one step, the settings name that type.
 *
 * First all tables are made; when one cannot be, nothing is rewritten and the status is 1. The old index files stay for the way back. A second
 * run finds nothing to do.
 */
import { existsSync, statSync } from 'node:fs';
import { Progress } from '../../../text/progress.ts';
import { readConfigurationFile } from '../../../config/main-cf.ts';
import { readMasterCf } from '../../../config/master-cf.ts';
import { errorText } from '../../../host/libc.ts';
import type { Log } from '../../../log/log.ts';
import { servingType } from '../../../tables/indexed.ts';
import { editFile } from '../../postconf/atomic-edit.ts';
import { runPostconf, runWithin, type Answer } from '../../within.ts';
import { print, type Situation } from '../situation.ts';
import { isAliasParameter, isCacheParameter, tableUses, type TableUse } from '../tables.ts';
import { isBerkeley, rewriteTypes } from './rewrite.ts';

interface Target {
  /** The type that a table gets instead. */
  readonly of: (type: string) => string;
}

export async function migrate(situation: Situation, log: Log): Promise<number> {
  const { config } = situation;
  const file = (name: string): string => `${config.directory}/${name}`;
  const { rows } = existsSync(file('master.cf')) ? readMasterCf(file('master.cf')) : { rows: [] };
  const uses = tableUses(config, rows).filter(({ type }) => isBerkeley(type));
  const target = targets(situation);
  if (!await makeAll(uses, target, situation, log)) return 1;
  // A type that is the default's name is led away as well, or new tables would be of the old type again.
  for (const name of ['default_database_type', 'default_cache_db_type'] as const) {
    if (!isBerkeley(config.get(name))) continue;
    if ((await runPostconf(config.directory, ['-e', `${name} = ${target.of(config.get(name))}`], { stderr: situation.stderr })).status !== 0) return 1;
  }
  const changed = ['main.cf', 'master.cf'].filter((name) => existsSync(file(name))).map((name) => rewriteFile(file(name), target, situation, log));
  print(situation, `${counted(uses.length, 'table')}, ${counted(changed.reduce((sum, count) => sum + count, 0), 'setting')} changed\n`);
  return 0;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function targets({ config }: Situation): Target {
  const context = { parameter: (name: string) => config.text(name), warn: () => undefined };
  const served = servingType('hash', context)!;
  const cache = config.get('default_cache_db_type');
  return { of: (type) => (type === 'btree' && !isBerkeley(cache) ? cache : served) };
}

async function makeAll(uses: readonly TableUse[], target: Target, situation: Situation, log: Log): Promise<boolean> {
  const { stderr, environment } = situation;
  const progress = new Progress(stderr, { what: 'postfix: tables', now: () => performance.now(), environment }, uses.length);
  let good = true;
  for (const use of uses) {
    progress.step();
    const trouble = await make(use, target, situation);
    if (trouble === undefined) continue;
    progress.clear();
    log.error(trouble);
    good = false;
  }
  progress.clear();
  if (!good) log.error('no setting was changed: mend the tables above, or take them out of main.cf and master.cf, and say this again');
  return good;
}

/** Why the table could not be made. Those without a source are caches, which their programs make. */
async function make({ type, name, known }: TableUse, target: Target, situation: Situation): Promise<string | undefined> {
  const to = target.of(type);
  const source = statSync(Buffer.from(name, 'latin1'), { throwIfNoEntry: false });
  if (source === undefined) return cacheOrTrouble(type, name, known.parameter);
  const index = statSync(Buffer.from(`${name}.${to}`, 'latin1'), { throwIfNoEntry: false });
  if (index !== undefined && index.mtimeMs >= source.mtimeMs) return undefined;
  try {
    const { status, stderr } = await build(`${to}:${name}`, isAliasParameter(known.parameter), situation);
    if (stderr !== '') situation.stderr.write(Buffer.from(stderr, 'latin1'));
    return status === 0 ? undefined : `${type}:${name}: ${to}:${name} could not be made`;
  } catch (error) {
    return `${type}:${name}: ${errorText(error)}`;
  }
}

function cacheOrTrouble(type: string, name: string, parameter: string | undefined): string | undefined {
  if (isCacheParameter(parameter)) return undefined;
  const old = `${name}.db`;
  if (!existsSync(Buffer.from(old, 'latin1'))) return `${type}:${name}: there is no ${name} to make a table from`;
  return `${type}:${name}: there is ${old}, but no ${name} to make a new table from ("postmap -s ${type}:${name}" writes what is in it)`;
}

async function build(table: string, isAlias: boolean, { config }: Situation): Promise<Answer> {
  const { main } = isAlias ? await import('../../postalias/postalias.ts') : await import('../../postmap/postmap.ts');
  return runWithin(main as Parameters<typeof runWithin>[0], ['-c', config.directory, table], {});
}

/** How many references were rewritten. */
function rewriteFile(file: string, { of }: Target, situation: Situation, log: Log): number {
  let { count } = rewriteTypes(readConfigurationFile(file), of);
  if (count === 0) return 0;
  try {
    editFile(file, (text) => {
      const done = rewriteTypes(text, of);
      count = done.count;
      return done.text;
    });
  } catch (error) {
    log.fatal((error as Error).message);
  }
  print(situation, `${file}: ${counted(count, 'setting')}\n`);
  return count;
}
