import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { chainOfFiles, chainsInOrder, ChainTrouble } from './tls-chains.ts';

const pem = readFileSync(new URL('../../test/dialogues/tls.pem', import.meta.url), 'latin1');
const at = pem.indexOf('-----BEGIN CERTIFICATE');
const [key, certificate] = [pem.slice(0, at), pem.slice(at)];
const otherKey = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const kind = { name: 'ECDSA', bits: 0, curve: 'prime256v1' };

function linesOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ChainTrouble, String(error));
    return error.lines;
  }
  return [];
}

for (const [title, text, want] of [
  ['a key and its certificate', key + certificate, 1],
  ['words between', `some words\n${key}more words\n${certificate}`, 1],
  ['two of them', key + certificate + key + certificate, 2],
  ['an issuer behind it', key + certificate + certificate, 1],
] as const) {
  test(`chains in order: ${title}`, () => {
    const chains = chainsInOrder([{ name: 'a', text }], 'a', 'disabling TLS support');
    assert.deepEqual(chains.map((chain) => chain.kind), Array.from({ length: want }, () => kind));
  });
}

test('chains in order: a key in one file, its certificate in the next', () => {
  assert.equal(chainsInOrder([{ name: 'a', text: key }, { name: 'b', text: certificate }], 'a, b', 'x').length, 1);
});

for (const [title, text, want] of [
  ['nothing', '', 'No PEM data in a'],
  ['cut off', pem.slice(0, -60), 'TLS library problem: error:0480006D:PEM routines::no end line in a:'],
  ['no certificate', key, 'No certs for key at index 1 in a'],
  ['the certificate first', certificate + key, 'error loading chain from a: key not first'],
  ['two keys in a row', key + otherKey + certificate, 'error loading certificate chain: key at index 1 in a not followed by a certificate'],
  ['the key of another', otherKey + certificate, 'key at index 1 in a does not match next certificate'],
  ['no certificate inside', `${key}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, /^error loading certificate /],
  ['no key inside', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', /^error loading private key /],
] as const) {
  test(`no chains: ${title}`, () => {
    const lines = linesOf(() => chainsInOrder([{ name: 'a', text }], 'a', 'disabling TLS support'));
    if (typeof want === 'string') assert.equal(lines[0], want);
    else assert.match(lines[0]!, want);
    assert.equal(lines.at(-1), 'error loading private keys and certificates from: a: disabling TLS support');
  });
}

test('single files: the key anywhere in the same file, or in another', () => {
  for (const [first, second] of [[pem, pem], [certificate + key, certificate + key], [certificate, key]] as const)
    assert.deepEqual(chainOfFiles('ECDSA', { name: 'c', text: first }, { name: 'k', text: second }).kind, kind);
});

for (const [title, first, second, want] of [
  ['no certificate', key, key, 'cannot get RSA certificate from file "c": disabling TLS support'],
  ['no key', certificate, certificate, 'cannot get RSA private key from file "k": disabling TLS support'],
  ['not of each other', certificate, otherKey, 'RSA private key in k does not match public key in c: disabling TLS support'],
] as const) {
  test(`single files: ${title}`, () => assert.deepEqual(linesOf(() => chainOfFiles('RSA', { name: 'c', text: first }, { name: 'k', text: second })), [want]));
}
