/** Several tables in order, and the orders in which addresses are looked for. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { accessKeys, accessSearch, addressTableSearch, domainKeys, findAddress, findAlias, parentsMatch, transportSearch, type AddressRules, type AddressSearch } from './mail-address-find.ts';
import { Maps, openMaps } from './maps.ts';
import { TableTrouble, type LookupTable, type TableContext } from './table.ts';

function contextOf(parameters: Record<string, string> = {}): { context: TableContext; said: string[] } {
  const said: string[] = [];
  return { context: { parameter: (name) => parameters[name] ?? '', warn: (text) => said.push(text) }, said };
}

/** A table that answers later, and notes what it was asked. */
function slowTable(entries: Record<string, string>, asked: string[] = []): LookupTable {
  const map = new Map(Object.entries(entries));
  const find = async (key: string) => (asked.push(key), map.get(key));
  return { type: 'slow', name: 'test', fixed: true, owner: { trusted: true, uid: undefined }, find, changed: () => false, close: () => undefined };
}

test('the first table that knows the key wins', () => {
  const maps = openMaps('inline:{a=1}, inline:{ {a=2} {b = two words} } static:all', contextOf().context);
  assert.deepEqual(['a', 'b', 'c', ''].map((key) => maps.find(key)), ['1', 'two words', 'all', undefined]);
  assert.equal(openMaps('', contextOf().context).isEmpty, true);
});

test('a table that cannot be asked ends the search, and is told of', () => {
  const { context, said } = contextOf();
  const maps = openMaps('inline:{a=1}, fail:it, static:never', context, 'some_maps');
  assert.equal(maps.find('a'), '1');
  assert.throws(() => maps.find('b'), TableTrouble);
  const missing = openMaps('cdb:/no/such', context, 'other_maps');
  assert.throws(() => missing.find('b'), TableTrouble);
  const reason = 'open database /no/such.cdb: No such file or directory';
  assert.deepEqual(said, ['fail:it lookup error for "b"', reason, `cdb:/no/such is unavailable. ${reason}`, 'cdb:/no/such lookup error for "b"']);
});

test('an empty value is a mistake of the operator', () => {
  const { context, said } = contextOf();
  const maps = openMaps('inline:{{a = }}', context, 'virtual_alias_maps');
  assert.throws(() => maps.find('a'), (error) => error instanceof TableTrouble && error.kind === 'config');
  assert.deepEqual(said, [
    'virtual_alias_maps lookup of a returns an empty string result',
    'virtual_alias_maps should return NO RESULT in case of NOT FOUND',
  ]);
});

test('pattern tables are passed over for parts of addresses', () => {
  const maps = openMaps('cidr:{{0.0.0.0/0 any}}, inline:{1.2.3.4=listed}', contextOf().context);
  assert.deepEqual([maps.find('1.2.3.4'), maps.find('1.2.3.4', true)], ['any', 'listed']);
});

test('tables that answer later: order and trouble are the same', async () => {
  const { context, said } = contextOf();
  const failing: LookupTable = { ...slowTable({}), find: async () => { throw new TableTrouble('slow:test', 'gone'); } };
  const [fast] = openMaps('inline:{c=3}', context).tables;
  const maps = new Maps('title', [slowTable({ a: '1' }), slowTable({ a: '2', b: '2' }), fast!, failing], context);
  assert.deepEqual([await maps.find('a'), await maps.find('b'), await maps.find('c')], ['1', '2', '3']);
  await assert.rejects(async () => maps.find('d'), TableTrouble);
  assert.deepEqual(said, ['slow:test lookup error for "d"']);
});

const rules: AddressRules = { recipientDelimiter: '+', myorigin: 'origin.example', isLocal: (domain) => domain.toLowerCase() === 'local.example' };

/** Which keys are asked, in order, when nothing is found. */
for (const [title, address, search, want] of [
  ['address tables', 'user+ext@Sub.Example.org', addressTableSearch, ['user+ext@Sub.Example.org', 'user@Sub.Example.org', '@Sub.Example.org']],
  ['address tables, local', 'user+ext@local.example', addressTableSearch, ['user+ext@local.example', 'user@local.example', 'user+ext', 'user', '@local.example']],
  ['address tables, origin', 'user@ORIGIN.example', addressTableSearch, ['user@ORIGIN.example', 'user', '@ORIGIN.example']],
  ['no domain', 'user+ext', addressTableSearch, ['user+ext', 'user']],
  ['transport', 'user+ext@a.b.org', transportSearch(true), ['user+ext@a.b.org', 'user@a.b.org', 'a.b.org', 'b.org', 'org']],
  ['transport with dots', 'user@a.b.org', transportSearch(false), ['user@a.b.org', 'a.b.org', '.b.org', '.org']],
  ['access', 'user+ext@a.org', accessSearch(true), ['user+ext@a.org', 'user@a.org', 'a.org', 'org', 'user+ext@', 'user@']],
  ['quotes first', 'a b+c@x.org', addressTableSearch, ['"a b+c"@x.org', 'a b+c@x.org', '"a b"@x.org', 'a b@x.org', '@x.org']],
  ['quoted local part', 'a b@local.example', addressTableSearch, ['"a b"@local.example', 'a b@local.example', '"a b"', 'a b', '@local.example']],
  ['with an at', 'user+ext@local.example', { address: true, localPartAtIfLocal: true }, ['user+ext@local.example', 'user@local.example', 'user+ext@', 'user@']],
  ['an @ in the local part', 'a@b@c.org', addressTableSearch, ['"a@b"@c.org', 'a@b@c.org', '@c.org']],
] as [string, string, AddressSearch, string[]][]) {
  test(`keys: ${title}`, async () => {
    const asked: string[] = [];
    const maps = new Maps('title', [slowTable({}, asked)], contextOf().context);
    assert.equal(await findAddress(maps, address, search, rules), undefined);
    assert.deepEqual(asked, want);
  });
}

