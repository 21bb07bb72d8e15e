import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddresses } from './address-tokens.ts';
import { charsetTrouble, encodeWords, fromText, fullNameText } from './full-name.ts';
import { addressHeader, foldHeader, headerClass, headerLines, headerNameLength, headerNames, headerText, splitHeader, unfoldHeader } from './header.ts';
import { commentText, messageId, receivedFromClient, receivedFromOurselves, receivedFromUser } from './received.ts';

for (const [line, want] of [
  ['Subject: x', 7], ['Subject : x', 7], ['a:', 1], ['Subject', 0], [' a: x', 0], [': x', 0], ['a b: x', 0], ['a\x01:', 0], ['\xe9: x', 0], ['', 0], ['a\x7f: x', 0],
] as const) {
  test(`${JSON.stringify(line)} ${want ? `begins a field of ${want} letters` : 'begins no field'}`, () => {
    assert.equal(headerNameLength(line), want);
  });
}

test('fields are taken apart', () => {
  assert.deepEqual(splitHeader('To : a,\n b '), { name: 'To', body: ' a,\n b ' });
  assert.equal(splitHeader('no field'), undefined);
  assert.equal(unfoldHeader('a\n b\r\n\tc'), 'a b\tc');
  assert.equal(headerText(' a\n b \n'), 'a b');
});

test('classes of headers', () => {
  assert.deepEqual(headerClass('RESENT-bcc'), { name: 'Resent-Bcc', key: 'resent-bcc', sender: false, recipient: true, extract: true, resent: true, mime: false });
  assert.deepEqual(headerClass('reply-to'), { name: 'Reply-To', key: 'reply-to', sender: true, recipient: false, extract: false, resent: false, mime: false });
  assert.equal(headerClass('subject'), undefined);
  assert.deepEqual([...headerNames('bcc, Content-Length')], ['bcc', 'content-length']);
});

const addresses = ['one@example.org', 'two two <two@example.org>', 'three@example.org', 'four@example.net'].join(', ');

test('address headers fill lines of 70 columns', () => {
  const header = addressHeader('To', parseAddresses(addresses));
  assert.equal(header, 'To: one@example.org,\ntwo two <two@example.org>,\nthree@example.org,\nfour@example.net');
  assert.equal(foldHeader(header), 'To: one@example.org, two two <two@example.org>, three@example.org,\nfour@example.net');
  assert.deepEqual(headerLines(foldHeader(header)), ['To: one@example.org, two two <two@example.org>, three@example.org,', '\tfour@example.net']);
});

for (const [name, first, second, want] of [
  ['69 columns fit', 34, 34, 1], ['70 columns do not', 34, 35, 2],
] as const) {
  test(`folding: ${name}`, () => assert.equal(foldHeader(`${'a'.repeat(first)}\n${'b'.repeat(second)}`).split('\n').length, want));
}

for (const [name, field, limit, want] of [
  ['no limit', 'a: b\n c\nd', undefined, ['a: b', ' c', '\td']],
  ['a cut within a line', 'a: bcdefgh\n ijklmn', 14, ['a: bcdefgh', ' ij']],
  ['a cut at the end of a line', 'a: bcdefghi\n ijklmn', 12, ['a: bcdefghi']],
  ['a long first line', 'a: bcdefgh', 5, ['a: bc']],
] as const) {
  test(`lines of a field: ${name}`, () => assert.deepEqual(headerLines(field, limit), want));
}

const by = { hostname: 'mx.example.org', mailName: 'Postfix', queueId: '4F1', date: 'Sat, 21 Nov 2026 02:43:48 +0000 (UTC)' };
const client = { ...by, helo: 'c.example', clientName: 'unknown', clientAddress: 'IPv6:::1', protocol: 'ESMTP' };

test('Received: from a client, with one recipient', () => {
  assert.deepEqual(receivedFromClient({ ...client, recipient: 'joe smith@example.org' }), [
    'Received: from c.example (unknown [IPv6:::1])', '\tby mx.example.org (Postfix) with ESMTP id 4F1', '\tfor <"joe smith"@example.org>; Sat, 21 Nov 2026 02:43:48 +0000 (UTC)',
  ]);
});

