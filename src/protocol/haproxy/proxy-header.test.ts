import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutProxyHeader, proxyHeaderLimit, readProxyHeader, type ProxyFamily } from './proxy-header.ts';

const signature = '\r\n\r\n\0\r\nQUIT\n';
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const v2 = (command: number, family: number, body: string, length = body.length): string =>
  `${signature}${String.fromCharCode(command, family, length >> 8, length & 255)}${body}`;
const four = '\xcb\x00\x71\x01\xc6\x33\x64\x02\x9c\x40\x00\x19';
const six = `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x01\x20\x01\x0d\xb8${'\0'.repeat(11)}\x02\x9c\x40\x00\x19`;
const mapped = `${'\0'.repeat(10)}\xff\xff\xcb\x00\x71\x01${'\0'.repeat(10)}\xff\xff\xc6\x33\x64\x02\x9c\x40\x00\x19`;

/** `client server`, `local`, `more`, or the error; with the rest behind it. */
function shown(text: string, families?: readonly ProxyFamily[]): string {
  const reading = readProxyHeader(bytes(text), families);
  if (reading === 'more') return 'more';
  if ('error' in reading) return reading.error;
  const rest = text.slice(reading.length);
  if (reading.header.kind === 'local') return `local|${rest}`;
  const { client, server } = reading.header;
  return `${client.family} ${client.address} ${client.port} ${server.family} ${server.address} ${server.port}|${rest}`;
}

const bothFour = 'IPv4 203.0.113.1 40000 IPv4 198.51.100.2 25|';

for (const [text, want, families] of [
  ['PROXY TCP4 203.0.113.1 198.51.100.2 40000 25\r\nEHLO', `${bothFour}EHLO`],
  ['PROXY tcp4 203.0.113.1  198.51.100.2 40000 25 more words\n', bothFour],
  ['PROXY TCP4 203.0.113.001 198.51.100.2 40000 25\r\n', bothFour],
  ['PROXY TCP6 2001:DB8:0::1 ::1 40000 25\r\n', 'IPv6 2001:db8::1 40000 IPv6 ::1 25|'],
  ['PROXY TCP6 ::ffff:203.0.113.1 ::FFFF:198.51.100.2 40000 25\r\n', bothFour],
  ['PROXY TCP6 ::ffff:203.0.113.1 ::1 40000 25\r\n', 'IPv6 ::ffff:203.0.113.1 40000 IPv6 ::1 25|', ['IPv6']],
  ['PROXY TCP6 2001:db8::1 ::1 40000 25\r\n', 'bad or missing protocol type', ['IPv4']],
  ['PROXY TCP4 203.0.113.1 198.51.100.2 40000 25\r\n', 'bad or missing protocol type', ['IPv6']],
  ['PROXY UNKNOWN\r\n', 'bad or missing protocol type'],
  ['PROXY \r\n', 'bad or missing protocol type'],
  ['PROXY TCP4 ::1 198.51.100.2 40000 25\r\n', 'bad or missing client address'],
  ['PROXY TCP4 203.0.113.256 198.51.100.2 40000 25\r\n', 'bad or missing client address'],
  ['PROXY TCP4 203.0.113.1 here 40000 25\r\n', 'bad or missing server address'],
  ['PROXY TCP4 203.0.113.1 198.51.100.2 65536 25\r\n', 'bad or missing client port'],
  ['PROXY TCP4 203.0.113.1 198.51.100.2 040 25\r\n', 'bad or missing client port'],
  ['PROXY TCP4 203.0.113.1 198.51.100.2 40000\r\n', 'bad or missing server port'],
  ['PROXY TCP4 203.0.113.1 198.51.100.2 40000 25\0\r\n', 'bad or missing server port'],
  ['PRO', 'more'],
  ['PROXY TCP4 203.0.113.1', 'more'],
  [`PROXY ${'x'.repeat(600)}`, 'missing protocol header terminator'],
  [`PROXY TCP4 203.0.113.1 198.51.100.2 40000 25 ${'x'.repeat(600)}\n`, 'missing protocol header terminator'],
  ['', 'more'],
  ['proxy TCP4', 'unrecognized protocol header'],
  ['EHLO client.test\r\n', 'unrecognized protocol header'],
  [v2(0x21, 0x11, four) + 'EHLO', `${bothFour}EHLO`],
  [v2(0x21, 0x11, `${four}\x01\x00\x02ab`), bothFour],
  [v2(0x21, 0x21, six), 'IPv6 2001:db8::1 40000 IPv6 2001:db8::2 25|'],
  [v2(0x21, 0x21, mapped), bothFour],
  [v2(0x21, 0x21, six), 'Postfix IPv6 support is disabled', ['IPv4']],
  [v2(0x21, 0x11, four), 'Postfix IPv4 support is disabled', ['IPv6']],
  [v2(0x20, 0x00, '') + 'x', 'local|x'],
  [v2(0x20, 0x11, four), 'local|'],
  [v2(0x21, 0x12, four), 'unsupported network protocol'],
  [v2(0x21, 0x31, 'x'.repeat(216)), 'unsupported network protocol'],
  [v2(0x21, 0x00, ''), 'unsupported network protocol'],
  [v2(0x21, 0x11, four.slice(0, 11)), 'short address field'],
  [v2(0x22, 0x11, four), 'bad command in proxy header'],
  [v2(0x11, 0x11, four), 'unrecognized protocol version'],
  [v2(0x21, 0x11, four, 521), 'short version 2 protocol header'],
  [v2(0x21, 0x11, four, 13), 'more'],
  [signature, 'more'],
] as const satisfies readonly (readonly [string, string, (readonly ProxyFamily[])?])[]) {
  test(`${JSON.stringify(text.slice(0, 60))} ${families ?? ''}: ${want.slice(0, 60)}`, () => assert.equal(shown(text, families), want));
}

test('a header of which no more comes', () => {
  assert.deepEqual(['PROXY TC', 'PRO', signature, v2(0x21, 0x11, four, 13)].map((text) => cutProxyHeader(bytes(text))), [
    'missing protocol header terminator', 'short protocol header', 'short protocol header', 'short version 2 protocol header',
  ]);
});

const whole = fc.constantFrom('PROXY TCP4 203.0.113.1 198.51.100.2 40000 25\r\n', 'PROXY TCP6 ::1 ::1 1 2\r\n', v2(0x21, 0x11, four), v2(0x21, 0x21, six), v2(0x20, 0, ''));
const junk = fc.uint8Array({ maxLength: 700 }).map((each) => Buffer.from(each).toString('latin1'));
/** A header with a byte of it changed, and anything behind it. */
const damaged = fc.tuple(whole, fc.nat(60), fc.nat(255), junk).map(([text, at, code, rest]) =>
  text.slice(0, at) + (at < text.length ? String.fromCharCode(code) + text.slice(at + 1) : '') + rest);

test('whatever comes, in whatever pieces: one answer, and no more is asked for than a header is long', () => {
  fc.assert(fc.property(fc.oneof(junk, damaged, fc.tuple(whole, junk).map(([text, rest]) => text + rest)), (text) => {
    const all = bytes(text);
    const final = readProxyHeader(all);
    let first = 0;
    while (first < all.length && readProxyHeader(all.subarray(0, first)) === 'more') first++;
    assert.deepEqual(readProxyHeader(all.subarray(0, first)), final === 'more' ? 'more' : final);
    assert.ok(first <= proxyHeaderLimit);
    if (final !== 'more' && 'header' in final) assert.ok(final.length <= proxyHeaderLimit && final.length <= all.length);
  }), { numRuns: 1000 });
});
