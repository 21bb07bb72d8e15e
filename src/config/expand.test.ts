import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LevelError } from './comparison.ts';
import { ExpansionError, expand, visitNames } from './expand.ts';

const values = new Map([
  ['name', 'value'], ['empty', ''], ['other', '$name/x'], ['loop', 'a$loop'], ['level', '3.6'], ['n9', '9'], ['n10', '10'], ['odd', 'a\xe9b c'],
]);
const lookup = (name: string): string | undefined => values.get(name);

for (const [text, want] of [
  ['plain', 'plain'],
  ['$name', 'value'],
  ['a${name}b$(name)c', 'avaluebvaluec'],
  ['$other', 'value/x'],
  ['$$name', '$name'],
  ['$missing.', '.'],
  ['$name.org', 'value.org'],
  ['${name?yes}', 'yes'],
  ['${empty?yes}', ''],
  ['${missing?yes}', ''],
  ['${name:no}', ''],
  ['${empty:no}', 'no'],
  ['${missing:no}', 'no'],
  ['${name?{yes}:{no}}', 'yes'],
  ['${missing?{yes}:{no}}', 'no'],
  ['${ name ? {yes} : {no} }', 'yes'],
  ['${name?yes:no}', 'yes:no'],
  ['${name??foo:{b}ar}', '?foo:{b}ar'],
  ['${missing:{$name}}', 'value'],
  ['${name?{${missing:{deep}}}}', 'deep'],
  ['${{a}=={a}}', 'true'],
  ['${{a}=={b}}', ''],
  ['${{$name} == {value} ? {same} : {different}}', 'same'],
  ['${{$name} != {value} ? {different} : {same}}', 'same'],
  ['${{$name}=={x}:{no}}', 'no'],
  ['${{$n9} < {$n10} ? {number} : {text}}', 'number'],
  ['${{x9} < {x10} ? {number} : {text}}', 'text'],
  ['${{9} >= {10} ? {a} : {b}}', 'b'],
  ['${{9} <= {09} ? {a} : {b}}', 'a'],
  ['${{10} > {9} ? {a} : {b}}', 'a'],
  ['${{$level} <level {3.10} ? {older} : {newer}}', 'older'],
  ['${{3.6} >=level {3.6.0} ? {yes} : {no}}', 'yes'],
  ['${{3} ==level {3.0} ? {yes} : {no}}', 'yes'],
  ['${domain_to_ascii{$name.org}}', 'value.org'],
  ['${domain_to_ascii{b\xc3\xbccher.example}}', 'xn--bcher-kva.example'],
  ['${ domain_to_utf8 { xn--bcher-kva.example } }', 'b\xc3\xbccher.example'],
  ['${{2} !=level {1} ? {yes} : {no}}', 'yes'],
] as const) test(`expands ${text}`, () => assert.equal(expand(text, { lookup, recursive: true }), want));

for (const [text, message] of [
  ['$', 'empty macro name: "$"'],
  ['${}', 'empty macro name: "${}"'],
  ['a${name', 'truncated macro reference: "a${name"'],
  ['${name foo}', 'attribute name syntax error at: "...name>>> foo"'],
  ['${name?{a}x}', '":" expected at: "...a}>>>x"'],
  ['${name?{a}:{b}x}', 'unexpected input at: "...b}>>>x"'],
  ['${name?{a}', 'truncated macro reference: "${name?{a}"'],
  ['$(name?{a)', 'unbalanced {} in attribute expression: "{a"'],
  ['${{a} = {b}}', '"==" or "!=" or "<" or "<=" or ">=" or ">" expected at: "...a}>>>= {b}"'],
  ['${{a} == b}', '"{expression}" expected at: "...{a} ==>>> b"'],
  ['${{a} == {b} c}', '"?" or ":" expected at: "...}>>>c"'],
  ['${{a} ==foo {b}}', 'bad operator suffix at: "...==>>>foo"'],
  ['$loop', 'unreasonable macro call nesting: "loop"'],
  ['${domain_to_ascii{\xc3\xbc..b}}', "bad domain argument in: 'domain_to_ascii{\xc3\xbc..b}'"],
  ['${nothing{x}}', 'unknown function "nothing" at"...>>>nothing{x}"'],
] as const) test(`refuses ${text}`, () => assert.throws(() => expand(text, { lookup, recursive: true }), new ExpansionError(message)));

test('a level that is none is refused', () => {
  assert.throws(() => expand('${{new} <level {3}}', { lookup }), new LevelError('malformed compatibility level syntax: "new"'));
});

test('without recursion values are taken as they are, and filtered', () => {
  assert.equal(expand('$other', { lookup }), '$name/x');
  assert.equal(expand('=$odd= c', { lookup, filter: 'abc' }), '=a_b_c= c');
});

test('names are found in both branches and in comparisons', () => {
  const names: string[] = [];
  visitNames('$a ${b?{$c}:{$d}} ${{$e} == {f} ? {$g}} $$h $a', (name) => names.push(name));
  assert.deepEqual(names, ['a', 'b', 'c', 'd', 'e', 'g', 'a']);
});