test('Received: from an encrypted, authenticated client, with several recipients', () => {
  const tls = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', usedBits: 256, cipherBits: 256, details: ['key-exchange X25519'], client: { kind: 'none', requested: false } } as const;
  assert.deepEqual(receivedFromClient({ ...client, tls, encrypted: true, authenticated: true, authenticatedName: 'joe)' }), [
    'Received: from c.example (unknown [IPv6:::1])',
    '\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)', '\t key-exchange X25519)', '\t(No client certificate requested)',
    '\t(Authenticated sender: joe?)',
    '\tby mx.example.org (Postfix) with ESMTPSA id 4F1;', '\tSat, 21 Nov 2026 02:43:48 +0000 (UTC)',
  ]);
});

test('Received: with a client certificate, and with the client hidden', () => {
  const tls = { protocol: 'TLSv1.2', cipher: 'X', usedBits: 128, cipherBits: 128, client: { kind: 'certificate', commonName: 'c (x', issuer: 'CA', trusted: true } } as const;
  assert.deepEqual(receivedFromClient({ ...client, tls, encrypted: true, protocol: 'UTF8SMTP' }).slice(1, 4), [
    '\t(using TLSv1.2 with cipher X (128/128 bits))', '\t(Client CN "c (x)", Issuer "CA" (verified OK))', '\tby mx.example.org (Postfix) with UTF8SMTPS id 4F1;',
  ]);
  assert.deepEqual(receivedFromClient({ ...client, hideClient: true }), ['Received: by mx.example.org (Postfix) id 4F1;', '\tSat, 21 Nov 2026 02:43:48 +0000 (UTC)']);
});

test('Received: from users and from ourselves', () => {
  assert.deepEqual(receivedFromUser(by, 1000), ['Received: by mx.example.org (Postfix, from userid 1000)', '\tid 4F1; Sat, 21 Nov 2026 02:43:48 +0000 (UTC)']);
  assert.deepEqual(receivedFromOurselves(by), ['Received: by mx.example.org (Postfix)', '\tid 4F1; Sat, 21 Nov 2026 02:43:48 +0000 (UTC)']);
});

test('comments and message ids', () => {
  assert.equal(commentText('a(b\\)\xe9)'), 'a(b?)??');
  assert.equal(messageId('4F1', 'mx.example.org', 1795229028), '<20261121024348.4F1@mx.example.org>');
  assert.equal(messageId('4gXyZ', 'mx.example.org', 0, true), '<4gXyZ@mx.example.org>');
});

for (const [name, format, want] of [
  ['Joe Smith', 'standard', 'Joe Smith\n<joe@x>'], ['Joe  \x01 Q. Smith ', 'standard', '"Joe Q. Smith"\n<joe@x>'], ['Joe (x', 'obsolete', 'joe@x\n(Joe (x))'], [' \t', 'standard', 'joe@x'], [undefined, 'standard', 'joe@x'],
  ['Ren\xc3\xa9', 'standard', '=?utf-8?Q?Ren=C3=A9?=\n<joe@x>'], ['Ren\xc3\xa9 (x)', 'obsolete', 'joe@x\n(=?utf-8?Q?Ren=C3=A9_=28x=29?=)'],
] as const) {
  test(`From: with the ${format} name ${JSON.stringify(name)}`, () => assert.equal(fromText('joe@x', name, { format }), want));
}

test('encoded words keep to 75 characters', () => {
  const text = Buffer.from('\u00e9a'.repeat(60), 'utf8').toString('latin1');
  const quoted = encodeWords('ab'.repeat(60) + '\xe9', 'iso-8859-1', 'phrase')!.split(' ');
  const coded = encodeWords(text, 'utf-8', 'comment')!.split(' ');
  for (const word of [...quoted, ...coded]) assert.ok(word.length <= 75);
  assert.equal(Buffer.concat(coded.map((word) => Buffer.from(word.slice(10, -2), 'base64'))).toString('latin1'), text);
  assert.equal(quoted.map((word) => word.slice(15, -2)).join(''), `${'ab'.repeat(60)}=E9`);
  assert.equal(encodeWords('x', 'bad charset', 'phrase'), undefined);
  assert.equal(fullNameText('\\', { format: 'obsolete' }), undefined);
});

test('names of charsets', () => {
  assert.equal(charsetTrouble('utf-8'), undefined);
  assert.equal(charsetTrouble(''), 'encoder called with empty charset name');
  assert.equal(charsetTrouble('x'.repeat(38)), `unreasonable charset name: '${'x'.repeat(38)}'`);
  assert.equal(charsetTrouble('utf 8'), "invalid character: 0x20 in charset name: 'utf 8'");
});
