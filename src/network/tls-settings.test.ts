import assert from 'node:assert/strict';
import { constants } from 'node:crypto';
import test from 'node:test';
import { cipherBits, cipherList } from './tls-ciphers.ts';
import { sessionGroup, serverSignature } from './tls-facts.ts';
import { libraryProblems, logMask, silent, summaryLine } from './tls-log.ts';
import { groupList, libraryOptions, protocolRange } from './tls-protocols.ts';
import { TicketKeys, type TicketKey } from './tls-tickets.ts';

const { SSL_OP_NO_TLSv1: no10, SSL_OP_NO_TLSv1_1: no11, SSL_OP_NO_TLSv1_3: no13, SSL_OP_NO_SSLv3: no3 } = constants;

for (const [list, want] of [
  ['', ['TLSv1', 'TLSv1.3', 0]],
  ['>=TLSv1', ['TLSv1', 'TLSv1.3', 0]],
  ['>=TLSv1.2', ['TLSv1.2', 'TLSv1.3', 0]],
  ['>=tlsv1.2, <=0303', ['TLSv1.2', 'TLSv1.2', 0]],
  ['>=0x0302 <=TLSv1.3', ['TLSv1.1', 'TLSv1.3', 0]],
  ['!SSLv2, !SSLv3', ['TLSv1', 'TLSv1.3', no3]],
  ['!SSLv2:!SSLv3:!TLSv1:!TLSv1.1', ['TLSv1', 'TLSv1.3', no3 | no10 | no11]],
  ['TLSv1.2', ['TLSv1', 'TLSv1.3', no3 | no10 | no11 | no13]],
  ['>=SSLv3', ['TLSv1', 'TLSv1.3', 0]],
  ['TLSv9', undefined],
  ['>=TLS', undefined],
  ['<=', undefined],
] as const) {
  test(`protocols: "${list}"`, () => {
    const range = protocolRange(list);
    assert.deepEqual(range && [range.minVersion, range.maxVersion, range.excluded], want);
  });
}

test('options: work-arounds stay but for those that are named, unknown words are told', () => {
  const warnings: string[] = [];
  const warn = (text: string): void => void warnings.push(text);
  const usual = libraryOptions('', '', warn);
  assert.equal((usual & constants.SSL_OP_NO_RENEGOTIATION) >>> 0, constants.SSL_OP_NO_RENEGOTIATION);
  assert.equal(usual & constants.SSL_OP_NO_TICKET, 0);
  assert.notEqual(libraryOptions('no_ticket', '', warn) & constants.SSL_OP_NO_TICKET, 0);
  assert.notEqual(libraryOptions('0x4000', '', warn) & constants.SSL_OP_NO_TICKET, 0);
  assert.equal(libraryOptions('', 'DONT_INSERT_EMPTY_FRAGMENTS', warn) & constants.SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS, 0);
  assert.deepEqual(warnings, []);
  libraryOptions('NO_SUCH', '', warn);
  assert.deepEqual(warnings, ['unknown tls_ssl_options value "NO_SUCH" in "NO_SUCH"']);
});

test('groups: what the library does not know is left out, once is enough', () => {
  const isKnown = (name: string): boolean => name !== 'bogus';
  assert.equal(groupList(['X25519 bogus, X448', 'ffdhe2048:X25519 '], isKnown), 'X25519:X448:ffdhe2048');
  assert.equal(groupList(['bogus', ''], isKnown), 'auto');
});

const lists = { high: 'HIGH', medium: 'MEDIUM', none: 'eNULL' };
for (const [grade, exclusions, want] of [
  ['medium', [], { list: 'MEDIUM' }],
  ['HIGH', ['aNULL, MD5', ''], { list: 'HIGH:!aNULL:!MD5' }],
  ['export', [], { list: 'MEDIUM' }],
  ['null', ['aNULL'], { list: 'eNULL:!aNULL' }],
  ['strong', [], { trouble: 'invalid cipher grade: "strong"' }],
  ['high', ['!MD5'], { trouble: "invalid unary '!+-@' in cipher exclusion: !MD5" }],
] as const) {
  test(`ciphers: ${grade} without ${exclusions.join()}`, () => assert.deepEqual(cipherList({ grade, exclusions, securityLevel: 0 }, lists), want));
}

for (const [name, used, algorithm] of [
  ['TLS_AES_256_GCM_SHA384', 256, 256], ['TLS_CHACHA20_POLY1305_SHA256', 256, 256], ['TLS_AES_128_GCM_SHA256', 128, 128], ['ECDHE-RSA-AES256-SHA', 256, 256],
  ['DES-CBC3-SHA', 112, 168], ['ECDHE-RSA-CAMELLIA128-SHA256', 128, 128], ['AECDH-NULL-SHA', 0, 0], ['ECDHE-ARIA256-GCM-SHA384', 256, 256],
] as const) test(`bits of ${name}`, () => assert.deepEqual(cipherBits(name), { used, algorithm }));

