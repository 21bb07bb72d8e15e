import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { authRequest, cancellation, continuation, DovecotReader, greeting, type DovecotStep } from './dovecot.ts';
import { allowsMechanism, parseSecurityOptions, security } from './security-options.ts';

const hello = 'VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tCRAM-MD5\tdictionary\tactive\nMECH\tX\tprivate\nSPID\t7\nCUID\t1\nCOOKIE\tabc\nDONE\n';
const ready: DovecotStep = {
  kind: 'ready', cancels: true,
  mechanisms: [{ name: 'PLAIN', properties: security.noPlaintext }, { name: 'CRAM-MD5', properties: security.noDictionary | security.noActive }],
};

function stepsOf(...pieces: readonly string[]): DovecotStep[] {
  const reader = new DovecotReader();
  const steps: DovecotStep[] = [];
  for (const piece of pieces) {
    reader.receive(piece);
    for (let step = reader.next(); step !== undefined; step = reader.next()) steps.push(step);
  }
  return steps;
}

test('what we say', () => {
  const facts = { id: 7, mechanism: 'plain', service: 'smtp', serverAddress: '192.0.2.1', clientAddress: '2001:db8::1', isEncrypted: false, initialResponse: undefined };
  assert.equal(greeting(12), 'VERSION\t1\t0\nCPID\t12\n');
  assert.equal(authRequest(facts), 'AUTH\t7\tplain\tservice=smtp\tnologin\tlip=192.0.2.1\trip=2001:db8::1\n');
  assert.equal(authRequest({ ...facts, isEncrypted: true, initialResponse: 'YQ==' }), 'AUTH\t7\tplain\tservice=smtp\tnologin\tlip=192.0.2.1\trip=2001:db8::1\tsecured\tresp=YQ==\n');
  assert.equal(authRequest({ ...facts, service: 'a\tb\nOK\t1', initialResponse: '' }).split('\n').length, 2);
  assert.deepEqual([continuation(7, 'YQ=='), continuation(7, ''), cancellation(7)], ['CONT\t7\tYQ==\n', 'CONT\t7\t\n', 'CANCEL\t7\n']);
});

for (const [name, text, want] of [
  ['a handshake', hello, [ready]],
  ['one without versions of later protocols', 'VERSION\t1\t0\nMECH\tPLAIN\nDONE\n', [{ kind: 'ready', cancels: false, mechanisms: [{ name: 'PLAIN', properties: 0 }] }]],
  ['another protocol', 'VERSION\t2\t0\n', [{ kind: 'trouble', text: 'Protocol version mismatch (2 vs. 1)' }]],
  ['no numbers', 'VERSION\tx\t0\n', [{ kind: 'trouble', text: 'Protocol version error' }]],
  ['the wrong socket', 'VERSION\t1\t2\nSPID\t7\n', [{ kind: 'trouble', text: 'Connected to wrong auth socket (auth-master instead of auth-client)' }]],
  ['success before the handshake is done', 'OK\t1\tuser=joe\n', []],
  ['nothing after trouble', `VERSION\t2\t0\n${hello}OK\t1\tuser=joe\n`, [{ kind: 'trouble', text: 'Protocol version mismatch (2 vs. 1)' }]],
  ['a name that is none', 'MECH\tPLAIN X\nMECH\t\nDONE\n', [{ kind: 'ready', cancels: false, mechanisms: [] }]],
] as const) test(`handshake: ${name}`, () => assert.deepEqual(stepsOf(text), want));

