/** XCLIENT, XFORWARD, and what else depends on who the client is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { forwardedClient, readXclient, readXforward, type AttributeRules } from './client-attributes.ts';
import { strangerOf, type Peer } from './peer.ts';
import { defaultSettings, type SmtpServerSettings } from './settings.ts';
import type { Question, Verdict } from './steps.ts';
import { Rehearsal, yes } from './testing.ts';

const rules: AttributeRules = { smtputf8: true, families: ['IPv4', 'IPv6'] };
const trusted: Partial<Peer> = { xclient: true, xforward: true, verp: true };

/** A client with these rights; `later`: what it is after XCLIENT. */
function rehearsal(rights: Partial<Peer>, settings: Partial<SmtpServerSettings> = {}, later: Partial<Peer> = rights): Rehearsal {
  let connects = 0;
  const verdict = (question: Question): Verdict => {
    if (question.verb !== 'CONNECT') return yes(question);
    const peer: Peer = { ...strangerOf({ ...defaultSettings('mx.test', 'client.test[192.0.2.1]'), ...settings }), ...(connects++ === 0 ? rights : later) };
    return { accept: true, peer };
  };
  return new Rehearsal({ smtpd_error_sleep_time: 0, ...settings }, verdict).drain();
}

test('XCLIENT: everything that can be said', () => {
  const words = 'NAME=mx.test REVERSE_NAME=rev.test addr=IPv6:2001:DB8::1 PORT=25 HELO=a+20b PROTO=esmtp LOGIN=joe+3Duser DESTADDR=198.51.100.1 DESTPORT=587';
  assert.deepEqual(readXclient(words.split(' '), rules), {
    taken: {
      name: { name: 'mx.test', status: 'ok' }, reverseName: { name: 'rev.test', status: 'ok' },
      address: { address: '2001:db8::1', literal: 'IPv6:2001:db8::1' }, port: '25', helo: { name: 'a?b' }, protocol: 'ESMTP', login: 'joe=user',
      serverAddress: '198.51.100.1', serverPort: '587',
    },
  });
});

test('XCLIENT: nothing of it is known', () => {
  const words = ['NAME=[TEMPUNAVAIL]', 'REVERSE_NAME=[unavailable]', 'ADDR=[UNAVAILABLE]', 'PORT=[UNAVAILABLE]', 'HELO=[UNAVAILABLE]', 'LOGIN=[UNAVAILABLE]'];
  assert.deepEqual(readXclient(words, rules), {
    taken: {
      name: { name: 'unknown', status: 'temporary' }, reverseName: { name: 'unknown', status: 'permanent' },
      address: { address: 'unknown', literal: 'unknown' }, port: 'unknown', helo: { name: undefined },
    },
  });
});

test('XFORWARD adds to what was said before', () => {
  const first = readXforward(['NAME=mx.test', 'IDENT=4abc', 'SOURCE=remote'], undefined, rules);
  assert.ok('taken' in first);
  const second = readXforward(['IDENT=[UNAVAILABLE]', 'ADDR=192.0.2.9'], first.taken, rules);
  assert.deepEqual(second, { taken: { name: 'mx.test', ident: { id: undefined }, source: 'remote' as const, address: { address: '192.0.2.9', literal: '192.0.2.9' } } });
  assert.deepEqual(forwardedClient('taken' in second ? second.taken : undefined), {
    name: 'mx.test', address: '192.0.2.9', literal: '192.0.2.9', port: 'unknown', helo: undefined, protocol: 'unknown',
  });
  assert.equal(forwardedClient({ source: 'local', ident: { id: 'x' } }), undefined);
});

test('XCLIENT begins the session anew', () => {
  const play = rehearsal(trusted).say('EHLO a.test\r\n', 'XCLIENT ADDR=203.0.113.1 HELO=b.test PROTO=ESMTP\r\n', 'MAIL FROM:<>\r\n');
  assert.equal(play.codes, '220 250 220 250');
  assert.deepEqual(play.questions.map(({ verb }) => verb), ['CONNECT', 'EHLO', 'XCLIENT', 'CONNECT', 'MAIL']);
  assert.deepEqual([play.session.helo, play.session.protocol], ['b.test', 'ESMTP']);
  play.say('RSET\r\n', 'XCLIENT NAME=c.test\r\n');
  assert.deepEqual([play.session.helo, play.session.protocol], [undefined, 'SMTP']);
  assert.equal(play.session.statistics(), 'ehlo=1 xclient=0/2 mail=1 rset=1 commands=3/5');
});

test('the new client has the rights of the new client', () => {
  const play = rehearsal(trusted, {}, { client: 'other[203.0.113.1]', discardedKeywords: new Set(['dsn']) });
  play.say('XCLIENT ADDR=203.0.113.1\r\n', 'EHLO b.test\r\n', 'XCLIENT ADDR=203.0.113.2\r\n', 'XFORWARD ADDR=203.0.113.2\r\n');
  assert.equal(play.codes, '220 220 250 550 550');
  assert.doesNotMatch(play.replies, /XCLIENT|XFORWARD|DSN/);
});

test('XFORWARD is for one message', () => {
  const play = rehearsal(trusted).say('XFORWARD NAME=mx.test\r\n', 'MAIL FROM:<>\r\n', 'RSET\r\n', 'MAIL FROM:<>\r\n', 'RSET\r\n', 'XFORWARD NAME=mx.test\r\n', 'EHLO x\r\n', 'MAIL FROM:<>\r\n');
  const forwarded = play.questions.flatMap((question) => (question.verb === 'MAIL' ? [question.forwarded] : []));
  assert.deepEqual(forwarded, [{ name: 'mx.test' }, undefined, undefined]);
});