for (const [address, parents, want, whole] of [
  ['user+ext@a.org', true, ['user+ext@a.org', 'user@a.org', 'a.org', 'org', 'user+ext@', 'user@'], 1],
  ['user@a.b.org', false, ['user@a.b.org', 'a.b.org', '.b.org', '.org', 'user@'], 1],
  ['a b+c@x.org', true, ['"a b+c"@x.org', 'a b+c@x.org', '"a b"@x.org', 'a b@x.org', 'x.org', 'org', '"a b+c"@', 'a b+c@', '"a b"@', 'a b@'], 2],
  ['postmaster', true, ['postmaster'], 1],
] as const) {
  test(`keys of an access table for ${address}`, () => assert.deepEqual(accessKeys(address, parents, rules), { keys: want, whole }));
}

for (const [title, table, address, want] of [
  ['whole', 'user+ext@x.org=1', 'user+ext@x.org', { value: '1', extension: undefined, keyUsed: 'user+ext@x.org' }],
  ['without extension', 'user@x.org=1', 'user+ext@x.org', { value: '1', extension: '+ext', keyUsed: 'user@x.org' }],
  ['local part without extension', 'user=1', 'user+ext@local.example', { value: '1', extension: '+ext', keyUsed: 'user' }],
  ['domain', '@x.org=1', 'user+ext@x.org', { value: '1', extension: undefined, keyUsed: '@x.org' }],
  ['nothing', 'y=1', 'user@x.org', undefined],
] as const) {
  test(`found: ${title}`, () => {
    const maps = openMaps(`inline:{${table}}`, contextOf().context);
    assert.deepEqual(findAddress(maps, address, addressTableSearch, rules), want);
  });
}

test('what is never split', async () => {
  const asked: string[] = [];
  const maps = new Maps('title', [slowTable({}, asked)], contextOf().context);
  const dash = { ...rules, recipientDelimiter: '-' };
  await findAddress(maps, 'owner-list@x.org', { address: true }, dash);
  await findAddress(maps, 'owner-list@x.org', { address: true }, { ...dash, ownerRequestSpecial: false });
  assert.deepEqual(asked, ['owner-list@x.org', 'owner-list@x.org', 'owner@x.org']);
});

test('no delimiter: no extension is taken off; no tables: no questions', () => {
  const maps = openMaps('inline:{user@x.org=1}', contextOf().context);
  assert.equal(findAddress(maps, 'user+ext@x.org', addressTableSearch, { ...rules, recipientDelimiter: '' }), undefined);
  const none = { ...rules, isLocal: () => assert.fail('asked') };
  assert.equal(findAddress(openMaps('', contextOf().context), 'a@b', addressTableSearch, none), undefined);
});

test('domains and their parents', () => {
  assert.deepEqual(domainKeys('a.b.c', 'parents'), ['a.b.c', 'b.c', 'c']);
  assert.deepEqual(domainKeys('a.b.c', 'dot parents'), ['a.b.c', '.b.c', '.c']);
  assert.deepEqual(domainKeys('.b.c', 'dot parents'), ['.b.c', '.c']);
  assert.deepEqual(domainKeys('a.b.c', 'itself'), ['a.b.c']);
  assert.deepEqual(domainKeys('', 'parents'), []);
});

test('aliases: the quoted name first, then the bare one', () => {
  const [table] = openMaps('inline:{{"a b" = quoted}, {c = bare}, {d\\ e = old}}', contextOf().context).tables;
  assert.deepEqual(['a b', 'c', 'none'].map((name) => findAlias(table!, name)), ['quoted', 'bare', undefined]);
});

test('parent_domain_matches_subdomains', () => {
  const { context } = contextOf({ parent_domain_matches_subdomains: 'debug_peer_list, !relay_domains,smtpd_access_maps' });
  assert.deepEqual(['debug_peer_list', 'relay_domains', 'smtpd_access_maps', 'transport_maps'].map((name) => parentsMatch(name, context)), [true, false, true, false]);
});