for (const [line, want] of [
  ['OK\t1\tuser=joe', { kind: 'done', username: 'joe' }],
  ['OK\t1\tnologin\tuser=joe\tx', { kind: 'done', username: 'joe' }],
  ['OK\t1', { kind: 'unavailable', reason: 'Authentication backend error' }],
  ['OK\t1\tuser=', { kind: 'unavailable', reason: 'Authentication backend error' }],
  ['CONT\t1\tYWJj', { kind: 'more', challenge: 'YWJj' }],
  ['CONT\t1\t', { kind: 'more', challenge: '' }],
  ['CONT\t1', { kind: 'unavailable', reason: 'Authentication backend error' }],
  ['CONT\t1\tYWJj\r', { kind: 'unavailable', reason: 'Authentication backend error' }],
  ['FAIL\t1', { kind: 'failed', reason: '', username: undefined }],
  ['FAIL\t1\tuser=joe\tauthz', { kind: 'failed', reason: '', username: 'joe' }],
  ['FAIL\t1\treason=closed for today\tuser=joe', { kind: 'failed', reason: 'closed for today', username: 'joe' }],
  ['FAIL\t1\tuser=joe\ttemp', { kind: 'unavailable', reason: '', username: 'joe' }],
  ['FAIL\t1\tcode=temp_fail', { kind: 'unavailable', reason: '', username: undefined }],
  ['FAIL\t1\tcode=authz_fail', { kind: 'failed', reason: '', username: undefined }],
  ['OK\t1\0\tuser=joe', { kind: 'unavailable', reason: 'Authentication backend error' }],
] as const) test(`answer: ${JSON.stringify(line)}`, () => assert.deepEqual(stepsOf(hello, `${line}\n`), [ready, { kind: 'answer', id: 1, answer: want }]));

for (const line of ['OK', 'OK\t', 'OK\tx\tuser=joe', 'OK\t-1\tuser=joe', 'ok\t1\tuser=joe', 'WHAT\t1', '', ' OK\t1\tuser=joe', 'NOTOK\t1\tuser=joe']) {
  test(`not an answer: ${JSON.stringify(line)}`, () => assert.deepEqual(stepsOf(hello, `${line}\n`), [ready]));
}

test('a line or a handshake without end is not kept', () => {
  const long = 'x'.repeat(40_000);
  for (const text of [long, `${long}\n`, ...[1, 2].map(() => `${hello}OK\t1\tuser=${long}`)]) assert.equal(stepsOf(text, text).at(-1)?.kind, 'trouble');
  assert.deepEqual(stepsOf('CUID\t1\n'.repeat(1001)), [{ kind: 'trouble', text: 'handshake too long' }]);
});

const protocolLine = fc.constantFrom('VERSION\t1\t2', 'MECH\tPLAIN\tplaintext', 'SPID\t1', 'DONE', 'OK\t1\tuser=joe', 'OK\t2', 'CONT\t1\tYQ==', 'FAIL\t1\ttemp', '', '\0', 'VERSION\t9\t9');
const anyText = fc.oneof(fc.array(protocolLine, { maxLength: 30 }).map((lines) => `${lines.join('\n')}\n`), fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes).toString('latin1')));

test('any bytes in any split give the same steps and never throw', () => {
  fc.assert(fc.property(fc.array(anyText, { maxLength: 5 }), fc.array(fc.nat(3000), { maxLength: 10 }), (texts, places) => {
    const text = texts.join('');
    const ends = [...places.map((place) => Math.min(place, text.length)).sort((a, b) => a - b), text.length];
    const pieces = ends.map((end, at) => text.slice(at === 0 ? 0 : ends[at - 1], end));
    assert.deepEqual(stepsOf(...pieces), stepsOf(text));
    assert.deepEqual(stepsOf(...text), stepsOf(text));
  }), { numRuns: 500 });
});

test('security options', () => {
  const { noPlaintext, noAnonymous, mutualAuth, noDictionary, noActive } = security;
  assert.deepEqual(parseSecurityOptions('smtpd_sasl_security_options', 'NoPlaintext, noanonymous'), { mask: noPlaintext | noAnonymous });
  assert.deepEqual(parseSecurityOptions('smtpd_sasl_security_options', ''), { mask: 0 });
  const bad = parseSecurityOptions('smtpd_sasl_security_options', 'noplain');
  assert.ok('error' in bad && bad.error === 'unknown smtpd_sasl_security_options value "noplain" in "noplain"');
  for (const [options, properties, want] of [
    [0, noPlaintext, true], [noPlaintext, noPlaintext, false], [noAnonymous, noPlaintext, true], [mutualAuth, noDictionary | noActive, false],
    [mutualAuth, mutualAuth, true], [mutualAuth | noDictionary, mutualAuth | noDictionary, false],
  ] as const) assert.equal(allowsMechanism(options, properties), want, `${options} ${properties}`);
});
