import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { groupName, tlsSummary } from '../../network/tls-summary.ts';
import { level, levelName, levelOf } from '../../network/tls-levels.ts';
import { logs } from './levels.ts';
import { parseFinger, UsageError, type FingerOptions } from './options.ts';
import { readTrace } from './trace.ts';
import { matchLines, namesOf, oneLineName, partOf } from '../../network/tls-verdict.ts';

const said: string[] = [];
const voice = { warning: (text: string) => said.push(text), fatal: (text: string): never => { throw new Error(text); } };
const parse = (...words: readonly string[]): FingerOptions => parseFinger(words, voice);

describe('options', () => {
  test('what is to be matched, by level', () => {
    for (const [words, want] of [
      [['x'], ['nexthop', 'dot-nexthop']], [['-l', 'verify', 'x'], ['hostname']], [['-l', 'secure', 'x', 'a', 'b'], ['a', 'b']], [['-l', 'fingerprint', 'x'], []], [['-l', 'may', 'x', 'a'], []],
    ] as const) assert.deepEqual(parse(...words).match, want);
    assert.deepEqual(said, ["TLS level 'may' does not implement certificate matching"]);
  });

  test('log options', () => {
    for (const [text, want] of [['0', 0], ['routine,certmatch', logs.summary | logs.certmatch], ['2', logs.summary | logs.verbose | logs.cache | logs.debug], ['Cache Trace', logs.cache | logs.trace]] as const)
      assert.equal(parse('-L', text, 'x').log, want);
  });

  test('files, and settings of main.cf', () => {
    assert.deepEqual(parse('-H', 'a, b', '-H', 'c', 'x').chainFiles, ['a', 'b', 'c']);
    assert.deepEqual([parse('-k', 'a', 'x').key, parse('-K', 'a', 'x').certificate, parse('-k', 'a', '-K', 'b', 'x').certificate], ['a', 'a', 'a']);
    assert.deepEqual(parse('-o', 'myhostname = a b', '-o', 'x=', 'x').overrides, [['myhostname', 'a b'], ['x', '']]);
  });

  test('what makes no sense', () => {
    for (const [words, want] of [
      [['-l', 'halfdane', 'x'], 'Invalid TLS level "halfdane"'], [['-M', 'secure', 'x'], "bad '-M' option value: secure"], [['-X', '-r', '1', 'x'], 'The -X and -r options are mutually exclusive'],
      [['-w', '-l', 'none', 'x'], 'SSL wrapper mode requires that TLS not be disabled'], [['-h', 'nis', 'x'], 'unknown -h option value "nis" in "nis"'],
      [['-H', 'a', '-K', 'b', 'x'], "When the '-H' option is used, neither the '-k', nor the '-K' options may be used"],
    ] as const) assert.throws(() => parse(...words), { message: want });
    for (const words of [[], ['-Z', 'x'], ['-o', 'x', 'x'], ['-o', '=x', 'x']]) assert.throws(() => parse(...words), UsageError);
  });
});

test('levels by name', () => {
  for (const name of ['none', 'may', 'encrypt', 'fingerprint', 'dane', 'dane-only', 'verify', 'secure']) assert.equal(levelName(levelOf(name)!), name);
  assert.deepEqual([levelOf('halfdane'), levelOf('x'), levelOf('DANE')], [undefined, undefined, level.dane]);
});

test('names to match', () => {
  const names = (...match: readonly string[]): string[] => namesOf({ match, nexthop: 'next.test', hostname: 'host.test' });
  assert.deepEqual(names('nexthop', 'Dot-Nexthop', 'hostname', '.x', 'y', '.', ''), ['next.test', '.next.test', 'host.test', '.x', 'y']);
});

test('names of certificates', () => {
  const name = 'C=DE\nO=A\\, B\nCN=K\u00f6ln\nCN=last';
  assert.equal(oneLineName(name), '/C=DE/O=A, B/CN=K\xc3\xb6ln/CN=last');
  assert.deepEqual([partOf(name, 'O'), partOf(name, 'CN'), partOf(name, 'OU')], ['A, B', 'last', undefined]);
});

test('what matched', () => {
  const record = { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('00ff', 'hex') };
  const dane = (depth: number, byKey = false) => ({ trusted: true, matched: true, error: undefined, name: 'a.test', dane: { matched: true as const, record, depth, byKey, name: 'a.test' } });
  assert.deepEqual(matchLines(dane(0), level.dane), ['matched peername: a.test', 'Matched DANE EE certificate at depth 0: 3 1 1 00FF']);
  assert.deepEqual(matchLines(dane(2), level.dane)[1], 'Matched DANE TA certificate at depth 2: 3 1 1 00FF');
  assert.deepEqual(matchLines(dane(1, true), level.dane)[1], 'Matched DANE TA public key verified certificate at depth 1: 3 1 1 00FF');
  assert.deepEqual(matchLines(dane(1), level.secure)[1], 'Matched trust anchor at depth 1');
  assert.deepEqual(matchLines(dane(0), level.fingerprint)[1], 'Matched fingerprint: 00FF');
});

test('the summary of a session', () => {
  const facts = { trust: 'Verified', usage: 'established', peer: 'a[192.0.2.1]:25', protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' } as const;
  const start = 'Verified TLS connection established to a[192.0.2.1]:25: TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits)';
  for (const [more, want] of [
    [{}, ''], [{ keyExchange: 'x25519' }, ' key-exchange x25519'], [{ server: { name: 'RSA-PSS', bits: 2048, digest: 'SHA256' } }, ' server-signature RSA-PSS (2048 bits) server-digest SHA256'],
    [{ server: { name: 'ED25519' }, client: { name: 'ECDSA', curve: 'prime256v1', digest: 'SHA256' } }, ' server-signature ED25519 client-signature ECDSA (prime256v1) client-digest SHA256'],
  ] as const) assert.equal(tlsSummary({ ...facts, ...more }), start + want);
});

test('key exchange groups', () => {
  for (const [protocol, key, want] of [
    ['TLSv1.3', { type: 'ECDH', name: 'X25519', size: 253 }, 'x25519'], ['TLSv1.3', { type: 'ECDH', name: 'prime256v1', size: 256 }, 'secp256r1'], ['TLSv1.2', { type: 'ECDH', name: 'X25519', size: 253 }, undefined],
    ['TLSv1.3', { type: 'TLSGroup', name: 'X25519MLKEM768' }, 'X25519MLKEM768'], ['TLSv1.3', { type: 'DH', size: 2048 }, 'ffdhe2048'], ['TLSv1.3', {}, undefined], ['TLSv1.3', null, undefined],
  ] as const) assert.equal(groupName(protocol, key), want);
});

test('a trace', () => {
  const verify = (scheme: string): string => `    CertificateVerify, Length=260\n      Signature Algorithm: ${scheme} (0x0804)\n`;
  const text = `Sent TLS Record\nHeader:\n${verify('ecdsa_secp256r1_sha256')}\nReceived TLS Record\nHeader:\n${verify('rsa_pss_rsae_sha256')}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`;
  assert.deepEqual(readTrace(text), { chain: [], serverScheme: 'rsa_pss_rsae_sha256', clientScheme: 'ecdsa_secp256r1_sha256' });
  assert.deepEqual(readTrace(''), { chain: [], serverScheme: undefined, clientScheme: undefined });
});
