/**
 * postfix non-bdb: how tables of the Berkeley DB types are served, told and switched; and a configuration led away from them for good.
 *
 * `hash:` and `btree:` are served by default_database_type here at any level, so the levels only say what Postfix, started on the same files,
 * would do. Ends with 0 when it did what was asked.
 */
import type { Log } from '../../../log/log.ts';
import { splitListGroups } from '../../../text/ascii.ts';
import { runPostconf, runWithin } from '../../within.ts';
import { print, type Situation, type Subcommand } from '../situation.ts';

const service = 'nbdb_reindex/unix';
const berkeley: ReadonlySet<string> = new Set(['hash', 'btree']);

type Command = (situation: Situation, log: Log) => number | Promise<number>;

const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['status', (situation) => (print(situation, `${situation.config.written('non_bdb_migration_level')}\n`), 0)],
  ['disable', disable], ['enable-redirect', enableRedirect], ['enable-reindex', enableReindex],
  ['migrate', async (situation, log) => (await import('./migrate.ts')).migrate(situation, log)],
]);

export const nonBdb: Subcommand = (situation, words) => {
  const log = situation.voice('postfix-non-bdb-script');
  const command = words.length === 1 ? commands.get(words[0]!) : undefined;
  return command === undefined ? log.fatal('usage: postfix non-bdb status (or enable-redirect, or enable-reindex, or disable, or migrate)') : command(situation, log);
};

function postconf({ config, stderr }: Situation, ...words: string[]): Promise<{ status: number }> {
  return runPostconf(config.directory, words, { stderr });
}

async function disable(situation: Situation): Promise<number> {
  await postconf(situation, '-X', 'non_bdb_migration_level');
  await postconf(situation, '-MX', service);
  return 0;
}

/** A table that stands for another must not be of the kind that is to be left. */
function checkTargets({ config }: Situation, log: Log): void {
  for (const name of ['default_database_type', 'default_cache_db_type'] as const)
    if (berkeley.has(config.get(name))) log.fatal(`parameter ${name} specifies a Berkeley DB type: '${config.get(name)}'`);
}

async function enableRedirect(situation: Situation, log: Log): Promise<number> {
  checkTargets(situation, log);
  await postconf(situation, '-MX', service);
  return (await postconf(situation, 'non_bdb_migration_level=enable-redirect')).status;
}

async function enableReindex(situation: Situation, log: Log): Promise<number> {
  checkTargets(situation, log);
  if (await reindexForUsers(situation, log) !== 0) return 1;
  if ((await postconf(situation, '-M', `${service}=nbdb_reindex unix y n n - 1 nbdb_reindexd`)).status !== 0) return 1;
  return (await postconf(situation, 'non_bdb_migration_level=enable-reindex')).status;
}

const usersTables = ['authorized_flush_users', 'authorized_mailq_users', 'authorized_submit_users', 'local_login_sender_maps'] as const;

/** Tables that users' commands open: these cannot ask for a new index. */
async function reindexForUsers({ config, stderr }: Situation, log: Log): Promise<number> {
  const { main } = await import('../../postmap/postmap.ts');
  for (const name of usersTables) {
    for (const table of splitListGroups(config.get(name))) {
      if (!/^(?:hash|btree):/.test(table)) continue;
      log.info(`Proactively reindexing ${table}`);
      const { status } = await runWithin(main as Parameters<typeof runWithin>[0], ['-c', config.directory, table], {}, { stderr });
      if (status !== 0) return 1;
    }
  }
  return 0;
}
