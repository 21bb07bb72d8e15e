import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ProxyLines } from './lines.ts';
import { passedOn } from './passed-on.ts';
import { forwardCommands, offeredAttributes, type Forwarded } from './xforward.ts';

function sent(pieces: readonly string[]): string {
  const lines = new ProxyLines();
  const out = pieces.flatMap((piece) => lines.convert(Buffer.from(piece, 'latin1')));
  return Buffer.concat([...out, lines.end()]).toString('latin1');
}

const cases: readonly (readonly [title: string, content: readonly string[], wire: string])[] = [
  ['nothing', [], '.\r\n'],
  ['lines as they should be', ['a\r\nb\r\n'], 'a\r\nb\r\n.\r\n'],
  ['a last line without its end', ['a'], 'a\r\n.\r\n'],
  ['dots', ['.\r\n..\r\n.a\r\nb.\r\n'], '..\r\n...\r\n..a\r\nb.\r\n.\r\n'],
  ['a bare newline', ['a\nb\n'], 'a\r\nb\r\n.\r\n'],
  ['a dot between bare newlines', ['a\n.\nb'], 'a\r\n..\r\nb\r\n.\r\n'],
  ['a stray CR', ['a\rb\r\n'], 'a b\r\n.\r\n'],
  ['a dot between stray CRs', ['a\r.\rb\r\n'], 'a . b\r\n.\r\n'],
  ['CR CR LF', ['a\r\r\n.\r\r\n'], 'a \r\n.. \r\n.\r\n'],
  ['a CR at the very end', ['a\r'], 'a \r\n.\r\n'],
  ['a line end in two pieces', ['a\r', '\n.b\r', '\n'], 'a\r\n..b\r\n.\r\n'],
  ['a stray CR in front of a piece', ['a\r', '.\r\n'], 'a .\r\n.\r\n'],
  ['a CR alone on a line', ['\r', '.\n'], ' .\r\n.\r\n'],
  ['bytes that are no text', ['\0\xff\r\n'], '\0\xff\r\n.\r\n'],
];

for (const [title, content, wire] of cases) test(`to the filter: ${title}`, () => assert.equal(sent(content), wire));

const crud = fc.array(fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.\r\n', 'a'), { maxLength: 40 });

test('whatever comes, however it is cut: one end of data, no CR and no LF alone, and the same lines', () => {
  fc.assert(fc.property(crud, fc.array(fc.nat(20), { maxLength: 10 }), (words, cuts) => {
    const content = words.join('');
    const pieces: string[] = [];
    let at = 0;
    for (const cut of cuts) pieces.push(content.slice(at, at += cut));
    const wire = sent([...pieces, content.slice(at)]);
    assert.equal(wire, sent([content]));
    assert.doesNotMatch(wire, /\r(?!\n)|(?<!\r)\n/);
    assert.equal(`\r\n${wire}`.indexOf('\r\n.\r\n'), wire.length - 3);
    const lines = wire.slice(0, -3).split('\r\n').map((line) => line.replace(/^\./, ''));
    const expected = content.split(/\r?\n/).map((line) => line.replaceAll('\r', ' '));
    if (expected.at(-1) !== '') expected.push('');
    assert.deepEqual(lines, expected);
  }));
});

test('content that needs no change is not copied', () => {
  const chunk = Buffer.from('Subject: x\r\n\r\ntext\r\n');
  const [piece, ...rest] = new ProxyLines().convert(chunk);
  assert.equal(piece!.buffer, chunk.buffer);
  assert.deepEqual(rest, []);
});

const replies: readonly (readonly [text: string, classes: string, result: unknown])[] = [
  ['250 2.0.0 Ok', '2', { code: 250, status: '2.0.0', text: ['Ok'] }],
  ['250', '2', { code: 250, text: [''] }],
  ['554-5.7.1 one\n554 5.7.1 two', '45', { code: 554, status: '5.7.1', text: ['one', 'two'] }],
  ['554-5.7.1 one\n554 two', '45', { code: 554, text: ['5.7.1 one', 'two'] }],
  ['250 Ok', '45', undefined],
  ['354 go on', '2', undefined],
  ['550-no\n250 yes', '2', undefined],
  ['250-yes\n550 no', '2', undefined],
  ['junk\n250 yes', '2', undefined],
  ['999 what', '2', undefined],
  ['', '2', undefined],
];
for (const [text, classes, result] of replies) test(`reply ${JSON.stringify(text)} where ${classes} counts`, () => assert.deepEqual(passedOn(text, classes), result));

const nobody: Forwarded = { NAME: undefined, ADDR: '192.0.2.1', PORT: '25', HELO: 'a b', IDENT: undefined, PROTO: 'ESMTP', SOURCE: 'REMOTE' };

test('XFORWARD says what is known, and that the rest is not', () => {
  const offered = offeredAttributes('250-filter\n250-xforward name ADDR PORT PROTO HELO IDENT DOMAIN SOURCE\n250 DSN');
  assert.deepEqual(forwardCommands(offered, nobody, assert.fail),
    ['XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=25 HELO=a+20b IDENT=[UNAVAILABLE] PROTO=ESMTP SOURCE=REMOTE']);
  assert.deepEqual(forwardCommands(offeredAttributes('250 filter'), nobody, assert.fail), []);
  assert.deepEqual(forwardCommands(offeredAttributes('250-f\n250 XFORWARD ADDR'), nobody, assert.fail), ['XFORWARD ADDR=192.0.2.1']);
});

test('XFORWARD keeps to 512 bytes per line, and warns of what cannot', () => {
  const warnings: string[] = [];
  const values = { ...nobody, NAME: 'n'.repeat(300), HELO: 'h'.repeat(300), IDENT: 'i'.repeat(600) };
  const commands = forwardCommands(new Set(['NAME', 'HELO', 'IDENT', 'PROTO']), values, (text) => warnings.push(text));
  assert.deepEqual(commands.map((line) => line.replace(/(.)\1{9,}/g, '$1')), ['XFORWARD NAME=n', 'XFORWARD HELO=h', 'XFORWARD IDENT=i', 'XFORWARD PROTO=ESMTP']);
  assert.deepEqual(warnings, ['XFORWARD command payload IDENT=iiiiiiiiii... exceeds SMTP protocol limit']);
});
