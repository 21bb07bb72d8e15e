import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, describe, test } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import type { Dns, DnsAnswer, DnsRecord, RecordType } from '../../network/dns.ts';
import { level, levelName } from '../../network/tls-levels.ts';
import type { Maps } from '../../tables/maps.ts';
import { TableTrouble } from '../../tables/table.ts';
import { withDane, type DaneTarget } from './tls-dane.ts';
import { authorizesHost, TlsPolicies, type PolicyAnswer, type TlsPolicy } from './tls-policy.ts';
import { parsePolicy } from './tls-policy-text.ts';
import { readSettings } from './settings.ts';
import type { TlsSettings } from './tls-settings.ts';

const place = mkdtempSync(`${tmpdir()}/tls-policy-`);
after(() => rmSync(place, { recursive: true }));

function main(text = ''): TlsSettings {
  writeFileSync(`${place}/main.cf`, `myhostname = host.example.org\ninet_interfaces = 127.0.0.1\nsmtp_tls_security_level = none\n${text}`);
  return readSettings(Configuration.load(place), 'smtp', []).tls;
}

describe('an entry of smtp_tls_policy_maps', () => {
  for (const [text, want] of [
    ['may', { level: 1 }], ['ENCRYPT', { level: 2 }], ['none', { level: 0 }], ['encrypt ciphers=high, protocols=>=TLSv1.2 exclude=3DES', { level: 2, grade: 'high', protocols: '>=TLSv1.2', exclusions: '3DES' }],
    ['secure match=a.b:.c.d match=nexthop', { level: 8, match: ['a.b', '.c.d', 'nexthop'] }], ['fingerprint match=AA:BB|CC:DD', { level: 3, match: ['AA:BB', 'CC:DD'] }],
    ['verify tafile=/x tafile=/y servername=Sni.example connection_reuse=YES enable_rpk=no', { level: 7, anchorFiles: ['/x', '/y'], serverName: 'Sni.example', reuse: true, rawKeys: false }],
    ['encrypt { protocols = TLSv1.2,  TLSv1.3 }', { level: 2, protocols: 'TLSv1.2, TLSv1.3' }], ['secure protocols=', { level: 8, protocols: '' }],
    ['secure match=a policy_type=sts policy_ttl=5 policy_domain=a.b {policy_string = version: STSv1} mx_host_pattern=*.a mx_host_pattern=b policy_failure=validation-failure',
      { level: 8, match: ['a'], external: { type: 'sts', domain: 'a.b', strings: ['version: STSv1'], patterns: ['*.a', 'b'], failure: 'validation-failure' } }],
    ['dane policy_type=no-policy-found', { level: 5, external: { type: 'no-policy-found', domain: '', strings: [], patterns: [], failure: '' } }],
  ] as const) test(text, () => assert.deepEqual(parsePolicy(text), { entry: want, warnings: [] }));

  for (const [text, want] of [
    ['', 'invalid empty policy'], ['strict', 'invalid security level "strict"'], ['halfdane', 'invalid security level "halfdane"'], ['may colour=blue', 'invalid attribute name: "colour"'],
    ['may ciphers', 'malformed attribute/value pair "ciphers": missing \'=\' after attribute name'], ['may =x', 'malformed attribute/value pair "=x": missing attribute name'], ['may ciphers=', 'attribute "ciphers" has empty value'],
    ['may ciphers=high ciphers=high', 'attribute "ciphers" is specified multiple times'], ['may protocols=a protocols=b', 'attribute "protocols" is specified multiple times'],
    ['may match=a', 'attribute "match" invalid at security level "may"'], ['dane match=a', 'attribute "match" invalid at security level "dane"'], ['secure match=', 'attribute "match" has empty value'],
    ['encrypt tafile=/x', 'attribute "tafile" invalid at security level "encrypt"'], ['secure tafile=', 'attribute "tafile" has empty value'], ['may servername=-x', '"servername=-x" specifies an invalid hostname'],
    ['may connection_reuse=1', 'attribute "connection_reuse" has bad value: "1"'], ['may policy_ttl=1', 'built-in policy has unexpected attribute policy_ttl, policy_domain, policy_string, mx_host_pattern or policy_failure'],
    ['may policy_type=x', 'attribute "policy_type" has an unexpected value: "x"'], ['may policy_type=sts policy_ttl=x', 'attribute "policy_ttl" has a malformed value: "x"'],
    ['may policy_type=sts policy_failure=x', 'attribute "policy_failure" has an unexpected value: "x"'], ['may policy_type=sts policy_domain=-', 'attribute "policy_domain" has a malformed value: "-"'],
  ] as const) test(`not usable: ${text}`, () => assert.deepEqual(parsePolicy(text), { entry: undefined, warnings: [want] }));

  test('attributes without TLS', () => assert.deepEqual(parsePolicy('none ciphers=high x'), { entry: { level: 0 }, warnings: ['ignoring attribute "ciphers=high" with TLS disabled', 'ignoring attribute "x" with TLS disabled'] }));
});

