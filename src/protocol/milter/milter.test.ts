import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Edit } from './edit.ts';
import { Milter } from './milter.ts';
import { long, packetBytes, text, type Packet } from './testing.ts';

interface Bench { readonly milter: Milter; readonly warnings: string[]; say(...packets: Packet[]): void }

function bench(defaultAction = 'tempfail', protocol = '6'): Bench {
  const warnings: string[] = [];
  const milter = new Milter({ name: 'inet:x:1', protocol, defaultAction, softBounce: false, warn: (warning) => void warnings.push(warning) });
  return { milter, warnings, say: (...packets) => { for (const packet of packets) milter.receive(packetBytes(packet)); } };
}

const agreed = (steps = 0, version = 6, actions = 0x1ff): Packet => ['O', long(version) + long(actions) + long(steps)];

/** A filter that has seen the session up to the end of the message. */
function atEnd(steps = 0, defaultAction = 'tempfail'): Bench {
  const made = bench(defaultAction);
  const { milter, say } = made;
  milter.open();
  say(agreed(steps));
  const go = (): void => { if (milter.waits) say(['c']); };
  milter.connect('host.test', '192.0.2.1', 25, 'inet', []);
  go();
  milter.hello('host.test', []);
  go();
  milter.mail(['<a@b.test>'], []);
  go();
  milter.rcpt(['<c@d.test>'], []);
  go();
  milter.data([]);
  go();
  milter.beginContent();
  milter.endOfMessage([]);
  return made;
}

