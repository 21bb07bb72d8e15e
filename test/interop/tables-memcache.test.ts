/** memcache_table(5) with a real memcached. Debian's Postfix has the type built in, so that both ask and fill the same cache. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { openTable } from '../../src/tables/open.ts';
import { cases, entries } from '../../src/tables/suite-cases.ts';
import { noTableServer, startMemcached, type TableServer } from '../table-servers.ts';
import { noDebianPostmap, isTrouble, playCases, playHostileKeys, tableStage } from '../table-stage.ts';

const stage = tableStage();

describe('memcache', { skip: noTableServer('memcached') }, () => {
  let server: TableServer;

  before(async () => {
    server = await startMemcached();
  }, { timeout: 30_000 });

  after(async () => {
    await server?.remove();
    stage.remove();
  });

  const settings = (lines = ''): string => stage.write(`memcache = inet:127.0.0.1:${server.port}\n${lines}`);
  const set = (key: string, value: string): Promise<void> => new Promise((resolve) => {
    const socket = net.connect(server.port, '127.0.0.1');
    socket.on('data', () => socket.destroy());
    socket.on('close', () => resolve());
    socket.write(Buffer.from(`set ${key} 0 0 ${value.length}\r\n${value}\r\n`, 'latin1'));
  });

  test('every case of every table that a key of memcached can hold', async () => {
    const table = stage.open(`memcache:${settings()}`);
    const able = entries.filter(([key]) => !key.includes(' '));
    for (const [key, value] of able) await table.update!(key, value);
    await playCases(table, cases.filter(([, key]) => key.includes(' ')).map(([why]) => why));
    await playHostileKeys(table);
    assert.deepEqual(table.owner, { trusted: false, uid: undefined });
    table.close();
  });

  test('written, read, removed', async () => {
    const table = stage.open(`memcache:${settings('key_format = cache:%s\nttl = 60\nflags = 5\n')}`);
    await table.update!('Joe@example.org', 'a value');
    assert.equal(await table.find('joe@example.org'), 'a value');
    assert.equal(await table.remove!('joe@example.org'), true);
    assert.equal(await table.remove!('joe@example.org'), false);
    assert.equal(await table.find('joe@example.org'), undefined);
    await table.update!('large', 'x'.repeat(20_000));
    assert.equal(await table.find('large'), undefined);
    assert.match(stage.said.join('\n'), /data for key cache:large is too long \(data_size_limit=10240\) -- not stored/);
    table.close();
  });

  test('a key digest', async () => {
    const table = stage.open(`memcache:${settings('key_digest = sha256\n')}`);
    await set(createHash('sha256').update('a key with spaces').digest('hex'), 'found');
    assert.equal(await table.find('a key with spaces'), 'found');
    table.close();
    await isTrouble(() => stage.open(`memcache:${settings('key_digest = none\n')}`).find('x'), /key digest none is not available/);
  });

  test("Debian's Postfix reads what we wrote, and we what it found behind", { skip: noDebianPostmap() }, async () => {
    const file = settings();
    const table = stage.open(`memcache:${file}`);
    await table.update!('shared', 'by us');
    assert.deepEqual(await stage.postmap(`memcache:${file}`, 'shared'), [0, 'by us\n']);
    const backed = settings('backup = inline:{behind=it}\nkey_format = b:%s\n');
    assert.deepEqual(await stage.postmap(`memcache:${backed}`, 'behind'), [0, 'it\n']);
    const alone = stage.open(`memcache:${settings('key_format = b:%s\n')}`);
    assert.equal(await alone.find('behind'), 'it');
    table.close();
    alone.close();
  });

  test('a backup is asked for what the cache lacks, and when it is down', async () => {
    const file = settings('backup = inline:{one=1, two=2}\nkey_format = c:%s\nmax_try = 1\n');
    const table = stage.open(`memcache:${file}`);
    assert.equal(await table.find('one'), '1');
    const cache = stage.open(`memcache:${settings('key_format = c:%s\n')}`);
    assert.equal(await cache.find('one'), '1', 'now it is in the cache');
    assert.deepEqual([...table.entries!()], [['one', '1'], ['two', '2']]);
    await server.end();
    assert.equal(await table.find('two'), '2');
    await isTrouble(() => stage.open(`memcache:${settings('max_try = 1\n')}`).find('x'), /refused/);
    await server.start();
    assert.equal(await cache.find('one'), undefined, 'a new cache is empty');
    table.close();
    cache.close();
  });

  test('sensitive places do not take it', async () => {
    await isTrouble(() => openTable(`memcache:${settings()}`, stage.context, { sensitive: true }).find('x'), /not allowed for security-sensitive data/);
  });
});
