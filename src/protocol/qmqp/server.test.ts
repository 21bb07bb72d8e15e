import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { netstring } from './netstring.ts';
import { QmqpServerSession, type QmqpServerSettings } from './server.ts';

const settings: QmqpServerSettings = { timeout: 300, errorDelay: 1, messageLimit: 1000, lineLimit: 100, softBounce: false };

function told(machine: QmqpServerSession): string[] {
  const steps: string[] = [];
  for (let step = machine.next(); step !== undefined; step = machine.next()) {
    switch (step.kind) {
      case 'message': steps.push(`message ${Buffer.concat(step.pieces).toString('latin1')}`); break;
      case 'sender': case 'recipient': steps.push(`${step.kind} ${step.address}`); break;
      case 'trouble': steps.push(`${step.trouble} while ${step.where}`); break;
      case 'send': steps.push(/^[0-9]+:(.*),$/s.exec(step.bytes.toString('latin1'))![1]!); break;
      case 'delay': steps.push(`delay ${step.milliseconds}`); break;
      case 'complete':
        steps.push(step.kind);
        machine.answer('K', 'Ok');
        break;
      default: steps.push(step.kind);
    }
  }
  return steps;
}

function heard(pieces: readonly Buffer[], end = true, own: Partial<QmqpServerSettings> = {}): string[] {
  const machine = new QmqpServerSession({ ...settings, ...own });
  const steps: string[] = [];
  for (const piece of pieces) {
    machine.receive(piece);
    steps.push(...told(machine));
  }
  if (end) machine.end();
  return [...steps, ...told(machine)];
}

const packet = netstring(netstring('Subject: x\n\ny\n'), netstring('a@b'), netstring('c@d'), netstring(''));
const packetSteps = ['message Subject: x\n\ny\n', 'sender a@b', 'recipient c@d', 'recipient ', 'complete', 'KOk', 'close'];

test('a packet, cut anywhere', () => {
  fc.assert(fc.property(fc.array(fc.nat(packet.length), { maxLength: 10 }), (cuts) => {
    const places = [0, ...cuts.sort((one, other) => one - other), packet.length];
    assert.deepEqual(heard(places.slice(1).map((to, at) => packet.subarray(places[at]!, to))), packetSteps);
  }));
});

const cases: readonly (readonly [title: string, input: string, steps: readonly string[], own?: Partial<QmqpServerSettings>])[] = [
  ['nothing at all', '', ['lost while receiving QMQP packet header', 'close']],
  ['an SMTP client', 'EHLO x\r\n', ['format while receiving QMQP packet header', 'delay 1000', 'Dnetstring format error while receiving QMQP packet header', 'close']],
  ['half a message', '30:10:abc', ['lost while receiving message content', 'close']],
  ['a message without its comma', '30:3:abcx', ['format while receiving message content', 'delay 1000', 'Dnetstring format error while receiving message content', 'close']],
  ['a message that is too large', '5000:1001:', ['size while receiving message content', 'delay 1000', 'Dnetstring length exceeds storage limit while receiving message content', 'close']],
  ['the same, and soft_bounce', '5000:1001:', ['size while receiving message content', 'Znetstring length exceeds storage limit while receiving message content', 'close'], { softBounce: true, errorDelay: 0 }],
  ['no limit', '5000:1001:', ['lost while receiving message content', 'close'], { messageLimit: 0 }],
  ['a long sender', '5000:1:x,101:', ['message x', 'size while receiving sender address', 'delay 1000', 'Dnetstring length exceeds storage limit while receiving sender address', 'close']],
  ['a length beyond all numbers', '9'.repeat(30), ['size while receiving QMQP packet header', 'delay 1000', 'Dnetstring length exceeds storage limit while receiving QMQP packet header', 'close']],
  ['no end of the recipients', '50:1:x,1:s,1:r,', ['message x', 'sender s', 'recipient r', 'lost while receiving recipient address', 'close']],
  ['no recipient', '9:1:x,1:s,,', ['message x', 'sender s', 'complete', 'KOk', 'close']],
  ['the length of the whole does not matter', '1:1:x,1:s,1:r,,', ['message x', 'sender s', 'recipient r', 'complete', 'KOk', 'close']],
];
for (const [title, input, steps, own] of cases) test(`${title}`, () => assert.deepEqual(heard([Buffer.from(input)], true, own), steps));

test('whatever bytes come in whatever pieces: steps, never a throw, and at most one answer', () => {
  const alphabet = fc.constantFrom('0', '1', '3', ':', ',', 'a', '\0', '\r\n', '12:');
  fc.assert(fc.property(fc.array(fc.array(alphabet, { maxLength: 8 }), { maxLength: 12 }), (pieces) => {
    const steps = heard(pieces.map((piece) => Buffer.from(piece.join(''))));
    assert.equal(steps.at(-1), 'close');
    assert.equal(steps.filter((step) => step === 'close').length, 1);
  }));
});

test('a silent client is waited for as long as qmqpd_timeout says, from its last byte on', () => {
  const machine = new QmqpServerSession(settings);
  machine.expire(5000);
  assert.equal(machine.deadline(), 305_000);
  machine.expire(200_000);
  machine.receive(Buffer.from('3'));
  assert.deepEqual(told(machine), []);
  machine.expire(305_000);
  assert.deepEqual(told(machine), []);
  machine.expire(500_000);
  assert.deepEqual(told(machine), ['timeout while receiving QMQP packet header', 'close']);
  assert.equal(machine.deadline(), undefined);
});

test('a stranger is answered before it has said anything', () => {
  const machine = new QmqpServerSession(settings);
  machine.answer('D', 'no');
  machine.receive(packet);
  assert.deepEqual(told(machine), ['delay 1000', 'Dno', 'close']);
});
