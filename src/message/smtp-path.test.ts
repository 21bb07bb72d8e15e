import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mailParameters, rcptParameters, defaultOrcpt } from './path-parameters.ts';
import { mailCommand, parsePath, rcptCommand, splitCommand } from './smtp-path.ts';

for (const [line, want] of [
  ['MAIL FROM:<a@b> SIZE=1', ['MAIL', 'FROM:', '<a@b>', 'SIZE=1']],
  ['mail from: <a b@c>', ['mail', 'from:', '<a b@c>']],
  ['RCPT TO:"a b"@c', ['RCPT', 'TO:', '"a b"@c']],
  ['RCPT TO:<"a>b"@c> X', ['RCPT', 'TO:', '<"a>b"@c>', 'X']],
  ['RCPT TO:<a<b>c>', ['RCPT', 'TO:', '<a<b>c>']],
  ['RCPT TO:a\\ b', ['RCPT', 'TO:', 'a\\ b']],
  ['  NOOP\t x  ', ['NOOP', 'x']],
  ['xto:<a>', ['xto:<a>']],
  ['', []],
] as const) {
  test(`words of ${JSON.stringify(line)}`, () => assert.deepEqual(splitCommand(line), want.map((text) => ({ text, broken: false }))));
}

test('what is not closed is broken', () => {
  assert.deepEqual(splitCommand('MAIL FROM:<a b'), [{ text: 'MAIL', broken: false }, { text: 'FROM:', broken: false }, { text: '<a b', broken: true }]);
  assert.deepEqual(splitCommand('RCPT TO:<"a>'), [{ text: 'RCPT', broken: false }, { text: 'TO:', broken: false }, { text: '<"a>', broken: true }]);
});

for (const [word, strict, allowEmpty, want] of [
  ['<joe@example.org>', true, false, 'joe@example.org'], ['joe@example.org', false, false, 'joe@example.org'], ['joe@example.org', true, false, undefined],
  ['<>', true, true, ''], ['<>', true, false, undefined], ['<postmaster>', true, false, 'postmaster'], ['<"joe smith"@x>', true, false, 'joe smith@x'],
  ['<@a,@b:joe@x>', true, false, 'joe@x'], ['<@x>', true, false, undefined], ['<@x>', false, false, '@x'], ['<a b>', false, false, undefined], ['<a@b> (c)', false, false, 'a@b'], ['<a@b(c)>', true, false, undefined],
  ['Joe <joe@x>', false, false, 'joe@x'], ['<joe@[IPv6:::1]>', true, false, 'joe@[IPv6:::1]'], ['<', false, true, '<'],
] as const) {
  test(`path ${word}${strict ? ', strictly' : ''}`, () => assert.equal(parsePath(word, { strict, allowEmpty }), want));
}

const words = (line: string) => splitCommand(line);
const refusal = (code: number, status: string, text: string) => ({ refusal: { code, status, text } });

for (const [line, strict, want] of [
  ['MAIL FROM:<a@x> BODY=7BIT', false, { address: 'a@x', path: '<a@x>', parameters: ['BODY=7BIT'] }],
  ['MAIL FROM:<>', true, { address: '', path: '<>', parameters: [] }],
  ['MAIL', false, refusal(501, '5.5.4', 'Syntax: MAIL FROM:<address>')],
  ['MAIL TO:<a>', false, refusal(501, '5.5.4', 'Syntax: MAIL FROM:<address>')],
  ['MAIL FROM:<a b>', false, refusal(501, '5.1.7', 'Bad sender address syntax')],
  ['MAIL FROM:a', true, refusal(501, '5.1.7', 'Bad sender address syntax')],
  ['MAIL FROM:<a', false, refusal(501, '5.1.7', 'Bad sender address syntax')],
] as const) {
  test(`${line}${strict ? ', strictly' : ''}`, () => assert.deepEqual(mailCommand(words(line), strict), want));
}

for (const [line, want] of [
  ['RCPT TO:<b@x> NOTIFY=NEVER', { address: 'b@x', path: '<b@x>', parameters: ['NOTIFY=NEVER'] }],
  ['RCPT FROM:<b@x>', refusal(501, '5.5.4', 'Syntax: RCPT TO:<address>')],
  ['RCPT TO:<>', refusal(501, '5.1.3', 'Bad recipient address syntax')],
] as const) {
  test(line, () => assert.deepEqual(rcptCommand(words(line)), want));
}

const noMail = { encoding: undefined, size: 0, smtputf8: false, requireTls: false, dsnRet: 0, dsnEnvid: undefined, auth: undefined, verp: undefined };
const all = { smtputf8: true, dsn: true, auth: true, requireTls: true, verp: true };

