import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { resolveFlag } from '../../ipc/rewrite.ts';
import { TableTrouble } from '../../tables/table.ts';
import { resolveAddress, type Resolved, type RoutingRules, type RoutingTables } from './resolve-address.ts';
import { applyEntry, splitRoute } from './transport-entry.ts';

const in_ = (...names: string[]) => (name: string): boolean => names.includes(name.toLowerCase());
const tables: RoutingTables = {
  isVirtualAlias: in_('alias.test'), isVirtualMailbox: in_('box.test'), isRelay: in_('relay.test'),
  senderTransport: () => undefined, senderRelayhost: () => undefined, bySender: false, transport: () => undefined, relocated: () => undefined,
};
const usual: RoutingRules = {
  swapBangPath: true, percentHack: true, appendAtOrigin: true, appendDotDomain: false, local: { origin: 'here.test', domain: 'here.test' },
  resolveNullDomain: false, resolveDequoted: true, emptyAddress: 'MAILER-DAEMON', myhostname: 'mx.here.test', isLocal: in_('here.test', 'mx.here.test', '[192.0.2.1]'),
  localTransport: 'local:mx.here.test', virtualTransport: 'virtual', relayTransport: 'relay', defaultTransport: 'smtp', relayhost: '',
  nullRelayhostKey: '<>', nullTransportKey: '<>', allowMinUser: false, resolveNumericDomain: false, smtputf8: true, idna2003: false, helpful: true, showTableName: true,
  relocatedPrefix: true, tables, warn: () => {},
};

const { local, alias, virtual, relay, other, error, routed } = resolveFlag;

interface Want { transport?: string; nexthop?: string; recipient?: string; flags: number }

async function holds(address: string, want: Want, rules: Partial<RoutingRules> = {}, sender = 's@x.test'): Promise<void> {
  const got: Resolved = await resolveAddress(sender, address, { ...usual, ...rules });
  for (const [name, value] of Object.entries(want)) assert.equal(got[name as keyof Resolved], value, `${name} of ${JSON.stringify(got)}`);
}

const cases: [name: string, address: string, want: Want, rules?: Partial<RoutingRules>][] = [
  ['a local user', 'joe@here.test', { transport: 'local', nexthop: 'mx.here.test', recipient: 'joe@here.test', flags: local }],
  ['no domain', 'joe', { transport: 'local', recipient: 'joe@mx.here.test', flags: local }],
  ['no address', '', { transport: 'local', recipient: 'MAILER-DAEMON@mx.here.test', flags: local }],
  ['an empty local part', '@here.test', { recipient: 'MAILER-DAEMON@here.test', flags: local }],
  ['our own address as a literal', 'joe@[192.0.2.1]', { transport: 'local', flags: local }],
  ['a virtual alias domain', 'joe@alias.test', { transport: 'error', nexthop: '5.1.1 User unknown in virtual alias table', flags: alias }],
  ['a virtual mailbox domain', 'joe@box.test', { transport: 'virtual', nexthop: 'box.test', flags: virtual }],
  ['a relay domain', 'joe@relay.test', { transport: 'relay', nexthop: 'relay.test', flags: relay }],
  ['the world', 'joe@example.org', { transport: 'smtp', nexthop: 'example.org', flags: other }],
  ['the world, by a relayhost', 'joe@example.org', { transport: 'smtp', nexthop: '[smart.test]', flags: other }, { relayhost: '[smart.test]' }],
  ['a relayhost does not hold for local mail', 'joe@here.test', { nexthop: 'mx.here.test', flags: local }, { relayhost: '[smart.test]' }],
  ['a trailing dot', 'joe@example.org.', { recipient: 'joe@example.org', flags: other }],
  ['routing by percent through us', 'joe%example.org@here.test', { recipient: 'joe@example.org', nexthop: 'example.org', flags: other }],
  ['routing by bang through us', 'example.org!joe@here.test', { recipient: 'joe@example.org', flags: other }],
  ['routing by a second at sign', 'joe@example.org@here.test', { recipient: 'joe@example.org', flags: other }],
  ['routing in a local part that needs quotes', 'joe smith@example.org@here.test', { flags: other, nexthop: 'example.org', recipient: 'joe smith@example.org' }],
  ['quotes that are part of the name', '"joe@example.org"@here.test', { flags: other | error }],
  ['routing through someone else', 'joe%example.org@relay.test', { transport: 'relay', flags: relay | routed }],
  ['a name that looks like an option', '-oQ@here.test', { flags: local | error }],
  ['a bad domain', 'joe@exa mple.org', { flags: other | error }],
  ['a bad literal', 'joe@[300.1.2.3]', { flags: other | error }],
  ['a bare network address', 'joe@192.0.2.7', { flags: other | error }],
  ['a bare network address, allowed', 'joe@192.0.2.7', { recipient: 'joe@[192.0.2.7]', flags: other }, { resolveNumericDomain: true }],
];
for (const [name, address, want, rules] of cases) test(`${name}: ${address}`, () => holds(address, want, rules));

