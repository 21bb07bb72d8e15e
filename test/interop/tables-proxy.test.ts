/** proxymap(8): our service asked by Debian's Postfix, Debian's asked by us, and what neither may do. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ProxymapClient, proxymapStatus, sequenceFunction, tableFlags } from '../../src/ipc/proxymap.ts';
import { openTable } from '../../src/tables/open.ts';
import { entries } from '../../src/tables/suite-cases.ts';
import type { TableContext } from '../../src/tables/table.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { Instance } from '../instance.ts';
import { isTrouble, playCases } from '../table-stage.ts';

const rows = 'proxymap unix - - n - - proxymap\nproxywrite unix - - n - 1 proxymap\n';
const limits = { links: 4, waiting: 1000, timeout: 20_000, idle: 5000 };
const text = entries.map(([key, value]) => `${key}\t${value}\n`).join('');

function settings(folder: string): string {
  return `smtputf8_enable = yes
proxy_read_maps = proxy:texthash:${folder}/etc/table proxy:regexp:${folder}/etc/patterns, unionmap:{proxy:inline:{u=1}, static:x} proxy:fail:always proxy:texthash:${folder}/etc/missing ${folder}/etc/list
proxy_write_maps = proxy:lmdb:${folder}/data/cache
`;
}

function files(folder: string): void {
  writeFileSync(`${folder}/etc/table`, text, 'latin1');
  writeFileSync(`${folder}/etc/patterns`, '/^(.*)@pattern$/ found $1\n');
  writeFileSync(`${folder}/etc/list`, 'proxy:inline:{listed=yes}\n');
  writeFileSync(`${folder}/etc/main.cf`, settings(folder), { flag: 'a' });
}

function contextOf(folder: string): { context: TableContext; said: string[] } {
  const said: string[] = [];
  const parameters = new Map([['queue_directory', `${folder}/queue`], ['smtputf8_enable', 'yes'], ['ipc_idle', '5s']]);
  return { said, context: { parameter: (name) => parameters.get(name) ?? '', warn: (line) => said.push(line) } };
}

/** Every question that either side's service must answer alike. */
function questions(name: string, folderOf: () => string): void {
  test(`${name}: every case of every table`, async () => {
    const table = openTable(`proxy:texthash:${folderOf()}/etc/table`, contextOf(folderOf()).context);
    await playCases(table, ['a key too long for any index']);
    table.close();
  });

  test(`${name}: hundreds of questions at once`, async () => {
    const table = openTable(`proxy:proxy:texthash:${folderOf()}/etc/table`, contextOf(folderOf()).context);
    const found = await Promise.all(Array.from({ length: 500 }, async (_, at) => table.find(at % 2 ? 'joe@example.org' : `missing${at}`)));
    assert.deepEqual(found, Array.from({ length: 500 }, (_, at) => (at % 2 ? 'OK' : undefined)));
    table.close();
  });

  test(`${name}: statuses and flags`, async () => {
    const client = new ProxymapClient(`${folderOf()}/queue/private/proxymap`, limits);
    const flags = tableFlags.lock | tableFlags.foldFixed | tableFlags.utf8Wanted;
    const ask = (table: string, key: string) => client.ask('lookup', { table, instance_flags: flags, flags: flags | tableFlags.fixed, key });
    const { ok, noKey, retry, denied, bad } = proxymapStatus;
    const file = `texthash:${folderOf()}/etc/table`;
    assert.equal((await client.ask('open', { table: file, instance_flags: flags })).status, ok);
    assert.equal((await client.ask('open', { table: file, instance_flags: flags })).flags & ~tableFlags.lock, (flags | tableFlags.fixed | tableFlags.utf8Active) & ~tableFlags.lock);
    assert.equal((await client.ask('open', { table: `regexp:${folderOf()}/etc/patterns`, instance_flags: flags })).flags & (tableFlags.pattern | tableFlags.fixed), tableFlags.pattern);
    for (const [table, key, status, value] of [
      [file, 'joe@example.org', ok, 'OK'], [file, 'none', noKey, ''], ['fail:always', 'x', retry, ''], [`texthash:${folderOf()}/etc/missing`, 'x', retry, ''],
      ['texthash:/etc/passwd', 'root', denied, ''], ['nocolon', 'x', bad, ''], [`regexp:${folderOf()}/etc/patterns`, 'joe@pattern', ok, 'found joe'],
      ['proxy:inline:{u=1}', 'u', ok, '1'], ['inline:{u=1}', 'u', ok, '1'], ['static:x', 'u', denied, ''],
    ] as const) {
      const answer = await ask(table, key);
      assert.deepEqual([answer.status, answer.value], [status, value], `${table} ${key}`);
    }
    assert.equal((await client.ask('update', { table: file, instance_flags: flags, flags, key: 'x', value: 'y' })).status, denied);
    client.close();
  });

  test(`${name}: what may not be asked is trouble, and told`, async () => {
    const { context, said } = contextOf(folderOf());
    await isTrouble(() => openTable('proxy:texthash:/etc/passwd', context).find('root'), /proxymap service is not configured for table "texthash:\/etc\/passwd"/);
    assert.deepEqual(said, ['proxymap service is not configured for table "texthash:/etc/passwd"']);
  });

  test(`${name}: proxywrite changes a table, and lists it`, async () => {
    const client = new ProxymapClient(`${folderOf()}/queue/private/proxywrite`, limits);
    const flags = tableFlags.lock | tableFlags.duplicatesReplace;
    const table = `lmdb:${folderOf()}/data/cache`;
    const asked = { table, instance_flags: flags, flags: flags | tableFlags.fixed };
    const { ok, noKey, denied } = proxymapStatus;
    assert.deepEqual((await client.ask('lookup', { ...asked, key: 'a' })).status, noKey);
    for (const [key, value] of [['a', '1'], ['b', '2'], ['a', '3']] as const) assert.equal((await client.ask('update', { ...asked, key, value })).status, ok);
    assert.deepEqual((await client.ask('lookup', { ...asked, key: 'a' })).value, '3');
    const first = await client.ask('sequence', { ...asked, function: sequenceFunction.first });
    const second = await client.ask('sequence', { ...asked, function: sequenceFunction.next });
    assert.deepEqual([first.key, first.value, second.key, second.value], ['a', '3', 'b', '2']);
    assert.equal((await client.ask('sequence', { ...asked, function: sequenceFunction.next })).status, noKey);
    assert.equal((await client.ask('delete', { ...asked, key: 'a' })).status, ok);
    assert.equal((await client.ask('delete', { ...asked, key: 'a' })).status, noKey);
    assert.equal((await client.ask('lookup', { ...asked, key: 'a' })).status, noKey);
    assert.equal((await client.ask('update', { ...asked, table: `lmdb:${folderOf()}/data/other`, key: 'a', value: 'b' })).status, denied);
    client.close();
  });
}

