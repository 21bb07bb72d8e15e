import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MatchAnswer, MatchSources, MatchTable } from './match-list.ts';
import { MatchListError, addressList, domainList, hostList, stringList } from './match-list.ts';

const exact = (...keys: string[]): MatchTable => ({ fixed: true, find: (key) => (keys.includes(key) ? 'x' : undefined) });

const tables: Record<string, MatchTable> = {
  'hash:/names': exact('example.org', '.sub.example.net', '192.0.2.9'),
  'slow:/names': { fixed: true, find: (key) => Promise.resolve(key === 'example.org' ? 'x' : undefined) },
  'regexp:/letters': { fixed: false, find: (key) => (key.includes('q') ? 'x' : undefined) },
  'mysql:/down': { fixed: true, find: () => { throw new Error('connection refused'); } },
  'mysql:/late': { fixed: true, find: () => Promise.reject(new Error('timeout')) },
  'mysql:/value': { fixed: true, find: () => ({ trouble: 'closed' }) },
};
const files: Record<string, readonly string[]> = {
  '/list': ['one.example, two.example', '!three.example hash:/names'],
  '/nested': ['/list four.example'],
  '/loop': ['/loop'],
  '/commented': ['a.example # b.example'],
};
const warnings: string[] = [];
const sources: MatchSources = {
  open: (table) => tables[table] ?? assert.fail(`unsupported table ${table}`),
  lines: (path) => {
    const lines = files[path];
    if (!lines) throw new Error('No such file or directory');
    return lines;
  },
  warn: (text) => warnings.push(text),
};

const trouble = (text: string, reason?: string): MatchAnswer => (reason === undefined ? { trouble: text } : { trouble: text, reason });

for (const [list, text, want] of [
  ['a.example, b.example', 'B.example', true],
  ['a.example', 'x.a.example', false],
  ['!a.example a.example', 'a.example', false],
  ['!!a.example', 'a.example', true],
  ['hash:/names', 'EXAMPLE.org', true],
  ['hash:/names', 'x.example.org', false],
  ['!hash:/names static.example', 'example.org', false],
  ['slow:/names', 'example.org', true],
  ['!slow:/names, example.org', 'example.org', false],
  ['slow:/names, late.example', 'late.example', true],
  ['/list', 'two.example', true],
  ['/list', 'three.example', false],
  ['/list', 'example.org', true],
  ['!/list x.example', 'two.example', false],
  ['!/list', 'three.example', true],
  ['/nested', 'four.example', true],
  ['mysql:/down a.example', 'a.example', trouble('list: mysql:/down: table lookup problem', 'connection refused')],
  ['a.example mysql:/down', 'a.example', true],
  ['mysql:/late', 'a.example', trouble('list: mysql:/late: table lookup problem', 'timeout')],
  ['mysql:/value', 'a.example', trouble('list: mysql:/value: table lookup problem', 'closed')],
  ['/missing', 'a.example', trouble('list: non-existent:/missing: table lookup problem', 'open file /missing: No such file or directory')],
  ['/loop', 'a.example', trouble('list: non-existent:/loop: table lookup problem', 'open file /loop: list files are nested more than 10 deep')],
  ['', 'a.example', false],
] as const) {
  test(`string list "${list}": ${text}`, async () => assert.deepEqual(await stringList('list', list, sources).match(text), want));
}

for (const [list, name, parents, want] of [
  ['example.org', 'example.org', false, true],
  ['example.org', 'a.example.org', false, false],
  ['.example.org', 'a.example.org', false, true],
  ['.example.org', 'example.org', false, false],
  ['example.org', 'a.b.example.org', true, true],
  ['example.org', 'badexample.org', true, false],
  ['.example.org', 'a.example.org', true, false],
  ['hash:/names', 'a.example.org', true, true],
  ['hash:/names', 'a.example.org', false, false],
  ['hash:/names', 'a.sub.example.net', false, true],
  ['slow:/names', 'a.b.example.org', true, true],
  ['regexp:/letters', 'a.q', true, true],
  ['!.bad.example.org example.org', 'x.bad.example.org', true, true],
  ['!bad.example.org example.org', 'x.bad.example.org', true, false],
] as const) {
  test(`domain list "${list}"${parents ? ' with parents' : ''}: ${name}`, async () => {
    assert.equal(await domainList('list', list, sources, { parents }).match(name), want);
  });
}

for (const [list, address, want] of [
  ['192.0.2.0/24', '192.0.2.77', true], ['!192.0.2.7, 192.0.2.0/24', '192.0.2.7', false], ['[2001:db8::]/32', '2001:db8:1::1', true], ['[::1]', '0:0:0:0:0:0:0:1', true], ['[::1]', '::1', true],
  ['example.org 192.0.2.1', '192.0.2.1', true], ['hash:/names', '192.0.2.9', true], ['192.0.2.0/24', 'unknown', false], ['192.0.2.0/24', '::1', false],
  ['192.0.2.1/24', '192.0.2.1', trouble('list: non-null host address bits in "192.0.2.1/24", perhaps you should use "192.0.2.0/24" instead')],
] as const) {
  test(`address list "${list}": ${address}`, async () => assert.deepEqual(await addressList('list', list, sources).match(address), want));
}

for (const [list, name, address, want] of [
  ['127.0.0.0/8 example.org', 'example.org', '192.0.2.1', true], ['127.0.0.0/8 .example.org', 'a.example.org', '192.0.2.1', true], ['127.0.0.0/8', 'unknown', '127.0.0.1', true],
  ['!127.0.0.1 localhost', 'localhost', '127.0.0.1', false], ['example.org', 'unknown', '192.0.2.1', false],
] as const) {
  test(`host list "${list}": ${name}[${address}]`, async () => assert.equal(await hostList('list', list, sources).match(name, address), want));
}

test('local tables answer at once', () => {
  assert.equal(domainList('list', 'hash:/names', sources).match('example.org'), true);
});

test('a comment behind text ends the list, with a warning', async () => {
  warnings.length = 0;
  const list = stringList('list', '/commented', sources);
  assert.equal(await list.match('a.example'), true);
  assert.equal(await list.match('b.example'), false);
  assert.deepEqual(warnings, ['list: #comment after other text is not allowed: # b.example...']);
});

test('an exclamation mark without a pattern is an error', () => {
  assert.throws(() => stringList('list', 'a ! b', sources), new MatchListError("list: no pattern after '!'"));
});

for (const [list, want] of [
  ['127.0.0.0/8 [::1] .example.org', true], ['', true], ['a.example hash:/names', false], ['/list', false], ['!/commented', true],
] as const) test(`${list}: ${want ? 'the same for ever' : 'may change'}`, () => assert.equal(hostList('mynetworks', list, sources).isConstant, want));
