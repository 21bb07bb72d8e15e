/** pgsql_table(5) with a real PostgreSQL, and with Debian's postmap on the same settings. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { entries } from '../../src/tables/suite-cases.ts';
import { noTableServer, startPostgres } from '../table-servers.ts';
import { comparePostmap, debianHas, isTrouble, playCases, playHostileKeys, tableStage } from '../table-stage.ts';

const stage = tableStage();
const literal = (text: string): string => `'${Buffer.from(text, 'latin1').toString('utf8').replaceAll("'", "''")}'`;

describe('pgsql', { skip: noTableServer('postgres') }, () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;

  before(async () => {
    server = await startPostgres();
    server.sql(`CREATE TABLE entries (k TEXT, v TEXT);
${entries.map(([key, value]) => `INSERT INTO entries VALUES (${literal(Buffer.from(Buffer.from(key, 'latin1').toString('utf8').toLowerCase()).toString('latin1'))}, ${literal(value)});`).join('\n')}
CREATE TABLE aliases (alias TEXT, target TEXT, status TEXT, number INT);
INSERT INTO aliases VALUES ('joe@example.com', 'joe@paid.example', 'paid', 7), ('ann@example.com', 'ann@unpaid.example', 'unpaid', 8),
  ('two@example.com', 'one@paid.example', 'paid', 1), ('two@example.com', 'two@paid.example', 'paid', 2);
CREATE FUNCTION target(TEXT) RETURNS SETOF TEXT AS 'SELECT target FROM aliases WHERE alias = $1' LANGUAGE SQL;`);
  }, { timeout: 60_000 });

  after(async () => {
    await server?.remove();
    stage.remove();
  });

  const tcp = (): string => `hosts = inet:127.0.0.1:${server.port}\nuser = mail\ndbname = mail\n`;
  const aliases = (): string => `${tcp()}table = aliases\nselect_field = target\nwhere_field = alias\nadditional_conditions = and status = 'paid'\n`;

  test('every case of every table, by a name, a socket and a URI', async () => {
    const query = "query = SELECT v FROM entries WHERE k = '%s'\n";
    const uri = `hosts = postgresql://mail@127.0.0.1:${server.port}/mail?sslmode=prefer\n`;
    const socket = `hosts = postgresql://mail@/mail?host=${server.folder}&port=${server.port}\n`;
    for (const host of [tcp(), uri, socket]) {
      const table = stage.open(`pgsql:${stage.write(host + query)}`);
      await playCases(table);
      table.close();
    }
  });

  test('keys are data, whatever a backslash means', async () => {
    const table = stage.open(`pgsql:${stage.write(aliases())}`);
    await playHostileKeys(table);
    table.close();
    server.sql("ALTER DATABASE mail SET standard_conforming_strings = off; ALTER DATABASE mail SET escape_string_warning = off");
    const old = stage.open(`pgsql:${stage.write(`${aliases()}expansion_limit = 5\n`)}`);
    await playHostileKeys(old);
    old.close();
    server.sql('ALTER DATABASE mail RESET standard_conforming_strings');
    assert.equal(server.sql('SELECT COUNT(*) FROM aliases').trim(), '4');
  });

  const settings: readonly (readonly [why: string, lines: string, keys: readonly string[]])[] = [
    ['the old form', '', ['joe@example.com', 'ann@example.com', 'two@example.com']],
    ['a function', 'select_function = target\n', ['two@example.com', 'none']],
    ['several columns', "query = SELECT target, number, NULL FROM aliases WHERE alias = '%s'\n", ['two@example.com']],
    ['parts of the key', "query = SELECT '%u|%d|%2|%1|%U%D%S'\n", ['joe@sub.example.com', 'joe']],
    ['expansion_limit passed', 'expansion_limit = 1\n', ['two@example.com']],
    ['several statements', "query = SELECT 1; SELECT '%s'\n", ['joe']],
    ['a query that makes no sense', "query = SELECT nothing FROM nowhere WHERE x = '%s'\n", ['joe']],
    ['types other than text', "query = SELECT 1.50::numeric, true, '2026-11-21'::date, '%s'\n", ['joe']],
  ];
  describe("settings, as Debian's Postfix has them", { concurrency: 6, skip: debianHas('pgsql') ? false : 'postfix-pgsql is not installed' }, () => {
    for (const [why, lines, keys] of settings) {
      test(why, async () => {
        const file = stage.write(/query|function/.test(lines) ? `${tcp()}${lines}` : `${aliases()}${lines}`);
        await comparePostmap(stage, `pgsql:${file}`, keys);
      });
    }
  });

  test('latin1 bytes in and out', async () => {
    server.sql("CREATE TABLE names (k TEXT, v TEXT); INSERT INTO names VALUES ('caf\u00c3\u00a9', 'th\u00e9')");
    const table = stage.open(`pgsql:${stage.write(`${tcp()}encoding = LATIN1\nquery = SELECT v FROM names WHERE k = '%s'\n`)}`, { utf8: false });
    assert.equal(await table.find('caf\xc3\xa9'), 'th\xe9');
    table.close();
  });

  test('trouble: a missing database, a server that is down and comes back', async () => {
    await isTrouble(() => stage.open(`pgsql:${stage.write(`hosts = localhost\nquery = SELECT '%s'\n`)}`).find('x'), /host target 'localhost' requires dbname setting/);
    await isTrouble(() => stage.open(`pgsql:${stage.write(`hosts = inet:127.0.0.1:${server.port}\nuser = mail\ndbname = none\nquery = SELECT '%s'\n`)}`).find('x'), /database "none" does not exist/);
    const table = stage.open(`pgsql:${stage.write(aliases())}`);
    assert.equal(await table.find('joe@example.com'), 'joe@paid.example');
    await server.end();
    await isTrouble(() => table.find('joe@example.com'), /./);
    await server.start();
    await isTrouble(() => table.find('joe@example.com'), /all servers are down/);
    stage.clock.now += 60_001;
    assert.equal(await table.find('joe@example.com'), 'joe@paid.example');
    table.close();
  });
});
