import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapAddress, mapOneToOne, mapOnce, type AddressMapping } from './address-mapping.ts';
import { Maps } from './maps.ts';
import { TableTrouble, type LookupTable, type TableContext } from './table.ts';

/** A table in memory; `late` answers after a turn of the loop. */
function mapping(entries: Readonly<Record<string, string>>, { late = false, propagates = true, delimiter = '+' } = {}) {
  const said: string[] = [];
  const asked: string[] = [];
  const values = new Map(Object.entries(entries));
  const answer = <T>(value: T): T | Promise<T> => (late ? new Promise((resolve) => { setImmediate(() => resolve(value)); }) : value);
  const table = { type: 'inline', name: 'x', fixed: true, find: (key: string) => (asked.push(key), answer(values.get(key.toLowerCase()))) } as unknown as LookupTable;
  const context = { warn: (text: string) => void said.push(text) } as unknown as TableContext;
  const made: AddressMapping = {
    maps: new Maps('test_maps', [table], context), propagates, warn: (text) => void said.push(text),
    rules: { recipientDelimiter: delimiter, myorigin: 'here.test', isLocal: (domain) => domain === 'here.test' },
    complete: (address) => answer(address.includes('@') || address === '""' ? address : `${address}@here.test`),
  };
  return { made, said, asked };
}

for (const [name, entries, address, want] of [
  ['an address', { 'a@x': 'b@y' }, 'a@x', ['b@y']],
  ['no entry', {}, 'a@x', undefined],
  ['a name without domain is completed', { 'a@x': 'b' }, 'a@x', ['b@here.test']],
  ['several', { 'a@x': 'b@y, Name <c@z>, (comment) "d e"@z' }, 'a@x', ['b@y', 'c@z', 'd e@z']],
  ['the extension goes along', { 'a@x': 'b@y, c' }, 'a+e@x', ['b+e@y', 'c+e@here.test']],
  ['an entry with the extension takes all of it', { 'a+e@x': 'b@y' }, 'a+e@x', ['b@y']],
  ['a domain of ours: the bare name', { a: 'b@y' }, 'a+e@here.test', ['b+e@y']],
  ['not for other domains', { a: 'b@y' }, 'a@x', undefined],
  ['a whole domain', { '@x': 'b@y' }, 'a@x', ['b@y']],
  ['a domain for a domain', { '@x': '@y' }, 'a+e@x', ['a+e@y']],
  ['a domain for an address keeps user and extension', { 'a@x': '@y' }, 'a+e@x', ['a+e@y']],
  ['a quoted name is looked for quoted', { '"a b"@x': 'c@y' }, 'a b@x', ['c@y']],
  ['and not otherwise', { 'a b@x': 'c@y' }, 'a b@x', undefined],
  ['a quoted name for a domain', { '@x': '@y' }, 'a b@x', ['a b@y']],
  ['nobody', { 'a@x': '<>' }, 'a@x', ['']],
] as const) {
  for (const late of [false, true]) test(`${name}${late ? ', later' : ''}`, async () => assert.deepEqual(await mapAddress(mapping(entries, { late }).made, address), want));
}

test('the extension goes nowhere when it must not', () => assert.deepEqual(mapAddress(mapping({ 'a@x': 'b@y' }, { propagates: false }).made, 'a+e@x'), ['b@y']));

test('an entry without an address is trouble', () => {
  const { made, said } = mapping({ 'a@x': ',,' });
  assert.throws(() => mapAddress(made, 'a@x', '<a@x>'), TableTrouble);
  assert.deepEqual(said, ['test_maps lookup of <a@x> returns non-address result ",,"']);
});

for (const [name, entries, address, want, says] of [
  ['through several steps', { 'a@x': 'b@x', 'b@x': 'c@x' }, 'a@x', 'c@x', []],
  ['to itself', { 'a@x': 'a@x' }, 'a@x', undefined, []],
  ['to itself in other letters', { 'a@x': 'A@X' }, 'a@x', 'A@X', []],
  ['then to itself', { 'a@x': 'b@x', 'b@x': 'b@x' }, 'a@x', 'b@x', []],
  ['nothing', {}, 'a@x', undefined, []],
  ['to more than one', { 'a@x': 'b@y, c@y' }, 'a@x', 'b@y', ['multi-valued test_maps entry for a@x']],
  ['round and round', { 'a@x': 'b@x', 'b@x': 'a@x' }, 'a@x', 'a@x', ['unreasonable test_maps map nesting for a@x -- message not accepted, try again later']],
] as const) {
  for (const late of [false, true]) {
    test(`one to one ${name}${late ? ', later' : ''}`, async () => {
      const said: string[] = [];
      assert.deepEqual([await mapOneToOne(mapping(entries, { late }).made, address, (text) => said.push(text)), said], [want, says]);
    });
  }
}

test('one to one is asked ten times and no more', () => {
  const { made, asked } = mapping({ 'a@x': 'b@x', 'b@x': 'a@x' });
  void mapOneToOne(made, 'a@x', () => undefined);
  assert.equal(asked.length, 10);
});

test('once, as smtp_generic_maps has it', () => {
  const said: string[] = [];
  const { made } = mapping({ 'a@x': 'b@x c@x', 'b@x': 'd@x' });
  assert.deepEqual([mapOnce(made, 'a@x', (text) => said.push(text)), mapOnce(made, 'z@x', assert.fail), said], ['b@x', undefined, ['multi-valued test_maps result for a@x']]);
});
