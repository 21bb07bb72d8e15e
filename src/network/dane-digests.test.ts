import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { daneDigests, standardDigests } from './dane-digests.ts';

/** The numbers that count, the most preferred first, and what was said about the rest. */
function read(text: string): readonly [types: string, said: readonly string[]] {
  const said: string[] = [];
  const digests = daneDigests(text, (line) => said.push(line));
  return [[...digests].toSorted(([, one], [, other]) => other.rank - one.rank).map(([type, { name, size }]) => `${type}=${name}/${size}`).join(' '), said];
}

const unclear = (name: string): string => `tls_dane_digests: digest algorithm ${name} needs an explicit number`;

describe('tls_dane_digests', () => {
  for (const [text, types, ...said] of [
    ['sha512 sha256', '2=sha512/64 1=sha256/32'],
    ['sha256,sha512', '1=sha256/32 2=sha512/64'],
    ['SHA256', '1=SHA256/32'],
    ['sha256=1 sha512=2 sha384=7', '1=sha256/32 2=sha512/64 7=sha384/48'],
    ['sha384=+3 sha256', '3=sha384/48 1=sha256/32'],
    ['sha256=', '1=sha256/32'],
    ['sha384 sha256', '1=sha256/32', unclear('sha384')],
    ['sha384=1', '', 'tls_dane_digests: matching type 1 can only be sha256'],
    ['sha256=2', '', 'tls_dane_digests: matching type 2 can only be sha512'],
    ['sha256 sha256=1', '1=sha256/32', 'tls_dane_digests: matching type 1 specified more than once'],
    ['sha512 sha256 =2', '1=sha256/32'],
    ['= sha256', '1=sha256/32'],
    ['sha512 =2 sha512', '', 'tls_dane_digests: matching type 2 specified more than once'],
    ['sha384=0', '', 'Reserved matching type number in tls_dane_digests: sha384=0'],
    ['sha384=255', '', 'Invalid matching type number in tls_dane_digests: sha384=255'],
    ['sha384=7x', '', 'Invalid matching type number in tls_dane_digests: sha384=7x'],
    ['sha384=-1', '', 'Invalid matching type number in tls_dane_digests: sha384=-1'],
    ['nosuch=9 sha256', '1=sha256/32', 'tls_dane_digests: digest algorithm "nosuch"(9) unknown'],
  ] as const) test(text, () => assert.deepEqual(read(text), [types, said]));

  test('the default is what counts where nothing is said', () => {
    const all = (digests: typeof standardDigests) => [...digests].toSorted(([, one], [, other]) => other.rank - one.rank).map(([type, { name, size }]) => [type, name, size]);
    assert.deepEqual(all(standardDigests), all(daneDigests('sha512 sha256', () => assert.fail())));
  });
});