describe('our proxymap', () => {
  let instance: Instance;

  before(async () => {
    instance = await Instance.create({ masterCf: rows });
    files(instance.directory);
    await instance.start();
  });
  after(async () => {
    await instance?.stop();
  });

  questions('ours', () => instance.directory);

  test('a list in a file counts', async () => {
    const client = new ProxymapClient(`${instance.directory}/queue/private/proxymap`, limits);
    assert.equal((await client.ask('lookup', { table: 'inline:{listed=yes}', instance_flags: 0, flags: 0, key: 'listed' })).value, 'yes');
    client.close();
  });

  test("Debian's postmap asks our service", { skip: noDebianPostfix() }, async () => {
    const { directory } = instance;
    const config = `${directory}/theirs`;
    mkdirSync(config);
    writeFileSync(`${config}/main.cf`, `compatibility_level = 3.6\nqueue_directory = ${directory}/queue\nmyhostname = host.example.test\n`);
    writeFileSync(`${config}/master.cf`, '');
    for (const [key, table, want] of [
      ['JOE@example.org', `texthash:${directory}/etc/table`, 'OK\n'], ['none', `texthash:${directory}/etc/table`, ''], ['ann@pattern', `regexp:${directory}/etc/patterns`, 'found ann\n'],
    ] as const) assert.equal((await run('/usr/sbin/postmap', ['-c', config, '-q', key, `proxy:${table}`])).stdout, want);
    const refused = await run('/usr/sbin/postmap', ['-c', config, '-q', 'root', 'proxy:texthash:/etc/passwd']);
    assert.match(refused.stderr, /proxymap service is not configured for table "texthash:\/etc\/passwd"/);
    assert.ok(instance.lines(/proxymap\[[0-9]+\]: warning: to approve this table for read-only access, list proxy:texthash:\/etc\/passwd in main\.cf:proxy_read_maps/).length > 0, instance.log());
  });

  test('our postmap asks it too', async () => {
    const { directory } = instance;
    const postmap = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
    const ask = (table: string, key: string) => run(process.execPath, [postmap, 'postmap', '-c', `${directory}/etc`, '-q', key, table]);
    assert.equal((await ask(`proxy:texthash:${directory}/etc/table`, 'joe@example.org')).stdout, 'OK\n');
    assert.match((await ask('proxy:texthash:/etc/passwd', 'root')).stderr, /is not configured for table/);
    const listed = await run(process.execPath, [postmap, 'postmap', '-c', `${directory}/etc`, '-s', `proxy:texthash:${directory}/etc/table`]);
    assert.deepEqual(listed.stdout.split('\n').filter((line) => line !== '').sort(), entries.map(([key, value]) => `${lowered(key)}\t${value}`).sort());
  });

  test('a process that is killed is replaced, and questions that follow are answered', async () => {
    const table = openTable(`proxy:texthash:${instance.directory}/etc/table`, contextOf(instance.directory).context);
    assert.equal(await table.find('joe@example.org'), 'OK');
    const pid = [...instance.children()].find(([, title]) => title.includes('proxymap'))?.[0];
    assert.ok(pid, [...instance.children().values()].join());
    process.kill(pid, 'SIGKILL');
    assert.equal(await table.find('joe@example.org'), 'OK');
    table.close();
  });
});

describe("Debian's proxymap", { skip: noDebianPostfix() }, () => {
  let postfix: DebianPostfix;

  before(async () => {
    postfix = await DebianPostfix.create({ masterCf: rows });
    files(postfix.directory);
    await postfix.start();
  });
  after(async () => {
    await postfix?.stop();
  });

  questions('theirs', () => postfix.directory);
});

test('where there is no service there is trouble, at once', async () => {
  const { context, said } = contextOf('/nowhere');
  await isTrouble(() => openTable('proxy:texthash:/x', context).find('x'), /ENOENT/);
  assert.equal(said.length, 1);
});

test('what every process can open for nothing is opened in place', () => {
  const { context } = contextOf('/nowhere');
  assert.equal(openTable('proxy:inline:{a=b}', context).find('a'), 'b');
  assert.equal(openTable('proxy:proxy:static:x', context).find('a'), 'x');
});

/** As the index has it. */
const lowered = (key: string): string => Buffer.from(Buffer.from(key, 'latin1').toString('utf8').toLowerCase()).toString('latin1');

function run(program: string, words: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve) => execFile(program, [...words], { encoding: 'latin1', timeout: 30_000 }, (_error, stdout, stderr) => resolve({ stdout, stderr })));
}