for (const [name, packets, verdict, edits, warning] of [
  ['continue', [['c']], undefined, [], undefined],
  ['accept', [['a']], undefined, [], undefined],
  ['reject', [['r']], '550 5.7.1 Command rejected', [], undefined],
  ['tempfail', [['t']], '451 4.7.1 Service unavailable - try again later', [], undefined],
  ['discard', [['d']], 'D', [], undefined],
  ['shutdown', [['4']], 'S', [], undefined],
  ['quarantine', [['q', text('odd')], ['c']], 'Hodd', [], undefined],
  ['a long reason', [['q', text('x'.repeat(300))], ['c']], `H${'x'.repeat(100)}`, [], undefined],
  ['a reply', [['y', text('550 5.7.1 no %%s way')]], '550 5.7.1 no %s way', [], undefined],
  ['a reply of two lines', [['y', text('450-4.7.1 a\r\n450 4.7.1 b')]], '450-4.7.1 a\r\n450 4.7.1 b', [], undefined],
  ['a reply with a success code', [['y', text('250 2.0.0 ok')]], '451 4.3.5 Server configuration problem - try again later', [], /malformed reply/],
  ['a reply whose status contradicts its code', [['y', text('550 4.7.1 x')]], '451 4.3.5 Server configuration problem - try again later', [], /malformed reply/],
  ['a reply with a bare LF', [['y', text('550 5.7.1 x\n550 y')]], '451 4.3.5 Server configuration problem - try again later', [], /malformed reply/],
  ['progress, then continue', [['p'], ['p'], ['c']], undefined, [], undefined],
  ['connection failed', [['f']], '451 4.7.1 Service unavailable - try again later', [], /unexpected filter response SMFIR_CONN_FAIL after event SMFIC_BODYEOB/],
  ['add a header', [['h', text('X-A', 'b')], ['c']], undefined, [{ kind: 'add-header', name: 'X-A', space: ' ', value: 'b' }], undefined],
  ['a value with CR LF', [['h', text('X-A', 'b\r\nEvil: 1\rx')], ['c']], undefined, [{ kind: 'add-header', name: 'X-A', space: ' ', value: 'b\nEvil: 1 x' }], undefined],
  ['a name that is none', [['h', text('X A\r\n', 'b')], ['c']], '451 4.3.5 Server configuration problem - try again later', [], /bad add header name/],
  ['insert', [['i', long(0) + text('X-A', 'b')], ['c']], undefined, [{ kind: 'insert-header', index: 1, name: 'X-A', space: ' ', value: 'b' }], undefined],
  ['change', [['m', long(0) + text('X-A', 'b')], ['c']], undefined, [{ kind: 'change-header', index: 1, name: 'X-A', space: ' ', value: 'b' }], undefined],
  ['delete', [['m', long(2) + text('X-A', '')], ['c']], undefined, [{ kind: 'delete-header', index: 2, name: 'X-A' }], undefined],
  ['an index beyond all', [['m', long(0xffffffff) + text('X-A', 'b')]], '451 4.3.5 Server configuration problem - try again later', [], /bad change header index/],
  ['a sender', [['e', text('<x@y>', 'RET=FULL')], ['c']], undefined, [{ kind: 'change-sender', address: '<x@y>', parameters: 'RET=FULL' }], undefined],
  ['a field that does not end', [['+', 'abc']], '451 4.7.1 Service unavailable - try again later', [], /missing string null terminator/],
  ['left-over bytes', [['+', text('a', 'b')]], '451 4.7.1 Service unavailable - try again later', [], /left-over data/],
  ['a body', [['b', 'x'], ['b', 'y'], ['c']], undefined, [{ kind: 'body', bytes: Buffer.from('x') }, { kind: 'body', bytes: Buffer.from('y') }, { kind: 'end-of-body' }], undefined],
  ['a body in two parts', [['b', 'x'], ['p'], ['b', 'y']], '451 4.3.5 Server configuration problem - try again later', [{ kind: 'body', bytes: Buffer.from('x') }, { kind: 'end-of-body' }], /can't currently be mixed/],
  ['a word behind a decision', [['c', 'x']], '451 4.7.1 Service unavailable - try again later', [], /was followed by 1 data bytes/],
] as const) {
  test(`at the end of the message: ${name}`, () => {
    const { milter, warnings, say } = atEnd();
    for (const packet of packets) say(packet as Packet);
    assert.equal(milter.waits, false);
    assert.equal(milter.verdict, verdict);
    assert.deepEqual(milter.edits, edits);
    if (warning === undefined) assert.deepEqual(warnings, []);
    else assert.match(warnings.join('\n'), warning);
  });
}

for (const action of ['accept', 'quarantine', 'tempfail', 'reject', 'shutdown', 'nonsense']) {
  test(`a filter that is lost in the middle of a new body never lets the message pass: ${action}`, () => {
    const { milter, say } = atEnd(0, action);
    say(['b', 'half']);
    milter.lost('Connection reset by peer');
    assert.match(milter.verdict ?? '', /^[45]/);
  });
}

test('every way of not being able to agree ends with the default action', () => {
  for (const [packet, warning] of [
    [['c'], /unexpected reply "c" in initial handshake/],
    [['O', long(7) + long(0) + long(0)], /protocol version 7 conflict/],
    [['O', long(6) + long(0x200) + long(0)], /request mask 0x200 conflict/],
    [['O', long(6)], /too short/],
    [['O', long(6) + long(0) + long(0) + long(1) + 'j'], /null terminator/],
  ] as const) {
    const { milter, warnings, say } = bench();
    milter.open();
    say(packet as Packet);
    assert.equal(milter.lasting, '451 4.7.1 Service unavailable - try again later');
    assert.match(warnings.join('\n'), warning);
  }
});

for (const [protocol, trouble] of [['', /no protocol version/], ['5', /bad protocol information: 5/], ['6 4', /bad protocol information: 4/], ['no_header_reply', /no protocol version/]] as const) {
  test(`milter_protocol = ${protocol}`, () => {
    const { milter, warnings } = bench('tempfail', protocol);
    assert.equal(milter.open(), false);
    assert.equal(milter.lasting, '451 4.3.5 Server configuration problem - try again later');
    assert.match(warnings.join('\n'), trouble);
  });
}

test('what was decided for the session holds, and is not asked again', () => {
  const { milter, say } = bench();
  milter.open();
  say(agreed());
  milter.connect('unknown', '192.0.2.1', 25, 'inet', ['j', 'mx.test']);
  assert.match(Buffer.concat(milter.take()).toString('latin1'), /DCj\0mx\.test\0.*C\[192\.0\.2\.1\]\x004\0\x19192\.0\.2\.1\0/s);
  say(['r']);
  milter.mail(['<a@b>'], []);
  assert.deepEqual([milter.waits, milter.verdict, milter.isOver], [false, '550 5.7.1 Command rejected', true]);
});

const packet: fc.Arbitrary<Buffer> = fc.oneof(
  fc.tuple(fc.constantFrom(...'+-2abcdefhilmpqrsty4OZ'), fc.oneof(fc.constant(''), fc.string({ unit: fc.constantFrom('a', '\0', '5', ' ', '-', '%', '\r', '\n', '\xff'), maxLength: 30 }))).map((each) => packetBytes(each)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);

/** Whatever comes, in whatever pieces: what is left of it. */
function hear(bytes: Buffer, cuts: readonly number[], steps: number): { verdict: string | undefined; edits: readonly Edit[]; waits: boolean; over: boolean } {
  const { milter } = atEnd(steps);
  let from = 0;
  for (const cut of [...new Set(cuts)].filter((each) => each < bytes.length).sort((a, b) => a - b).concat(bytes.length)) {
    milter.receive(bytes.subarray(from, cut));
    from = cut;
  }
  return { verdict: milter.verdict, edits: milter.edits, waits: milter.waits, over: milter.isOver };
}

test('any bytes in any split never throw, and say the same however they are cut', () => {
  const joined = (edits: readonly Edit[]): unknown[] => edits.reduce<unknown[]>((all, edit) => {
    const last = all.at(-1);
    if (edit.kind === 'body' && typeof last === 'string') all[all.length - 1] = last + edit.bytes.toString('latin1');
    else all.push(edit.kind === 'body' ? edit.bytes.toString('latin1') : edit);
    return all;
  }, []);
  fc.assert(fc.property(fc.array(packet, { maxLength: 8 }), fc.array(fc.nat(200), { maxLength: 10 }), fc.nat(0x1fffff), (packets, cuts, steps) => {
    const bytes = Buffer.concat(packets);
    const [whole, cut] = [hear(bytes, [], steps), hear(bytes, cuts, steps)];
    assert.deepEqual({ ...cut, edits: joined(cut.edits) }, { ...whole, edits: joined(whole.edits) });
  }), { numRuns: 2000 });
});

test('a packet beyond the bound is never gathered', () => {
  const { milter, warnings } = atEnd();
  milter.receive(Buffer.from([0, 0xa0, 0, 0, 0x79]));
  assert.deepEqual([milter.waits, milter.isOver], [false, true]);
  assert.match(warnings.join('\n'), /unreasonable packet length: 10485760 > 1048576/);
});
