/** DANE on certificates that openssl(1) made, good until 2126: a root, an authority below it, a server's, a client's, and one by itself. */
import assert from 'node:assert/strict';
import { X509Certificate, createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { daneDigests } from './dane-digests.ts';
import { matchDane, nameIn, spkiOf, tlsaText, usableTlsa, x509Error } from './dane.ts';
import type { TlsaData } from './dns.ts';

const certificate = (base64: string): X509Certificate => new X509Certificate(Buffer.from(base64, 'base64'));

const root = certificate(`
MIIBpTCCAUygAwIBAgIUWC4plDJAthL7s8pWWoeGjSucdy0wCgYIKoZIzj0EAwIwITENMAsGA1UECgwEVGVzdDEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjEx
MjExMDA2MDFaGA8yMTI2MTAyODEwMDYwMVowITENMAsGA1UECgwEVGVzdDEQMA4GA1UEAwwHVGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAkv
kDjGPgPT8WpjWd5FAG6KvCUw7GCQL+1jnE+s4iWBrxOZDVaUAhqSNqRNOdu8vWj8B10uExrd5V2oZC5RCAGjYDBeMB0GA1UdDgQWBBRrRUSEKAISxxK9A/o2
2gETvNuv6jAfBgNVHSMEGDAWgBRrRUSEKAISxxK9A/o22gETvNuv6jAPBgNVHRMBAf8EBTADAQH/MAsGA1UdDwQEAwICBDAKBggqhkjOPQQDAgNHADBEAiBr
1QVPM6zbn4TEkX9ubjB8XJF6cgb+8Zt6WuneVwnhGgIgD+2lbF0kwEe8/u0UVJLEht7TDCgNDJwI+JzBpXUNjMY=`);
const authority = certificate(`
MIIBiDCCAS+gAwIBAgIUd7kxPVqiPBKMWCdCwxIs6NyzErcwCgYIKoZIzj0EAwIwITENMAsGA1UECgwEVGVzdDEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjEx
MjExMDA2MDFaGA8yMTI2MTAyODEwMDYwMVowETEPMA0GA1UEAwwGTWlkZGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmeBgV5euKV9RlRyZGhITkCwW
KPw/n/26O+Gmr+XjkNhVgQWDy9By1x4G6f6SICHmSeRVdGRDfxzFt7Sdn5nn/6NTMFEwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU9JiY6FXzTIpZLW9l
VMYYJRYRGsYwHwYDVR0jBBgwFoAUa0VEhCgCEscSvQP6NtoBE7zbr+owCgYIKoZIzj0EAwIDRwAwRAIgPh/j6yk3CA9vhd4hT5bcHOv9W0FVxoF8d5ndcBHj
qVACIBhe+N8d0jAqf3gSubd+sakIfSxH3VWi4uBKtqS5T/IT`);
const server = certificate(`
MIIBwjCCAWmgAwIBAgIUezyFkc4DQAn8H5ds/gffwQVn6tcwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGTWlkZGxlMCAXDTI2MTEyMTEwMDYwMVoYDzIxMjYx
MDI4MTAwNjAxWjAcMRowGAYDVQQDDBFtYWlsLmV4YW1wbGUudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBn7CXpJpx+3sihul68VCWazjgwYp5vi
64wYwMVRxRizYJQEBXBqesGsXsk9zC98s7rx1FwMdaOxungoXEG/tXajgZEwgY4wNwYDVR0RBDAwLoIRbWFpbC5leGFtcGxlLnRlc3SCEyoud2lsZC5leGFt
cGxlLnRlc3SHBMAAAgEwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFDolX9hNO40hBDcx46n5RGkI0TSBMB8GA1UdIwQYMBaAFPSYmOhV80yKWS1v
ZVTGGCUWERrGMAoGCCqGSM49BAMCA0cAMEQCIFdvh+l+lCUa7QURCna5YQY26guYAKaP/yvJvmCPGVhBAiBddKlo+44BJNgKSvGWomT2Bh79meUqQ9L5JNC+
zvfvEQ==`);
const client = certificate(`
MIIBijCCATCgAwIBAgIUezyFkc4DQAn8H5ds/gffwQVn6tgwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGTWlkZGxlMCAXDTI2MTEyMTEwMDYwMVoYDzIxMjYx
MDI4MTAwNjAxWjAeMRwwGgYDVQQDDBNjbGllbnQuZXhhbXBsZS50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpAyn/eTzyai91GSosjNe+yKFyCLJ
ObG10UhTL6d6cAp322gxmVCL5pTYjUPUK7P+xl3kThaN3bWyxf1MHIoiRqNXMFUwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0OBBYEFJWNh4eLeF6Sq/tL
v9wGiQlhGI9vMB8GA1UdIwQYMBaAFPSYmOhV80yKWS1vZVTGGCUWERrGMAoGCCqGSM49BAMCA0gAMEUCIQDAj/jnpY1AA1ihI41YNd8p2KiByKqVedXOQiej
jQk/8AIgcSN+8qcHsfy+TnYcy8+YLnreaestqOjLQLAR/f10HyQ=`);
const alone = certificate(`
MIIBzTCCAVKgAwIBAgIUKchXCjjL262aSRQy8M1TBz1ovucwCgYIKoZIzj0EAwIwHDEaMBgGA1UEAwwRc2VsZi5leGFtcGxlLnRlc3QwIBcNMjYxMTIxMTAw
NjAxWhgPMjEyNjEwMjgxMDA2MDFaMBwxGjAYBgNVBAMMEXNlbGYuZXhhbXBsZS50ZXN0MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAESdBGDItVUB4lK0SgwRn/
qequgn0MgfDyO9Ob3sPPAQqjnunWVfUElFhnoWrjfpZ64kKbru/GgfI8GmXd8Ed2bq6CWIBabU/zqE7secBs6nlk77YbZJktKpGJ8eUeCAjXo1MwUTAdBgNV
HQ4EFgQU8JgXhGOOWQJ74iuB0R16B0bbXi8wHwYDVR0jBBgwFoAU8JgXhGOOWQJ74iuB0R16B0bbXi8wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNp
ADBmAjEA6xZItJMATDcLvG9ALHTNIpZNJOfQcMINRn/8DtOxMozdPltYjPG3udNic6hMbJfpAjEAv3tG/2Ti9EvyuRg37QRzWY5cuwiCk9gsPPzTV6iNVkJA
WjkOWQ6qyoGUx+azS3DO`);

const chain = [server, authority, root];
const now = new Date('2030-01-01');
const names = ['mail.example.test'];

function record(usage: number, selector: number, matchingType: number, of: X509Certificate): TlsaData {
  const whole = selector === 0 ? of.raw : spkiOf(of);
  const digest = [undefined, 'sha256', 'sha512'][matchingType];
  return { usage, selector, matchingType, certificate: digest === undefined ? whole : createHash(digest).update(whole).digest() };
}

const wrong = (usage: number, selector: number, matchingType: number): TlsaData => ({ usage, selector, matchingType, certificate: Buffer.alloc(matchingType === 2 ? 64 : 32, 7) });

/** `EE 0`: matched, and at which depth; or the error, where in the chain, and whether all but the name is well. */
function verdict(records: readonly TlsaData[], sent: readonly X509Certificate[] = chain, more: Partial<Parameters<typeof matchDane>[2]> = {}): string {
  const found = matchDane(records, sent, { names, now, ...more });
  if (!found.matched) return `${found.error} at ${found.depth}${found.trusted ? ' trusted' : ''}`;
  return `${found.record.usage === 3 ? 'EE' : 'TA'}${found.byKey ? ' key' : ''} ${found.depth}${found.name === undefined ? '' : ` ${found.name}`}`;
}

describe('the server itself', () => {
  for (const selector of [0, 1]) for (const matchingType of [0, 1, 2]) {
    test(`3 ${selector} ${matchingType}`, () => {
      assert.equal(verdict([record(3, selector, matchingType, server)]), 'EE 0');
      assert.equal(verdict([record(3, selector, matchingType, client)]), `${x509Error.noDaneMatch} at 0`);
      assert.equal(verdict([record(3, selector, matchingType, authority)]), `${x509Error.noDaneMatch} at 0`, 'only the first certificate counts');
    });
  }

  test('neither names nor dates nor issuers count', () => {
    const records = [record(3, 1, 1, alone)];
    assert.equal(verdict(records, [alone]), 'EE 0');
    assert.equal(verdict(records, [alone], { now: new Date('2500-01-01') }), 'EE 0');
    assert.equal(verdict(records, [alone], { namesAlways: true }), `${x509Error.hostnameMismatch} at 0 trusted`);
    assert.equal(verdict(records, [alone], { namesAlways: true, names: ['x.test', 'self.example.test'] }), 'EE 0 self.example.test');
  });
});

describe('a trust anchor', () => {
  for (const [anchor, depth] of [[authority, 1], [root, 2]] as const) for (const selector of [0, 1]) for (const matchingType of [0, 1, 2]) {
    test(`2 ${selector} ${matchingType} at depth ${depth}`, () => {
      const good = `TA ${depth} mail.example.test`;
      assert.equal(verdict([record(2, selector, matchingType, anchor)]), good);
      assert.equal(verdict([record(2, selector, matchingType, anchor)], [server, root, authority]), good, 'in whatever order it was sent');
      assert.equal(verdict([record(2, selector, matchingType, alone)]), `${x509Error.noDaneMatch} at 2`);
      assert.equal(verdict([record(2, selector, matchingType, server)]), `${x509Error.noDaneMatch} at 2`, 'the server is no anchor');
    });
  }

  test('that was not sent', () => {
    assert.equal(verdict([record(2, 0, 0, root)], [server, authority]), 'TA 2 mail.example.test');
    assert.equal(verdict([record(2, 1, 0, root)], [server, authority]), 'TA key 1 mail.example.test');
    assert.equal(verdict([record(2, 1, 0, authority)], [server]), 'TA key 0 mail.example.test');
    assert.equal(verdict([record(2, 1, 1, root)], [server, authority]), `${x509Error.noDaneMatch} at 1`);
    assert.equal(verdict([record(2, 0, 0, root)], [server]), `${x509Error.noDaneMatch} at 0`);
  });

  test('names, dates and purposes count', () => {
    const records = [record(2, 1, 1, root)];
    assert.equal(verdict(records, chain, { names: ['other.test'] }), `${x509Error.hostnameMismatch} at 0 trusted`);
    assert.equal(verdict(records, chain, { names: [] }), 'TA 2');
    assert.equal(verdict(records, chain, { names: ['other.test', 'x.wild.example.test'] }), 'TA 2 *.wild.example.test');
    assert.equal(verdict(records, chain, { now: new Date('2500-01-01') }), `${x509Error.expired} at 0`);
    assert.equal(verdict(records, chain, { now: new Date('2000-01-01') }), `${x509Error.notYetValid} at 0`);
    assert.equal(verdict(records, [client, authority, root], { names: ['client.example.test'] }), `${x509Error.invalidPurpose} at 0`);
  });

  test('that has signed nothing of this', () => {
    assert.equal(verdict([record(2, 0, 1, alone)], [server, alone]), `${x509Error.noDaneMatch} at 0`);
  });
});

describe('several records', () => {
  for (const [title, records, want] of [
    ['one good is enough', [wrong(3, 1, 1), record(3, 1, 1, server)], 'EE 0'],
    ['of digests the strongest counts alone', [record(3, 1, 1, server), wrong(3, 1, 2)], `${x509Error.noDaneMatch} at 0`],
    ['but only among its kind', [record(3, 1, 1, server), wrong(3, 0, 2)], 'EE 0'],
    ['whole data always counts', [record(3, 1, 0, server), wrong(3, 1, 2)], 'EE 0'],
    ['an anchor where the server fails', [wrong(3, 1, 1), record(2, 1, 1, authority)], 'TA 1 mail.example.test'],
    ['none fits', [wrong(3, 1, 1), wrong(2, 1, 1)], `${x509Error.noDaneMatch} at 2`],
    ['none can be used', [wrong(1, 1, 1), wrong(3, 2, 1)], `${x509Error.unspecified} at 0`],
    ['none at all', [], `${x509Error.unspecified} at 0`],
  ] as const) test(title, () => assert.equal(verdict(records), want));

  test('a server without a certificate', () => assert.equal(verdict([record(3, 1, 1, server)], []), `${x509Error.unspecified} at 0`));
});

describe('tls_dane_digests', () => {
  const chosen = (text: string) => ({ digests: daneDigests(text, () => assert.fail()) });
  const sha384: TlsaData = { usage: 3, selector: 1, matchingType: 7, certificate: createHash('sha384').update(spkiOf(server)).digest() };

  for (const [title, text, records, want] of [
    ['the first is preferred', 'sha256 sha512', [record(3, 1, 1, server), wrong(3, 1, 2)], 'EE 0'],
    ['whichever that is', 'sha256 sha512', [wrong(3, 1, 1), record(3, 1, 2, server)], `${x509Error.noDaneMatch} at 0`],
    ['what is left out is of no use', 'sha512', [record(3, 1, 1, server)], `${x509Error.unspecified} at 0`],
    ['and takes nothing from others', 'sha256', [record(3, 1, 1, server), wrong(3, 1, 2)], 'EE 0'],
    ['further ones', 'sha384=7 sha512 sha256', [sha384, wrong(3, 1, 2)], 'EE 0'],
    ['of an anchor', 'sha256 sha512', [record(2, 1, 1, root), wrong(2, 1, 2)], 'TA 2 mail.example.test'],
    ['whole data needs none', 'sha512', [record(3, 0, 0, server)], 'EE 0'],
  ] as const) test(title, () => assert.equal(verdict(records, chain, chosen(text)), want));

  test('records of which use can be made', () => {
    const { digests } = chosen('sha384=7 sha256');
    assert.deepEqual([sha384, { ...sha384, certificate: Buffer.alloc(47) }, wrong(3, 1, 1), wrong(3, 1, 2)].map((each) => usableTlsa(each, undefined, digests)), [true, false, true, false]);
    assert.equal(usableTlsa(sha384), false);
  });
});

test('fingerprints', () => {
  const digest = (selector: number): TlsaData => ({ usage: 3, selector, matchingType: 255, certificate: createHash('md5').update(selector === 0 ? server.raw : spkiOf(server)).digest() });
  for (const selector of [0, 1]) assert.equal(verdict([digest(selector)], chain, { fingerprintDigest: 'md5' }), 'EE 0');
  assert.equal(verdict([digest(0)], [alone], { fingerprintDigest: 'md5' }), `${x509Error.noDaneMatch} at 0`);
  assert.equal(usableTlsa(digest(0), 'sha256'), false, 'of another length');
  assert.equal(usableTlsa(digest(0)), false);
});

test('records of which use can be made', () => {
  for (const [data, want] of [
    [wrong(3, 1, 1), true], [wrong(2, 0, 2), true], [wrong(0, 1, 1), false], [wrong(1, 1, 1), false], [wrong(3, 2, 1), false], [wrong(3, 1, 3), false],
    [{ ...wrong(3, 1, 1), certificate: Buffer.alloc(31) }, false], [{ ...wrong(3, 1, 2), certificate: Buffer.alloc(32) }, false], [wrong(3, 0, 0), false], [wrong(2, 1, 0), false],
    [record(2, 0, 0, root), true], [record(2, 1, 0, root), true], [{ ...wrong(3, 1, 1), certificate: Buffer.alloc(0) }, false],
  ] as const) assert.equal(usableTlsa(data), want, tlsaText(data));
});

test('records as the log shows them', () => {
  assert.equal(tlsaText({ usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('00ff', 'hex') }), '3 1 1 00FF');
  assert.equal(tlsaText({ usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(0) }), '3 1 1 ...');
  assert.equal(tlsaText({ usage: 2, selector: 0, matchingType: 0, certificate: Buffer.alloc(65, 1) }), `2 0 0 ${'01'.repeat(32)}...${'01'.repeat(32)}`);
});

test('names of a certificate', () => {
  for (const [name, want] of [
    ['mail.example.test', 'mail.example.test'], ['MAIL.EXAMPLE.TEST', 'mail.example.test'], ['example.test', undefined], ['.example.test', 'mail.example.test'],
    ['a.wild.example.test', '*.wild.example.test'], ['a.b.wild.example.test', undefined], ['wild.example.test', undefined], ['', undefined], ['mail.example.test.', undefined],
    ['x\0y', undefined],
  ] as const) assert.equal(nameIn(server, name), want, name);
});