for (const [level, want, unknown] of [
  ['0', [], []], ['none', [], []], ['1', ['summary'], []], ['routine, peercert', ['summary', 'peerCertificate'], []], ['2', ['summary', 'verbose', 'cache', 'debug'], []],
  ['4', ['summary', 'verbose', 'cache', 'debug'], []], ['untrusted', ['untrusted'], []], ['much', [], ['much']],
] as const) {
  test(`log level ${level}`, () => {
    const parsed = logMask(level);
    assert.deepEqual(parsed, { mask: { ...silent, ...Object.fromEntries(want.map((part) => [part, true])) }, unknown: [...unknown] });
  });
}

test('the line of a session', () => {
  const facts = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', usedBits: 256, cipherBits: 256, sni: 'mx.example.org', reused: false, details: ['key-exchange x25519', 'server-signature ED25519'], peer: undefined };
  assert.equal(summaryLine(facts, 'Host.Example[192.0.2.1]'),
    'Anonymous TLS connection established from host.example[192.0.2.1] to mx.example.org: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange x25519 server-signature ED25519');
});

for (const [message, want] of [
  ['403D4847:error:0A0000F4:SSL routines:ssl3_read_bytes:unexpected message:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:855:\n', ['TLS library problem: error:0A0000F4:SSL routines::unexpected message:../ssl/record/rec_layer_s3.c:855:']],
  ['40:error:0A000412:SSL routines:f:bad certificate:../deps/openssl/openssl/ssl/a.c:1:SSL alert number 42\n40:error:0A0000C1:SSL routines:g:no shared cipher:b.c:2:\n',
    ['TLS library problem: error:0A000412:SSL routines::bad certificate:../ssl/a.c:1:SSL alert number 42:', 'TLS library problem: error:0A0000C1:SSL routines::no shared cipher:b.c:2:']],
  ['something else', ['TLS library problem: something else']],
] as const) test(`the library's words: ${message.slice(0, 40)}`, () => assert.deepEqual(libraryProblems(new Error(message)), want));

for (const [title, hex, want] of [
  ['x25519', '300702020304b30302011d', 'x25519'], ['P-384 behind another field', '3008a1010ab303020118', 'secp384r1'], ['none', '300402020304', undefined],
  ['cut off', '3007020203', undefined], ['a number nobody knows', '3006b304020209ff', undefined], ['nothing', '', undefined],
] as const) test(`group of a session: ${title}`, () => assert.equal(sessionGroup(Buffer.from(hex, 'hex')), want));

const rsa = { name: 'RSA-PSS', bits: 2048, curve: '' };
const ec = { name: 'ECDSA', bits: 0, curve: 'prime256v1' };
for (const [shared, keys, want] of [
  [['ECDSA+SHA256', 'RSA-PSS+SHA256'], [rsa, ec], 'server-signature ECDSA (prime256v1) server-digest SHA256'],
  [['ECDSA+SHA384', 'RSA-PSS+SHA512'], [rsa, ec], 'server-signature RSA-PSS (2048 bits) server-digest SHA512'],
  [['Ed25519+UNDEF'], [{ name: 'ED25519', bits: 0, curve: '' }], 'server-signature ED25519'],
  [['RSA+SHA256'], [rsa], undefined], [[], [rsa], undefined],
] as const) test(`signature of ${shared.join()}`, () => assert.equal(serverSignature(shared, keys), want));

const key = (letter: string, expires: number): TicketKey => ({ name: Buffer.alloc(16, letter), bits: Buffer.alloc(32, letter), hmac: Buffer.alloc(32, letter), expires });
test('ticket keys: the newest issues, the one before still opens, what is older is gone', () => {
  const keys = new TicketKeys();
  keys.rotate(key('a', 100));
  keys.rotate(key('b', 200));
  keys.rotate(key('b', 200));
  assert.deepEqual([keys.current?.expires, keys.find(Buffer.alloc(16, 'a'))?.expires], [200, 100]);
  keys.rotate(key('c', 300));
  assert.equal(keys.find(Buffer.alloc(16, 'a')), undefined);
  assert.deepEqual([keys.current?.expires, keys.find(Buffer.alloc(16, 'b'))?.expires], [300, 200]);
});

test('ticket keys: an older key that another process used is taken as the one before', () => {
  const keys = new TicketKeys();
  keys.rotate(key('b', 200));
  keys.rotate(key('a', 100));
  assert.deepEqual([keys.current?.expires, keys.find(Buffer.alloc(16, 'a'))?.expires], [200, 100]);
});