for (const [parameters, options, want] of [
  ['', all, { mail: noMail }],
  ['size=1000 body=8bitmime', all, { mail: { ...noMail, size: 1000, encoding: '8bit' } }],
  ['BODY=7BIT SMTPUTF8 REQUIRETLS', all, { mail: { ...noMail, encoding: '7bit', smtputf8: true, requireTls: true } }],
  ['RET=hdrs ENVID=a+2Bb AUTH=<>', all, { mail: { ...noMail, dsnRet: 2, dsnEnvid: 'a+b' } }],
  ['AUTH=joe+40example.org', all, { mail: { ...noMail, auth: 'joe+40example.org' } }],
  ['AUTH=<> AUTH=<>', all, { mail: noMail }],
  ['AUTH=a AUTH=b', all, { refusal: { code: 503, status: '5.5.4', text: 'Error: multiple AUTH= options' } }],
  ['XVERP', all, { mail: { ...noMail, verp: '' } }],
  ['XVERP=+=', all, { mail: { ...noMail, verp: '+=' } }],
  ['XVERP=+', all, refusal(501, '5.5.4', 'Error: XVERP needs two characters from -=+')],
  ['SIZE=', all, refusal(501, '5.5.4', 'Bad message size syntax')],
  ['SIZE=1x', all, refusal(501, '5.5.4', 'Bad message size syntax')],
  ['SIZE=9223372036854775808', all, refusal(552, '5.3.4', 'Message size exceeds file system imposed limit')],
  ['BODY=BINARYMIME', all, refusal(555, '5.5.4', 'Unsupported option: BODY=BINARYMIME')],
  ['SMTPUTF8', {}, refusal(555, '5.5.4', 'Unsupported option: SMTPUTF8')],
  ['AUTH=<>', {}, refusal(555, '5.5.4', 'Unsupported option: AUTH=<>')],
  ['RET=FULL', {}, refusal(501, '5.7.1', 'DSN support is disabled')],
  ['RET=FULL RET=FULL', all, refusal(501, '5.5.4', 'Bad RET parameter syntax')],
  ['RET=ALL', all, refusal(501, '5.5.4', 'Bad RET parameter syntax')],
  ['ENVID=+0A', all, refusal(501, '5.5.4', 'Bad ENVID parameter syntax')],
  ['ENVID=+4', all, refusal(501, '5.5.4', 'Bad ENVID parameter syntax')],
  ['ENVID= ENVID=x', all, refusal(501, '5.5.4', 'Bad ENVID parameter syntax')],
] as const) {
  test(`MAIL parameters ${parameters} with ${JSON.stringify(options)}`, () => assert.deepEqual(mailParameters(parameters.split(' ').filter(Boolean), options), want));
}

for (const [parameters, options, want] of [
  ['NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@x', all, { rcpt: { dsnNotify: 6, dsnOrcpt: 'rfc822;a+b@x' } }],
  ['ORCPT=utf-8;\\x{E9}@x', all, { rcpt: { dsnNotify: 0, dsnOrcpt: 'utf-8;\xc3\xa9@x' } }],
  ['NOTIFY=NEVER,DELAY', all, refusal(501, '5.5.4', 'Error: Bad NOTIFY parameter syntax')],
  ['NOTIFY=NEVER NOTIFY=NEVER', all, refusal(501, '5.5.4', 'Error: Bad NOTIFY parameter syntax')],
  ['ORCPT=a@x', all, refusal(501, '5.5.4', 'Error: Bad ORCPT parameter syntax')],
  ['ORCPT=;a@x', all, refusal(501, '5.5.4', 'Error: Bad ORCPT parameter syntax')],
  ['ORCPT=rfc822;+00', all, refusal(501, '5.5.4', 'Error: Bad ORCPT parameter syntax')],
  ['NOTIFY=NEVER', {}, refusal(501, '5.7.1', 'DSN support is disabled')],
  ['SIZE=1', all, refusal(555, '5.5.4', 'Unsupported option: SIZE=1')],
] as const) {
  test(`RCPT parameters ${parameters} with ${JSON.stringify(options)}`, () => assert.deepEqual(rcptParameters(parameters.split(' '), options), want));
}

test('without ORCPT the path itself is remembered', () => {
  assert.equal(defaultOrcpt('<"a b"@x>'), 'rfc822;"a b"@x');
  assert.equal(defaultOrcpt('a@x'), 'rfc822;a@x');
});

test('no line is too odd to be taken apart', () => {
  const char = fc.constantFrom(...'MAILFROM:TO<>"\\ a@,;()[]=\x00\xff'.split(''));
  fc.assert(fc.property(fc.string({ unit: char, maxLength: 60 }), (line) => {
    const text = splitCommand(line).map((word) => word.text).join('');
    assert.ok(text.length <= line.length);
    const result = mailCommand(splitCommand(line));
    assert.ok('address' in result || result.refusal.code === 501);
  }), { numRuns: 2000 });
});