const table = (title: string, entries: Readonly<Record<string, string>>): Maps => ({
  title, isEmpty: Object.keys(entries).length === 0,
  find: (key: string) => {
    if (entries[key] === 'TROUBLE') throw new TableTrouble(title, 'out of reach');
    return entries[key];
  },
}) as unknown as Maps;

const none: Dns = { lookup: () => ({ status: 'not-found', records: [], reason: '', rcode: 'NXDOMAIN', secure: false, ttl: 0 }) };
const target = (destination: string, host = 'mx.example.org') => ({ destination, host, canonical: host, secure: false, port: 25, mx: undefined });

async function policyOf(destination: string, { text = '', policies = {}, sites = {}, optional = false }: { text?: string; policies?: Record<string, string>; sites?: Record<string, string>; optional?: boolean }, warnings: string[] = []): Promise<PolicyAnswer> {
  const made = new TlsPolicies({
    settings: main(text), dns: none, asksDns: true, vouched: () => undefined, info: undefined, note: () => {}, warn: (warning) => void warnings.push(warning),
    policies: table('smtp_tls_policy_maps', policies), sites: table('smtp_tls_per_site', sites),
  });
  return made.of(target(destination), optional);
}
const levelIn = (answer: PolicyAnswer): string => ('why' in answer ? answer.why.reason : levelName(answer.level));
const bad = 'client TLS configuration problem';

