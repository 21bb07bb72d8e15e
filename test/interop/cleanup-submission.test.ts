/**
 * The same mail by sendmail(1), postdrop(1), pickup(8) and cleanup(8) of Debian and ours: recipients from headers, resent mail, full names, VERP, tables,
 * content filter. Queue files and log lines are the same, record by record.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { noDebianPostfix } from '../debian-postfix.ts';
import { playPair, type Outcome, type PairCase, type PairResult } from './cleanup-pair.ts';

const local = { canonical_maps: 'inline:{ { bob@host.pair.test = sales@example.org } }', virtual_alias_maps: 'inline:{ { list@host.pair.test = a@x.test b@x.test } }', masquerade_domains: 'pair.test', masquerade_exceptions: 'root' };

const cases: PairCase[] = ([
  ['to one', ['you@there.test'], 'Subject: x\n\nbody\n'],
  ['a sender of its own', ['-f', 'bob', 'you@there.test'], 'From: bob\nTo: you\n\nbody\n'],
  ['the null sender', ['-f', '', 'you@there.test'], 'Subject: x\n\nbody\n'],
  ['the null sender in brackets', ['-f', '<>', 'you@there.test'], 'Subject: x\n\nbody\n'],
  ['a full name', ['-F', 'Joe "the" Smith, Jr.', '-f', 'joe', 'you@there.test'], 'Subject: x\n\nbody\n'],
  ['the sender is excepted', ['-f', 'root@a.pair.test', 'you@there.test'], 'From: root@a.pair.test\nCc: joe@a.pair.test\n\nbody\n'],
  ['addresses in the arguments', ['-f', 'me', 'joe, ann@x.test', '"a b"@y.test', 'Name <c@z.test>', 'x!y'], '\nbody\n'],
  ['-t', ['-t', '-f', 'me'], 'To: joe, ann (Ann) <ann@x.test>\nCc: "B C" <bc@x.test>, group: d@x.test, e@x.test;\nBcc: f@x.test\nSubject: x\n\nbody\n'],
  ['-t and arguments', ['-t', '-f', 'me', 'also@x.test'], 'To: joe@x.test\n\nbody\n'],
  ['-t, folded', ['-t', '-f', 'me'], 'To: joe,\n\tann@x.test,\n bob\n\nbody\n'],
  ['-t, resent', ['-t', '-f', 'me'], 'To: not@x.test\nCc: not2@x.test\nResent-To: r@x.test\nResent-Cc: s@x.test\nResent-Bcc: t@x.test\nFrom: old@x.test\nResent-From: me\n\nbody\n'],
  ['-t, resent last', ['-t', '-f', 'me'], 'Resent-From: me\nResent-To: r@x.test\nTo: not@x.test\n\nbody\n'],
  ['-t, two resent blocks', ['-t', '-f', 'me'], 'Resent-To: one@x.test\nResent-From: me\nResent-To: two@x.test\nResent-From: you@x.test\nTo: not@x.test\n\nbody\n'],
  ['-t, all written twice', ['-t', '-f', 'me'], 'To: joe@x.test, JOE@x.test, joe@x.test\nCc: joe@x.test\n\nbody\n'],
  ['-t, an alias', ['-t', '-f', 'me'], 'To: list\n\nbody\n'],
  ['-t, odd addresses', ['-t', '-f', 'me'], 'To: a!b, c%d, <@r.test:e@f.test>, "g h", i@[1.2.3.4], @\nCc: undisclosed-recipients:;\n\nbody\n'],
  ['a mail box line', ['-f', 'me', 'you@there.test'], 'From joe Mon Jan  1 00:00:00 2024\nSubject: x\n\nFrom here\n'],
  ['a line with a dot', ['-f', 'me', 'you@there.test'], 'Subject: x\n\none\n.\ntwo\n'],
  ['a line with a dot, ignored', ['-i', '-f', 'me', 'you@there.test'], 'Subject: x\n\none\n.\ntwo\n'],
  ['white space first', ['-f', 'me', 'you@there.test'], ' no header\nSubject: x\n\nbody\n'],
  ['no headers', ['-f', 'me', 'you@there.test'], 'just text\n'],
  ['no body', ['-f', 'me', 'you@there.test'], 'Subject: x\n'],
  ['nothing', ['-f', 'me', 'you@there.test'], ''],
  ['the gateway', ['-G', '-f', 'bob', 'you@there.test'], 'From: bob\nTo: list, x@a.pair.test\n\nbody\n'],
  ['VERP', ['-XV', '-f', 'bob', 'you@there.test'], 'Subject: x\n\nbody\n'],
  ['VERP with delimiters', ['-XV-=', '-f', 'joe', 'you@there.test', 'list'], 'Subject: x\n\nbody\n'],
  ['notices', ['-N', 'success,failure', '-V', 'env+id', '-R', 'hdrs', '-f', 'me', 'you@there.test', 'bob'], 'Subject: x\n\nbody\n'],
  ['no notices', ['-N', 'never', '-f', 'me', 'list'], 'Subject: x\n\nbody\n'],
  ['8-bit', ['-B8BITMIME', '-f', 'me', 'you@there.test'], 'Subject: x\n\n\xe4\xf6\n'],
  ['another script', ['-f', '\xc3\xa4@x.test', '\xc3\xb6@x.test'], 'From: \xc3\xa4@x.test\n\nbody\n'],
] as const).map(([name, sendmail, message]) => ({ name, sendmail: [...sendmail], message, settings: local }));

const skip = noDebianPostfix();
let results: Map<string, PairResult> = new Map();
before(async () => { if (!skip) results = await playPair(cases, { local, mainCf: 'in_flow_delay = 0\ncontent_filter = scan:[127.0.0.1]:10025\nreceive_override_options = no_milters\n' }); });

function comparable(outcome: Outcome): Outcome {
  const saysRemoved = [...results.values()].some(({ theirs }) => theirs.log.some((line) => line.includes(': removed (')));
  const log = outcome.log.filter((line) => saysRemoved || !line.includes(': removed ('));
  return { ...outcome, log, reply: outcome.reply.replace(/sendmail: fatal/g, 'fatal').replace(/^.*fatal: /m, 'fatal: ') };
}

for (const { name } of cases) {
  test(`by sendmail: ${name}`, { skip }, () => {
    const { ours, theirs } = results.get(name)!;
    assert.deepEqual(comparable(ours), comparable(theirs));
  });
}
