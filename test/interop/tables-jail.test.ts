/** Tables on servers in a jail: opened before, asked behind the walls, where no module can be loaded any more. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noTableServer, startMariaDb, startMemcached, startPostgres, startRedis, startSlapd } from '../table-servers.ts';

const folder = mkdtempSync(`${tmpdir()}/tables-jail-`);
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true }));

const source = (path: string): string => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)));

/** In a process of its own: open, go to jail, ask. */
const inmate = `
import { openTable } from ${source('tables/open.ts')};
import { changeRoot } from ${source('host/process.ts')};
const context = { parameter: (name) => (name === 'smtputf8_enable' ? 'yes' : ''), warn: (text) => console.error(text) };
const table = openTable(process.argv[2], context);
process.chdir(process.argv[3]);
changeRoot(process.argv[3]);
process.setgid(65534);
process.setuid(65534);
for (const key of process.argv.slice(4)) {
  try {
    console.log(String(await table.find(key)));
  } catch (error) {
    console.log('trouble: ' + error.message);
  }
}
process.exit(0);
`;

async function ask(table: string, ...keys: string[]): Promise<{ out: string; err: string }> {
  writeFileSync(`${folder}/inmate.mjs`, inmate);
  const jail = mkdtempSync(`${folder}/jail-`);
  chmodSync(jail, 0o755);
  const child = spawn(process.execPath, [`${folder}/inmate.mjs`, table, jail, ...keys], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000, env: { PATH: '/usr/bin:/bin' } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString(); });
  child.stderr.on('data', (chunk: Buffer) => { err += chunk.toString(); });
  await new Promise((resolve) => child.on('close', resolve));
  return { out, err };
}

function settings(name: string, lines: string): string {
  writeFileSync(`${folder}/${name}.cf`, lines);
  return `${name}:${folder}/${name}.cf`;
}

const notRoot = process.getuid!() === 0 ? false : 'only root can make a jail';

test('mysql', { skip: notRoot || noTableServer('mariadb') }, async (t) => {
  const server = await startMariaDb();
  t.after(() => server.remove());
  server.sql("CREATE DATABASE mail; CREATE USER 'mail'@'%' IDENTIFIED BY 'geheim'; GRANT SELECT ON mail.* TO 'mail'@'%';");
  const table = settings('mysql', `hosts = 127.0.0.1:${server.port}\nuser = mail\npassword = geheim\ndbname = mail\nquery = SELECT '%s'\n`);
  assert.deepEqual(await ask(table, 'joe', "a'b"), { out: "joe\na'b\n", err: '' });
});

test('pgsql', { skip: notRoot || noTableServer('postgres') }, async (t) => {
  const server = await startPostgres();
  t.after(() => server.remove());
  const table = settings('pgsql', `hosts = 127.0.0.1:${server.port}\nuser = mail\ndbname = mail\nquery = SELECT '%s'\n`);
  assert.deepEqual(await ask(table, 'joe', "a'b"), { out: "joe\na'b\n", err: '' });
});

test('ldap', { skip: notRoot || noTableServer('slapd') }, async (t) => {
  const server = await startSlapd();
  t.after(() => server.remove());
  const table = settings('ldap', `server_host = ${server.uri}\nversion = 3\nsearch_base = dc=example,dc=org\nquery_filter = (o=%s)\nresult_attribute = o\n`);
  assert.deepEqual(await ask(table, 'example', 'none'), { out: 'Example\nundefined\n', err: '' });
});

test('redis', { skip: notRoot || noTableServer('redis') }, async (t) => {
  const server = await startRedis();
  t.after(() => server.remove());
  server.redis('SET', 'joe', 'found');
  const table = settings('redis', `hosts = 127.0.0.1:${server.port}\npassword = secret\n`);
  assert.deepEqual(await ask(table, 'joe', 'none'), { out: 'found\nundefined\n', err: '' });
});

test('memcache', { skip: notRoot || noTableServer('memcached') }, async (t) => {
  const server = await startMemcached();
  t.after(() => server.remove());
  assert.deepEqual(await ask(settings('memcache', `memcache = inet:127.0.0.1:${server.port}\n`), 'none'), { out: 'undefined\n', err: '' });
});

test('mongodb, with nobody at the other end', { skip: notRoot }, async () => {
  const table = settings('mongodb', 'uri = mongodb://127.0.0.1:1/\ndbname = mail\ncollection = users\nquery_filter = {"mail": "%s"}\nresult_attribute = mail\ntimeout = 1\n');
  const { out } = await ask(table, 'joe');
  assert.match(out, /^trouble: .*ECONNREFUSED/);
});
