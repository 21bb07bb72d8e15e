/** mongodb_table(5) with the real client, and a server of our own that knows `hello` and `find`: Debian has none. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { entries } from '../../src/tables/suite-cases.ts';
import type { LookupTable } from '../../src/tables/table.ts';
import { freePort } from '../ports.ts';
import { isTrouble, playCases, playHostileKeys, tableStage } from '../table-stage.ts';

const require = createRequire(import.meta.url);
const stage = tableStage();

function library(): typeof import('mongodb') | undefined {
  try {
    return require('mongodb') as typeof import('mongodb');
  } catch {
    return undefined;
  }
}

const mongo = library();
const characters = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
type Document = Record<string, unknown>;

/** OP_QUERY of the first hello, and OP_MSG. */
class FakeMongo {
  readonly filters: Document[] = [];
  readonly projections: unknown[] = [];
  documents: (filter: Document) => Document[] = () => [];
  error: string | undefined;
  readonly #sockets = new Set<net.Socket>();
  readonly #server = net.createServer((socket) => {
    let input = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk]);
      while (input.length >= 16 && input.length >= input.readInt32LE(0)) {
        const length = input.readInt32LE(0);
        socket.write(this.#answer(input.subarray(0, length)));
        input = input.subarray(length);
      }
    });
  });

  listen(port: number): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #answer(message: Buffer): Buffer {
    const [id, code] = [message.readInt32LE(4), message.readInt32LE(12)];
    const { BSON } = mongo!;
    if (code === 2004) {
      const body = BSON.serialize(hello);
      const head = Buffer.alloc(36);
      [head.length + body.length, 1, id, 1, 8, 0, 0, 0, 1].forEach((value, at) => head.writeInt32LE(value, at * 4));
      return Buffer.concat([head, body]);
    }
    const body = BSON.serialize(this.#reply(BSON.deserialize(message.subarray(21), { promoteValues: true, allowObjectSmallerThanBufferSize: true }) as Document));
    const head = Buffer.alloc(21);
    [head.length + body.length, 1, id, 2013, 0].forEach((value, at) => head.writeInt32LE(value, at * 4));
    return Buffer.concat([head, body]);
  }

  #reply(command: Document): Document {
    if (!('find' in command)) return hello;
    if (this.error !== undefined) return { ok: 0, errmsg: this.error, code: 96 };
    this.filters.push(command['filter'] as Document);
    this.projections.push(command['projection']);
    return { ok: 1, cursor: { id: mongo!.Long.fromNumber(0), ns: 'mail.users', firstBatch: this.documents(command['filter'] as Document) } };
  }
}

const hello: Document = {
  ok: 1, isWritablePrimary: true, helloOk: true, maxBsonObjectSize: 16777216, maxMessageSizeBytes: 48000000, maxWriteBatchSize: 100000, minWireVersion: 0, maxWireVersion: 21, readOnly: false,
};

describe('mongodb', { skip: mongo ? false : 'the client library "mongodb" is not installed' }, () => {
  const server = new FakeMongo();
  let port = 0;

  before(async () => {
    port = await freePort();
    await server.listen(port);
  });

  after(() => {
    for (const table of opened) table.close();
    server.close();
    stage.remove();
  });

  const opened: LookupTable[] = [];
  const open = (lines: string): LookupTable => {
    const table = stage.open(`mongodb:${stage.write(`uri = mongodb://127.0.0.1:${port}/?directConnection=true\ndbname = mail\ncollection = users\n${lines}`)}`);
    opened.push(table);
    return table;
  };
  const byAddress = 'query_filter = {"address": "%s"}\n';

  test('every case of every table; keys are data', async () => {
    const known = new Map(entries.map(([key, value]) => [characters(key).toLowerCase(), characters(value)]));
    server.documents = ({ address }) => (known.has(address as string) ? [{ value: known.get(address as string) }] : []);
    const table = open(`${byAddress}result_attribute = value\n`);
    await playCases(table);
    await playHostileKeys(table);
    assert.ok(server.filters.every((filter) => typeof filter['address'] === 'string' && Object.keys(filter).length === 1), 'a key stays a text');
    assert.deepEqual(server.projections[0], { _id: 0, value: 1 });
  });

  test('lists, numbers, several documents; other types are told of', async () => {
    server.documents = () => [{ a: ['one', ['two']], n: 7, long: mongo!.Long.fromNumber(8) }, { a: 'three', no: true }];
    const table = open(`${byAddress}projection = {"a": 1}\nresult_format = <%s>\n`);
    assert.equal(await table.find('joe'), '<one>,<two>,<7>,<8>,<three>');
    assert.match(stage.said.join('\n'), /failed to retrieve value of 'no', Unknown result type boolean/);
    assert.deepEqual(server.projections.at(-1), { a: 1, _id: 0 });
  });

  test('what is trouble', async () => {
    server.documents = () => [{ a: Array.from({ length: 11 }, (_, at) => `v${at}`) }];
    await isTrouble(() => open(`${byAddress}result_attribute = a\n`).find('x'), /Expansion limit exceeded/);
    await isTrouble(() => open(byAddress).find('x'), /specify exactly one of 'projection' or 'result_attribute'/);
    await isTrouble(() => open(`${byAddress}projection = {bad\n`).find('x'), /failed to create a projection/);
    await isTrouble(() => open('query_filter = {"address": %s}\nresult_attribute = a\n').find('x'), /./);
    server.error = 'no such thing';
    await isTrouble(() => open(`${byAddress}result_attribute = a\n`).find('x'), /no such thing/);
    server.error = undefined;
  });
});