for (const [rights, line, what] of [
  [{ xclient: 'trouble' }, 'EHLO x', 'if EHLO feature XCLIENT should be announced to'],
  [{ xforward: 'trouble' }, 'EHLO x', 'if EHLO feature XFORWARD should be announced to'],
  [{ verp: 'trouble' }, 'EHLO x', 'if EHLO feature XVERP should be announced to'],
  [{ discardedKeywords: undefined }, 'EHLO x', 'what EHLO features to announce to'],
  [{ xclient: 'trouble' }, 'XCLIENT NAME=a.test', 'if command XCLIENT should be allowed from'],
  [{ xforward: 'trouble' }, 'XFORWARD NAME=a.test', 'if command XFORWARD should be allowed from'],
] as const satisfies readonly (readonly [Partial<Peer>, string, string])[]) {
  test(`a list that cannot be asked: ${what}`, () => {
    const play = rehearsal(rights).say(`${line}\r\n`, 'NOOP\r\n');
    assert.deepEqual(play.logs, [{ event: 'unsure', what }, { event: 'data-error' }]);
    assert.match(play.replies, /421 4\.3\.0 mx\.test Server local data error\r\n$/);
    assert.equal(play.closed, 'hang-up');
  });
}

test('a hidden feature raises no doubt', () => {
  assert.equal(rehearsal({ xclient: 'trouble', discardedKeywords: new Set(['xclient', 'silent-discard']) }).say('EHLO x\r\n').codes, '220 250');
});

test('bare newlines follow the client', () => {
  const play = rehearsal({ ...trusted, policesNewlines: false }, { smtpd_forbid_bare_newline: 'reject' }, { policesNewlines: true });
  play.say('NOOP\n', 'XCLIENT ADDR=203.0.113.1\n', 'NOOP\n');
  assert.equal(play.codes, '220 250 220 550');
});

test('a command filter is asked about commands, not about content', () => {
  const asked: string[] = [];
  const verdict = (question: Question): Verdict => {
    if (question.verb !== 'COMMAND') return yes(question);
    asked.push(question.line);
    return question.line === 'HI there' ? { accept: true, line: 'EHLO there' } : { accept: true };
  };
  const play = new Rehearsal({ filtersCommands: true }, verdict).drain();
  play.say('HI there\r\n', 'MAIL FROM:<>\r\nRCPT TO:<x@y.test>\r\nDATA\r\n', 'text\r\n.\r\n', 'QUIT\r\n');
  assert.equal(play.codes, '220 250 250 250 354 250 221');
  assert.deepEqual(asked, ['HI there', 'MAIL FROM:<>', 'RCPT TO:<x@y.test>', 'DATA', 'QUIT']);
});

test('REQUIRETLS is for encrypted sessions', () => {
  const play = rehearsal({}, { smtpd_use_tls: true }).say('EHLO x\r\n', 'MAIL FROM:<> REQUIRETLS\r\n', 'STARTTLS\r\n');
  assert.equal(play.codes, '220 250 555 220');
  assert.doesNotMatch(play.replies, /REQUIRETLS\r\n250/);
  play.session.secured();
  play.drain().say('EHLO x\r\n', 'MAIL FROM:<> REQUIRETLS\r\n');
  assert.match(play.replies, /250 REQUIRETLS\r\n250 2\.1\.0 Ok\r\n$/);
});

const word = fc.oneof(
  fc.tuple(fc.constantFrom('NAME', 'ADDR', 'PORT', 'HELO', 'PROTO', 'LOGIN', 'IDENT', 'SOURCE', 'DESTADDR', 'REVERSE_NAME', 'X'),
    fc.oneof(fc.string(), fc.constantFrom('mx.test', '192.0.2.1', 'IPv6:::1', '[UNAVAILABLE]', '[TEMPUNAVAIL]', '25', 'ESMTP', 'LOCAL', '+0D+0A', 'a+00b', '+', ''))).map(([name, value]) => `${name}=${value}`),
  fc.string(), fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
);

function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
}

test('whatever attributes come: nothing that a log could not bear', () => {
  fc.assert(fc.property(fc.array(word, { maxLength: 12 }), (words) => {
    for (const read of [readXclient(words, { ...rules, smtputf8: false }), readXforward(words, { name: 'a.test' }, { ...rules, smtputf8: false })])
      assert.ok(texts(read).every((text) => /^[ -~]*$/.test(text)));
  }), { numRuns: 1000 });
});

const line = fc.oneof(fc.tuple(fc.constantFrom('XCLIENT', 'XFORWARD'), fc.array(word, { maxLength: 4 })).map(([verb, words]) => `${verb} ${words.join(' ')}`),
  fc.constantFrom('EHLO x', 'MAIL FROM:<> XVERP', 'MAIL FROM:<a@b.test> XVERP', 'RCPT TO:<x@y.test>', 'RSET', 'NOOP'));

test('pieces do not matter', () => {
  const settings = { smtpd_forbid_unauth_pipelining: false, smtpd_hard_error_limit: 1000 } as const;
  fc.assert(fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(600), { maxLength: 8 }), (lines, places) => {
    const text = `${lines.join('\r\n')}\r\n`;
    const ends = [...places.map((place) => Math.min(place, text.length)).sort((a, b) => a - b), text.length];
    const outcome = (parts: readonly string[]): unknown[] => {
      const play = rehearsal(trusted, settings).say(...parts);
      return [play.replies, play.questions, play.session.statistics()];
    };
    assert.deepEqual(outcome(ends.map((end, at) => text.slice(at === 0 ? 0 : ends[at - 1], end))), outcome([text]));
  }), { numRuns: 300 });
});
