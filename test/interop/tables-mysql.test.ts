/** mysql_table(5) with a real MariaDB, and with Debian's postmap on the same settings. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { entries } from '../../src/tables/suite-cases.ts';
import { noTableServer, startMariaDb } from '../table-servers.ts';
import { comparePostmap, debianHas, hostileKeys, isTrouble, playCases, playHostileKeys, tableStage } from '../table-stage.ts';

const stage = tableStage({ shop_hosts: 'unix:/nowhere' });
const literal = (text: string): string => `'${Buffer.from(text, 'latin1').toString('utf8').replaceAll("'", "''")}'`;

describe('mysql', { skip: noTableServer('mariadb') }, () => {
  let server: Awaited<ReturnType<typeof startMariaDb>>;
  let login = '';

  before(async () => {
    server = await startMariaDb();
    server.sql(`CREATE DATABASE mail CHARACTER SET utf8mb4;
USE mail;
CREATE TABLE entries (k VARCHAR(500) COLLATE utf8mb4_bin, v TEXT);
${entries.map(([key, value]) => `INSERT INTO entries VALUES (LOWER(${literal(key)}), ${literal(value)});`).join('\n')}
CREATE TABLE mxaliases (alias VARCHAR(100), forw_addr VARCHAR(100), status VARCHAR(10), number INT, nothing VARCHAR(10));
INSERT INTO mxaliases VALUES ('joe@example.com', 'joe@paid.example', 'paid', 7, NULL), ('ann@example.com', 'ann@unpaid.example', 'unpaid', 8, NULL),
  ('two@example.com', 'one@paid.example', 'paid', 1, NULL), ('two@example.com', 'two@paid.example', 'paid', 2, NULL), ('nodomain@example.com', 'local', 'paid', 3, '');
CREATE PROCEDURE ask(IN name VARCHAR(100)) SELECT forw_addr FROM mxaliases WHERE alias = name;
CREATE PROCEDURE twice(IN name VARCHAR(100)) BEGIN SELECT 1; SELECT 2; END;
CREATE PROCEDURE silent(IN name VARCHAR(100)) SET @x = 1;
CREATE USER 'mail'@'%' IDENTIFIED BY 'geheim';
GRANT SELECT, EXECUTE ON mail.* TO 'mail'@'%';`.replace(/(CREATE PROCEDURE twice.*)\n/, 'DELIMITER //\n$1 //\nDELIMITER ;\n').replace('END; //', 'END //'));
    login = `user = mail\npassword = geheim\ndbname = mail\n`;
  }, { timeout: 60_000 });

  after(async () => {
    await server?.remove();
    stage.remove();
  });

  const unix = (): string => `hosts = unix:${server.socket}\n${login}`;
  const aliases = (): string => `${unix()}table = mxaliases\nselect_field = forw_addr\nwhere_field = alias\nadditional_conditions = and status = 'paid'\n`;

  test('every case of every table', async () => {
    const table = stage.open(`mysql:${stage.write(`${unix()}query = SELECT v FROM entries WHERE k = '%s'\n`)}`);
    await playCases(table);
    assert.equal(table.fixed, true);
    table.close();
  });

  test("the article's form: a paid alias is found, an unpaid one is not", async () => {
    const table = stage.open(`mysql:${stage.write(aliases())}`);
    assert.deepEqual(await Promise.all(['joe@example.com', 'ann@example.com', 'JOE@example.com', 'nobody'].map(async (key) => table.find(key))),
      ['joe@paid.example', undefined, 'joe@paid.example', undefined]);
    table.close();
  });

  test('keys are data', async () => {
    const table = stage.open(`mysql:${stage.write(aliases())}`);
    await playHostileKeys(table);
    const ansi = stage.open(`mysql:${stage.write(`${aliases()}`)}`);
    server.sql("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'");
    await playHostileKeys(ansi);
    server.sql("SET GLOBAL sql_mode = DEFAULT");
    assert.equal(server.sql('SELECT COUNT(*) FROM mail.mxaliases').trim(), '5');
    table.close();
    ansi.close();
  });

  const settings: readonly (readonly [why: string, lines: string, keys: readonly string[]])[] = [
    ['the old form', '', ['joe@example.com', 'ann@example.com', 'two@example.com', 'none']],
    ['several columns and NULL', "query = SELECT forw_addr, number, nothing FROM mxaliases WHERE alias = '%s'\n", ['joe@example.com', 'two@example.com', 'none']],
    ['parts of the key', "query = SELECT CONCAT('%u', '|', '%d', '|', '%2', '|', '%1', '|', '%U%D%S', '%%')\n", ['joe@sub.example.com', 'joe', '@example.com', 'joe@', 'joe@com', 'a@b@c.d']],
    ['result_format with parts of the value', "query = SELECT forw_addr FROM mxaliases WHERE alias = '%s'\nresult_format = <%u|%d|%S|%U|%D|%1>\n", ['joe@example.com', 'two@example.com', 'nodomain@example.com']],
    ['result_format with a fixed text', 'result_format = smtp:[%d]\n', ['joe@example.com', 'two@example.com', 'nodomain@example.com']],
    ['domain', 'domain = example.org, static:all\n', ['joe@example.com', 'joe']],
    ['domain that does not match', 'domain = example.org\n', ['joe@example.com', 'joe']],
    ['expansion_limit kept', 'expansion_limit = 2\n', ['two@example.com']],
    ['expansion_limit passed', 'expansion_limit = 1\n', ['two@example.com', 'joe@example.com']],
    ['a stored procedure', "query = CALL ask('%s')\n", ['joe@example.com', 'none']],
    ['several result sets', "query = CALL twice('%s')\n", ['joe@example.com']],
    ['no result set', "query = CALL silent('%s')\n", ['joe@example.com']],
    ['no result set, allowed', "query = CALL silent('%s')\nrequire_result_set = no\n", ['joe@example.com']],
    ['a query that makes no sense', "query = SELECT nothing FROM nowhere WHERE x = '%s'\n", ['joe@example.com']],
    ['latin1', "charset = latin1\nquery = SELECT '%s'\n", ['caf\xc3\xa9']],
  ];
  describe("settings, as Debian's Postfix has them", { concurrency: 6, skip: debianHas('mysql') ? false : 'postfix-mysql is not installed' }, () => {
    for (const [why, lines, keys] of settings) {
      test(why, async () => {
        const file = stage.write(lines.includes('query') ? `${unix()}${lines}` : `${aliases()}${lines}`);
        await comparePostmap(stage, `mysql:${file}`, keys);
      });
    }
  });

  test("keys of all kinds, as Debian's Postfix answers them", { skip: debianHas('mysql') ? false : 'postfix-mysql is not installed' }, async () => {
    const file = stage.write(`${unix()}query = SELECT HEX('%s')\n`);
    await comparePostmap(stage, `mysql:${file}`, hostileKeys.filter((each) => !each.includes('\0') && each.length < 500 && each !== ' ' && !each.includes('\xbf')));
  });

  test('settings in main.cf', async () => {
    const context = { ...stage.context, parameter: (name: string) => new Map([['shop_hosts', `unix:${server.socket}`], ['shop_user', 'mail'], ['shop_password', 'geheim'], ['shop_dbname', 'mail'],
      ['shop_query', "SELECT v FROM entries WHERE k = '%s'"], ['smtputf8_enable', 'yes']]).get(name) ?? '' };
    const { openTable } = await import('../../src/tables/open.ts');
    const table = openTable('mysql:shop', context);
    assert.equal(await table.find('joe@example.org'), 'OK');
    table.close();
  });

  test('user and password from an option file', async () => {
    const options = stage.write(`[client]\nuser=nobody\n[mail]\nuser = "mail"\npassword = geheim\nport=${server.port}\n`);
    const table = stage.open(`mysql:${stage.write(`hosts = 127.0.0.1\ndbname = mail\noption_file = ${options}\noption_group = mail\nquery = SELECT '%s'\n`)}`);
    assert.equal(await table.find('joe'), 'joe');
    table.close();
  });

  test('a row that changes counts at the next look-up', async () => {
    const table = stage.open(`mysql:${stage.write(aliases())}`);
    server.sql("INSERT INTO mail.mxaliases VALUES ('new@example.com', 'new@paid.example', 'unpaid', 9, NULL)");
    assert.equal(await table.find('new@example.com'), undefined);
    server.sql("UPDATE mail.mxaliases SET status = 'paid' WHERE alias = 'new@example.com'");
    assert.equal(await table.find('new@example.com'), 'new@paid.example');
    server.sql("DELETE FROM mail.mxaliases WHERE alias = 'new@example.com'");
    table.close();
  });

  test('settings that change count, without a restart', async () => {
    const file = stage.write(`${unix()}query = SELECT 'old %s'\n`);
    const table = stage.open(`mysql:${file}`);
    assert.equal(await table.find('x'), 'old x');
    writeFileSync(file, `${unix()}query = SELECT 'new and longer %s'\n`);
    assert.equal(await table.find('x'), 'old x');
    stage.clock.now += 1001;
    assert.equal(await table.find('x'), 'new and longer x');
    table.close();
  });

  test('a hundred questions at once share few connections', async () => {
    const table = stage.open(`mysql:${stage.write(`${unix()}query = SELECT CONNECTION_ID(), '%s', SLEEP(0.01)\nresult_format = %s\nconnection_limit = 3\n`)}`);
    const found = await Promise.all(Array.from({ length: 100 }, async (_, at) => table.find(`key${at}`)));
    assert.deepEqual(found.map((each) => each?.split(',')[1]), Array.from({ length: 100 }, (_, at) => `key${at}`));
    assert.equal(new Set(found.map((each) => each?.split(',')[0])).size, 3);
    table.close();
  });

  test('questions beyond the limit are trouble, not memory; an answer that does not come is trouble in time', async () => {
    const table = stage.open(`mysql:${stage.write(`${unix()}query = SELECT '%s', SLEEP(3)\nconnection_limit = 1\npending_limit = 1\ntimeout = 1\n`)}`);
    const answers = await Promise.allSettled(['a', 'b', 'c'].map(async (key) => table.find(key)));
    assert.deepEqual(answers.map(({ status }) => status), ['rejected', 'rejected', 'rejected']);
    assert.match(String((answers[2] as PromiseRejectedResult).reason), /too many questions are waiting/);
    assert.ok(stage.said.some((line) => line.includes('no answer in time')));
    table.close();
  });

  test('a wrong password, a missing server, a missing file', async () => {
    await isTrouble(() => stage.open(`mysql:${stage.write(`hosts = unix:${server.socket}\nuser = mail\npassword = no\ndbname = mail\nquery = SELECT '%s'\n`)}`).find('x'), /Access denied/);
    await isTrouble(() => stage.open(`mysql:${stage.write(`hosts = unix:${stage.folder}/nowhere\nuser = mail\ndbname = mail\nquery = SELECT '%s'\n`)}`).find('x'), /ENOENT/);
    await isTrouble(() => stage.open('mysql:/nowhere/x.cf').find('x'), /open \/nowhere\/x.cf: No such file or directory/);
    assert.ok(stage.said.some((line) => line.startsWith(`connect to mysql server unix:${server.socket}: Access denied for user 'mail'@'localhost'`)), stage.said.join('\n'));
  });

  test('a server that comes back is used again; connections that were kept meanwhile do no harm', async () => {
    const table = stage.open(`mysql:${stage.write(aliases())}`);
    assert.equal(await table.find('joe@example.com'), 'joe@paid.example');
    await server.end();
    await server.start();
    assert.equal(await table.find('joe@example.com'), 'joe@paid.example', 'the kept connection was dead, the server is not');
    await server.end();
    await isTrouble(() => table.find('joe@example.com'), /./);
    await server.start();
    await isTrouble(() => table.find('joe@example.com'), /all servers are down/);
    stage.clock.now += 60_001;
    assert.equal(await table.find('joe@example.com'), 'joe@paid.example');
    table.close();
  });

  test('of several servers another one is asked', async () => {
    const table = stage.open(`mysql:${stage.write(`hosts = unix:/nowhere/one, inet:127.0.0.1:1, inet:127.0.0.1:${server.port}\n${login}query = SELECT '%s'\n`)}`);
    assert.equal(await table.find('joe'), 'joe');
    assert.ok(stage.said.some((line) => line.startsWith('connect to mysql server unix:/nowhere/one: ')));
    table.close();
  });
});