describe('which policy holds', () => {
  const policies = { 'example.org': 'encrypt', '.example.org': 'secure', '[mx.example.org]:587': 'verify', '[192.0.2.1]': 'fingerprint match=00:11', 'bad.test': 'strict', 'off.test': 'TROUBLE', '.net': 'may' };
  for (const [destination, want] of [
    ['example.org', 'encrypt'], ['a.example.org', 'secure'], ['a.b.example.org', 'secure'], ['[mx.example.org]:587', 'verify'], ['[mx.example.org]', 'none'], ['[192.0.2.1]', 'fingerprint'],
    ['example.org:587', 'none'], ['bad.test', bad], ['off.test', bad], ['x.off.test', 'none'], ['x.net', 'may'], ['net', 'none'],
  ] as const) test(`smtp_tls_policy_maps: ${destination}`, async () => assert.equal(levelIn(await policyOf(destination, { policies })), want));

  for (const [global, site, host, want] of [
    ['none', 'MAY', undefined, 'may'], ['none', 'NONE', 'MAY', 'none'], ['encrypt', 'MAY', undefined, 'encrypt'], ['verify', 'NONE', undefined, 'none'], ['may', 'NONE', 'MUST', 'verify'],
    ['verify', 'MUST_NOPEERMATCH', undefined, 'encrypt'], ['none', 'MUST_NOPEERMATCH', 'MUST', 'verify'], ['encrypt', 'NONE', 'MAY', 'none'], ['may', undefined, undefined, 'may'], ['may', 'often', undefined, bad], ['may', 'TROUBLE', undefined, 'Temporary lookup error'],
  ] as const) {
    test(`smtp_tls_per_site: ${site} for the destination and ${host} for the host over ${global}`, async () => {
      const sites = { x: 'y', ...(site === undefined ? {} : { 'example.org': site }), ...(host === undefined ? {} : { 'mx.example.org': host }) };
      assert.equal(levelIn(await policyOf('example.org', { text: `smtp_tls_security_level = ${global}\n`, sites })), want);
    });
  }

  for (const [text, want] of [
    ['smtp_tls_security_level =\nsmtp_use_tls = yes\n', 'may'], ['smtp_tls_security_level =\nsmtp_enforce_tls = yes\n', 'verify'], ['smtp_tls_security_level =\nsmtp_enforce_tls = yes\nsmtp_tls_enforce_peername = no\n', 'encrypt'],
    ['smtp_tls_security_level =\n', 'none'], ['smtp_tls_security_level = may\nsmtp_enforce_tls = yes\n', 'may'], ['smtp_tls_security_level = fingerprint\n', bad], ['smtp_tls_security_level = may\nsmtp_tls_servername = -x\n', bad],
  ] as const) test(`main.cf: ${text.replaceAll('\n', '; ')}`, async () => assert.equal(levelIn(await policyOf('example.org', { text })), want));

  test('TLS-Required: no goes by no table', async () => {
    for (const [text, want] of [['none', 'none'], ['may', 'may'], ['secure', 'may'], ['dane-only', 'may'], ['secure\nsmtp_tls_wrappermode = yes', 'encrypt']] as const)
      assert.equal(levelIn(await policyOf('example.org', { text: `smtp_tls_security_level = ${text}\n`, policies: { 'example.org': 'TROUBLE' }, optional: true })), want);
  });

  test('what main.cf and the entry say of protocols, ciphers and names', async () => {
    const text = 'smtp_tls_protocols = A\nsmtp_tls_mandatory_protocols = B\nsmtp_tls_ciphers = medium\nsmtp_tls_mandatory_ciphers = high\nsmtp_tls_exclude_ciphers = C\nsmtp_tls_mandatory_exclude_ciphers = D\nsmtp_tls_secure_cert_match = nexthop:x, y\n';
    const shown = async (entry: string): Promise<unknown[]> => {
      const { protocols, grade, exclusions, match } = await policyOf('a.test', { text, policies: { 'a.test': entry } }) as TlsPolicy;
      return [protocols, grade, exclusions, match];
    };
    assert.deepEqual(await shown('may'), ['A', 'medium', ['C'], []]);
    assert.deepEqual(await shown('encrypt'), ['B', 'high', ['C', 'D', 'eNULL'], []]);
    assert.deepEqual(await shown('secure'), ['B', 'high', ['C', 'D', 'aNULL'], ['nexthop', 'x', 'y']]);
    assert.deepEqual(await shown('secure exclude=E ciphers=medium protocols=F match=z'), ['F', 'medium', ['E', 'aNULL'], ['z']]);
    assert.deepEqual(await shown('secure match=z policy_type=sts mx_host_pattern=*.a'), ['B', 'high', ['C', 'D', 'aNULL'], ['hostname']]);
  });

  test('hosts that an MTA-STS policy names', async () => {
    const policy = await policyOf('a.test', { policies: { 'a.test': 'secure match=z policy_type=sts mx_host_pattern=*.a.test mx_host_pattern=mx.b.test' } }) as TlsPolicy;
    for (const [host, want] of [['mx.a.test', true], ['MX.B.test', true], ['a.test', false], ['x.mx.a.test', false], ['.a.test', false], ['evil.test', false]] as const) assert.equal(authorizesHost(policy, host, true), want, host);
    assert.equal(authorizesHost(policy, 'evil.test', false), true);
  });
});