const withTables = (changes: Partial<RoutingTables>): Partial<RoutingRules> => ({ tables: { ...tables, ...changes } });

test('transport_maps overrule the class', () => holds('joe@here.test', { transport: 'smtp', nexthop: '[inner]', flags: local }, withTables({ transport: () => 'smtp:[inner]' })));
test('a transport without nexthop resets it', () => holds('joe@here.test', { transport: 'smtp', nexthop: 'here.test', flags: local }, withTables({ transport: () => 'smtp:' })));
test('transport_maps do not hold for virtual aliases', () => holds('joe@alias.test', { transport: 'error', flags: alias }, withTables({ transport: () => 'smtp:[inner]' })));
test('a user who moved', () => holds('joe@here.test', { transport: 'error', nexthop: '5.1.6 User has moved to joe@new.test', flags: local }, withTables({ relocated: () => 'joe@new.test' })));
test('a sender of its own relayhost', () => holds('joe@example.org', { nexthop: '[own]', flags: other }, withTables({ senderRelayhost: (key) => (key === '<>' ? '[own]' : undefined) }), ''));
test('a sender of its own transport', () => holds('joe@example.org', { transport: 'slow', nexthop: 'example.org', flags: other }, withTables({ senderTransport: () => 'slow:' })));
test('DUNNO is no answer', () => holds('joe@example.org', { transport: 'smtp', nexthop: 'example.org', flags: other }, withTables({ senderTransport: () => 'dunno', senderRelayhost: () => 'DUNNO' })));

for (const [name, address, changes, want] of [
  ['ours and an alias domain', 'joe@here.test', { isVirtualAlias: in_('here.test') }, ['do not list domain here.test in BOTH mydestination and virtual_alias_domains']],
  ['all of the rest', 'joe@alias.test', { isVirtualMailbox: in_('alias.test'), isRelay: in_('alias.test') },
    ['do not list domain alias.test in BOTH virtual_alias_domains and virtual_mailbox_domains', 'do not list domain alias.test in BOTH virtual_alias_domains and relay_domains']],
  ['a mailbox domain that is relayed to', 'joe@box.test', { isRelay: in_('box.test') }, ['do not list domain box.test in BOTH virtual_mailbox_domains and relay_domains']],
  ['a list that cannot be asked is passed over', 'joe@box.test', { isRelay: () => { throw new TableTrouble('relay_domains', 'down'); } }, []],
] as const) {
  test(`a domain in two lists: ${name}`, async () => {
    const said: string[] = [];
    await resolveAddress('', address, { ...usual, ...withTables(changes), warn: (text) => said.push(text) });
    assert.deepEqual(said, want);
  });
}

test('a name in another script must have an ASCII form', async () => {
  const said: string[] = [];
  await holds('joe@b\xc3\xbcro.test', { flags: other, nexthop: 'b\xc3\xbcro.test' });
  await holds('joe@b\xc3\xbc..test', { flags: other | error }, { warn: (text) => void said.push(text) });
  assert.match(said.join(), /^midna_domain_to_ascii_create: Problem translating domain "b.*" to ASCII form: /);
});

test('a table that cannot be asked is trouble, not an answer', async () => {
  const broken = withTables({ isRelay: () => { throw new TableTrouble('relay_domains', 'down'); } });
  await assert.rejects(resolveAddress('', 'joe@example.org', { ...usual, ...broken }), TableTrouble);
});

test('whatever the address is, there is an answer, and soon', () => fc.assert(fc.asyncProperty(
  fc.array(fc.constantFrom('a', '@', '.', '%', '!', '"', '\\', '[', ']', '(', '<', 'here.test', 'relay.test', ' ', '\xe4'), { maxLength: 20 }),
  async (pieces) => {
    const { flags, recipient, transport } = await resolveAddress('', pieces.join(''), usual);
    assert.ok(flags & (resolveFlag.error | resolveFlag.fail) || (recipient.includes('@') && transport !== ''));
  },
)));

for (const [entry, want] of [
  [':', { transport: 't', nexthop: 'n' }], [':[h]', { transport: 't', nexthop: '[h]' }], ['smtp', { transport: 'smtp', nexthop: 'd' }],
  ['smtp:', { transport: 'smtp', nexthop: 'd' }], ['smtp:[h]:25', { transport: 'smtp', nexthop: '[h]:25' }],
  ['error:', { transport: 'error', nexthop: 'Address is undeliverable' }], ['error:5.1.1 no: really', { transport: 'error', nexthop: '5.1.1 no: really' }],
] as const) test(`transport entry "${entry}"`, () => assert.deepEqual(applyEntry(entry, 'd', { transport: 't', nexthop: 'n' }), want));

test('a route is split at the first colon', () => assert.deepEqual(splitRoute('lmtp:unix:/run/x'), { transport: 'lmtp', nexthop: 'unix:/run/x' }));
