/** socketmap_table(5): our own servers, good and bad, asked by us and by Debian's postmap. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, describe, test } from 'node:test';
import { entries, utf8 } from '../../src/tables/suite-cases.ts';
import { freePort } from '../ports.ts';
import { comparePostmap, isTrouble, noDebianPostmap, playHostileKeys, tableStage } from '../table-stage.ts';

const stage = tableStage({ socketmap_max_query_size: '10000', socketmap_max_reply_size: '5000' });
const servers: net.Server[] = [];
after(() => {
  for (const server of servers) server.close();
  stage.remove();
});

const netstring = (text: string): string => `${text.length}:${text},`;

/** A server for netstrings; `answer` gets the request without its clothes and gives raw bytes. */
async function serve(where: number | string, answer: (request: string) => string): Promise<void> {
  const server = net.createServer((socket) => {
    let input = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      input += chunk.toString('latin1');
      for (let match = /^([0-9]+):/.exec(input); match && input.length > match[0].length + Number(match[1]); match = /^([0-9]+):/.exec(input)) {
        const end = match[0].length + Number(match[1]);
        socket.write(answer(input.slice(match[0].length, end)), 'latin1');
        input = input.slice(end + 1);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => (typeof where === 'number' ? server.listen(where, '127.0.0.1', resolve) : server.listen(where, resolve)));
  server.unref();
}

const maps = new Map([['mail', new Map(entries)], ['other', new Map([['key', 'other value']])]]);
const dictionary = (request: string): string => {
  const space = request.indexOf(' ');
  const value = maps.get(request.slice(0, space))?.get(request.slice(space + 1));
  return netstring(value === undefined ? 'NOTFOUND ' : `OK ${value}`);
};

describe('socketmap', () => {
  test('several maps of one server, by TCP and by a socket', async () => {
    const port = await freePort();
    await serve(port, dictionary);
    await serve(`${stage.folder}/socket`, dictionary);
    for (const where of [`inet:127.0.0.1:${port}`, `unix:${stage.folder}/socket`]) {
      const [mail, other] = [stage.open(`socketmap:${where}:mail`), stage.open(`socketmap:${where}:other`)];
      for (const [key, value] of entries) assert.equal(await mail.find(key), value, key);
      assert.equal(await other.find('key'), 'other value');
      assert.equal(await other.find('joe@example.org'), undefined);
      assert.equal(await mail.find('k'.repeat(10_001)), undefined, 'longer than socketmap_max_query_size');
      await playHostileKeys(mail);
      mail.close();
      other.close();
    }
    assert.match(stage.said.join('\n'), /query too large: 'k{100}', returning 'not found'/);
  });

  test("as Debian's Postfix has it", { skip: noDebianPostmap() }, async () => {
    const port = await freePort();
    await serve(port, dictionary);
    await comparePostmap(stage, `socketmap:inet:127.0.0.1:${port}:mail`, ['joe@example.org', 'JOE@example.org', utf8('Äpfel'), 'none', 'spaces']);
  });

  const bad = [
    ['TEMP', netstring('TEMP later'), /temporary error: later/, 'retry'],
    ['TIMEOUT', netstring('TIMEOUT'), /timeout error$/, 'retry'],
    ['PERM', netstring('PERM never'), /permanent error: never/, 'config'],
    ['a word that is none', netstring('WHAT is this'), /unknown error: is this/, 'retry'],
    ['no length', 'OK value,', /netstring format error while receiving length/, 'retry'],
    ['no comma', '4:OK x;', /netstring format error while receiving terminator/, 'retry'],
    ['a reply beyond socketmap_max_reply_size', netstring(`OK ${'x'.repeat(5000)}`), /netstring size limit exceeded/, 'retry'],
    ['an endless length', '9'.repeat(50), /netstring format error/, 'retry'],
  ] as const;
  for (const [why, reply, pattern, kind] of bad) {
    test(`${why} is trouble`, async () => {
      const port = await freePort();
      await serve(port, () => reply);
      const name = `socketmap:inet:127.0.0.1:${port}:mail`;
      const table = stage.open(name);
      await isTrouble(() => table.find('x'), pattern);
      await assert.rejects(async () => table.find('x'), { kind });
      table.close();
      if (noDebianPostmap() === false && !why.startsWith('a reply')) assert.equal(await stage.postmap(name, 'x'), 'trouble');
    });
  }

  test('a name that makes no sense', async () => {
    await isTrouble(() => stage.open('socketmap:here').find('x'), /socketmap requires server:socketmap argument/);
    await isTrouble(() => stage.open('socketmap:tcp:127.0.0.1:1:x').find('x'), /invalid transport name/);
  });
});