describe('DANE for a host', () => {
  const tlsa = { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, 1) };
  const answer = (records: readonly DnsRecord[], secure: boolean): DnsAnswer => ({ status: 'ok', records, reason: '', rcode: 'NOERROR', secure, ttl: 60 });
  const record = (name: string, data = tlsa): DnsRecord => ({ type: 'TLSA', name, ttl: 60, data: '', preference: 0, weight: 0, port: 0, tlsa: data });
  const answers: Readonly<Record<string, DnsAnswer>> = {
    '_25._tcp.mx.test TLSA': answer([record('_25._tcp.mx.test')], true), '_25._tcp.forged.test TLSA': answer([record('_25._tcp.forged.test')], false),
    '_25._tcp.useless.test TLSA': answer([record('_25._tcp.useless.test', { ...tlsa, usage: 1 })], true),
    '_25._tcp.broken.test TLSA': { status: 'retry', records: [], reason: 'no answer', rcode: 'SERVFAIL', secure: false, ttl: 0 },
    'alias.test CNAME': answer([], true),
    '_25._tcp.alias.test TLSA': answer([record('_25._tcp.alias.test')], true),
  };
  const dns: Dns = { lookup: (name: string, type: RecordType) => answers[`${name} ${type}`] ?? none.lookup(name, type) };
  const secureMx = { name: 'example.test', canonical: 'example.test', secure: true };
  const host = (name: string, more: Partial<DaneTarget> = {}): DaneTarget => ({ destination: 'example.test', host: name, canonical: name, secure: true, port: 25, mx: secureMx, ...more });
  const dnssec = 'smtp_dns_support_level = dnssec\n';

  for (const [name, text, chosen, at, want] of [
    ['records', dnssec, 'dane', host('mx.test'), 'dane mx.test example.test'], ['records, dane-only', dnssec, 'daneOnly', host('mx.test'), 'dane-only mx.test example.test'],
    ['no MX', dnssec, 'dane', host('mx.test', { mx: undefined }), 'dane mx.test'], ['an MX that is an alias', dnssec, 'dane', host('mx.test', { mx: { ...secureMx, canonical: 'real.test' } }), 'dane mx.test real.test example.test'],
    ['an MX nobody vouches for', dnssec, 'dane', host('mx.test', { mx: { ...secureMx, secure: false } }), 'halfdane mx.test example.test'],
    ['the same, dane-only', dnssec, 'daneOnly', host('mx.test', { mx: { ...secureMx, secure: false } }), 'non DNSSEC destination'],
    ['the same, encrypt', `${dnssec}smtp_tls_dane_insecure_mx_policy = encrypt\n`, 'dane', host('mx.test', { mx: { ...secureMx, secure: false } }), 'encrypt'],
    ['the same, may', `${dnssec}smtp_tls_dane_insecure_mx_policy = may\n`, 'dane', host('mx.test', { mx: { ...secureMx, secure: false } }), 'may'],
    ['no records', dnssec, 'dane', host('other.test'), 'may'], ['no records, dane-only', dnssec, 'daneOnly', host('other.test'), 'no TLSA records found'],
    ['records nobody vouches for', dnssec, 'dane', host('forged.test'), 'may'], ['records nobody vouches for, dane-only', dnssec, 'daneOnly', host('forged.test'), 'no TLSA records found'],
    ['records of no use', dnssec, 'dane', host('useless.test'), 'encrypt'], ['records of no use, dane-only', dnssec, 'daneOnly', host('useless.test'), 'TLSA records unusable'],
    ['nobody knows', dnssec, 'dane', host('broken.test'), 'TLSA lookup error for broken.test:25'], ['nobody knows, dane-only', dnssec, 'daneOnly', host('broken.test'), 'TLSA lookup error for broken.test:25'],
    ['an address nobody vouches for', dnssec, 'dane', host('mx.test', { secure: false }), 'may'], ['the same, asked nevertheless', `${dnssec}smtp_tls_force_insecure_host_tlsa_lookup = yes\n`, 'dane', host('mx.test', { secure: false }), 'dane mx.test example.test'],
    ['an alias to where nobody vouches', dnssec, 'dane', host('alias.test', { canonical: 'far.test', secure: false }), 'dane alias.test example.test'],
    ['no DNSSEC', '', 'dane', host('mx.test'), 'may'], ['no DNSSEC, dane-only', '', 'daneOnly', host('mx.test'), bad],
    ['MX errors passed over', `${dnssec}ignore_mx_lookup_error = yes\n`, 'daneOnly', host('mx.test'), bad], ['a socket', dnssec, 'dane', host('mx.test', { port: 0 }), bad],
  ] as const) {
    test(name, async () => {
      const found = await withDane(level[chosen], at, { settings: main(text), dns, asksDns: true, vouched: () => undefined, warn: () => {}, info: undefined });
      assert.equal('why' in found ? found.why.reason : [levelName(found.level), ...found.match].join(' '), want);
      if (!('why' in found)) assert.equal(found.records.length > 0, found.match.length > 0);
    });
  }
});
