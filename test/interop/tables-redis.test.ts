/** redis_table(5), our own type, with a real Redis. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { entries } from '../../src/tables/suite-cases.ts';
import { noTableServer, startRedis } from '../table-servers.ts';
import { isTrouble, playCases, playHostileKeys, tableStage } from '../table-stage.ts';

const stage = tableStage();
const unicode = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

describe('redis', { skip: noTableServer('redis') }, () => {
  let server: Awaited<ReturnType<typeof startRedis>>;

  before(async () => {
    server = await startRedis();
    for (const [key, value] of entries) server.redis('SET', `mail:${unicode(key).toLowerCase()}`, unicode(value));
    server.redis('HSET', 'user:joe@example.org', 'transport', 'smtp:[192.0.2.1]', 'quota', '7');
    server.redis('SADD', 'list:team', 'ann@example.org');
    server.redis('RPUSH', 'order:team', 'one@example.org', 'two@example.org');
    server.redis('-n', '3', 'SET', 'joe', 'three');
  }, { timeout: 30_000 });

  after(async () => {
    await server?.remove();
    stage.remove();
  });

  const open = (lines: string) => stage.open(`redis:${stage.write(`hosts = inet:127.0.0.1:${server.port}\npassword = secret\n${lines}`)}`);

  test('every case of every table', async () => {
    const table = open('key_format = mail:%s\n');
    await playCases(table);
    await playHostileKeys(table);
    table.close();
    const local = stage.open(`redis:${stage.write(`hosts = unix:${server.socket}\npassword = secret\nkey_format = mail:%s\n`)}`);
    await playCases(local);
    local.close();
  });

  for (const [why, lines, key, want] of [
    ['a field', 'command = HGET transport\nkey_format = user:%s\n', 'joe@example.org', 'smtp:[192.0.2.1]'],
    ['a field that is not there', 'command = HGET nothing\nkey_format = user:%s\n', 'joe@example.org', undefined],
    ['a field made of the key', 'command = HGET %u\nkey_format = user:joe@%d\n', 'quota@example.org', '7'],
    ['a list', 'command = LRANGE\nkey_format = order:%s\n', 'team', 'one@example.org,two@example.org'],
    ['a set', 'command = SMEMBERS\nkey_format = list:%s\nresult_format = <%s>\n', 'team', '<ann@example.org>'],
    ['another database', 'db = 3\n', 'joe', 'three'],
    ['a domain that is not listed', 'domain = example.com\nkey_format = mail:%s\n', 'joe@example.org', undefined],
  ] as const) {
    test(why, async () => {
      const table = open(lines);
      assert.equal(await table.find(key), want);
      table.close();
    });
  }

  test('what is trouble', async () => {
    await isTrouble(() => open('command = LRANGE\nkey_format = order:%s\nexpansion_limit = 1\n').find('team'), /Expansion limit exceeded/);
    await isTrouble(() => open('command = FLUSHALL\n').find('x'), /bad command "FLUSHALL"/);
    await isTrouble(() => open('command = HGET\n').find('x'), /bad command/);
    await isTrouble(() => open('command = GET\nkey_format = list:%s\n').find('team'), /WRONGTYPE/);
    await isTrouble(() => stage.open(`redis:${stage.write(`hosts = 127.0.0.1:${server.port}\npassword = wrong\n`)}`).find('x'), /WRONGPASS|NOAUTH/);
  });

  test('a thousand questions at once; a server that comes back', async () => {
    const table = open('key_format = mail:%s\n');
    const found = await Promise.all(Array.from({ length: 1000 }, async (_, at) => table.find(at % 2 ? 'joe@example.org' : `none${at}`)));
    assert.equal(found.filter((each) => each === 'OK').length, 500);
    await server.end();
    await isTrouble(() => table.find('joe@example.org'), /./);
    await server.start();
    server.redis('SET', 'mail:joe@example.org', 'again');
    stage.clock.now += 60_001;
    assert.equal(await table.find('joe@example.org'), 'again');
    table.close();
  });
});
