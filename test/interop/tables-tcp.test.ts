/** tcp_table(5): our own servers, good and bad, asked by us and by Debian's postmap. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, describe, test } from 'node:test';
import { openTable } from '../../src/tables/open.ts';
import { entries, utf8 } from '../../src/tables/suite-cases.ts';
import { freePort } from '../ports.ts';
import { comparePostmap, isTrouble, noDebianPostmap, playHostileKeys, tableStage } from '../table-stage.ts';

const stage = tableStage();
const servers: net.Server[] = [];
after(() => {
  for (const server of servers) server.close();
  stage.remove();
});

/** A server that answers each line. */
async function serve(answer: (line: string, socket: net.Socket) => string | undefined): Promise<number> {
  const port = await freePort();
  const server = net.createServer((socket) => {
    let input = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      input += chunk.toString('latin1');
      for (let end = input.indexOf('\n'); end >= 0; end = input.indexOf('\n')) {
        const reply = answer(input.slice(0, end), socket);
        input = input.slice(end + 1);
        if (reply !== undefined) socket.write(reply, 'latin1');
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  server.unref();
  return port;
}

const map = new Map(entries);
const escape = (text: string): string => text.replace(/[^!-$&-~]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
const decode = (text: string): string => text.replace(/%(..)/g, (_all, digits: string) => String.fromCharCode(parseInt(digits, 16)));
const dictionary = (line: string): string => {
  const value = map.get(decode(line.replace(/^get /, '')));
  return value === undefined ? '500 not%20here\n' : `200 ${escape(value)}\n`;
};

describe('tcp', () => {
  test('keys and values, quoted both ways; pattern keys are not folded', async () => {
    const table = stage.open(`tcp:127.0.0.1:${await serve(dictionary)}`);
    for (const [key, value] of entries) assert.equal(await table.find(key), value, key);
    assert.equal(await table.find('JOE@example.org'), undefined);
    assert.equal(table.fixed, false);
    await playHostileKeys(table);
    table.close();
  });

  test('many at once, on few connections', async () => {
    let connections = 0;
    const seen = new Set<net.Socket>();
    const port = await serve((line, socket) => {
      if (!seen.has(socket)) connections++;
      seen.add(socket);
      return `200 ${line.slice(4)}\n`;
    });
    const table = stage.open(`tcp:127.0.0.1:${port}`);
    const found = await Promise.all(Array.from({ length: 300 }, async (_, at) => table.find(`k${at}`)));
    assert.deepEqual(found, Array.from({ length: 300 }, (_, at) => `k${at}`));
    assert.ok(connections <= 8, String(connections));
    table.close();
  });

  test("as Debian's Postfix has it", { skip: noDebianPostmap() }, async () => {
    const port = await serve(dictionary);
    await comparePostmap(stage, `tcp:127.0.0.1:${port}`, ['joe@example.org', 'MixedCase', utf8('Äpfel'), 'spaces', 'none']);
  });

  for (const [why, reply, pattern] of [
    ['a temporary error', '400 come%20again\n', /come again/],
    ['no number', 'hello\n', /malformed reply: hello/],
    ['a bad escape', '200 %zz\n', /malformed reply/],
    ['another number', '300 what\n', /bad status code/],
    ['too long a line', `200 ${'x'.repeat(5000)}\n`, /text longer than 4096/],
    ['too much without an end', 'x'.repeat(5000), /text longer than 4096/],
    ['two answers', '200 a\n200 b\n', /more than one answer|^a$/],
  ] as const) {
    test(`${why} is trouble`, async () => {
      const table = stage.open(`tcp:127.0.0.1:${await serve(() => reply)}`);
      if (why === 'two answers') assert.equal(await table.find('x'), 'a');
      else await isTrouble(() => table.find('x'), pattern);
      table.close();
    });
  }

  test('a server that hangs up is asked once more; one that is not there is trouble', async () => {
    let count = 0;
    const port = await serve((_line, socket) => {
      if (count++ % 2 === 0) return void socket.destroy();
      return '200 second\n';
    });
    const table = stage.open(`tcp:127.0.0.1:${port}`);
    assert.equal(await table.find('x'), 'second');
    table.close();
    await isTrouble(() => stage.open('tcp:127.0.0.1:1').find('x'), /refused/i);
    await isTrouble(() => stage.open('tcp:127.0.0.1:nosuch').find('x'), /bad service name/);
    await isTrouble(() => openTable('tcp:127.0.0.1:1', stage.context, { sensitive: true }).find('x'), /security sensitive/);
  });
});
