/**
 * Milters beside Debian's Postfix: the same filters, the same conversations; clients hear the same, filters are told the same, the log says
 * the same and the queue files are the same. Skipped, by name, where there is no Postfix of Debian.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Filter, type Script } from '../../src/network/milter-testing.ts';
import { edit } from '../../src/protocol/milter/testing.ts';
import { noDebianPostfix } from '../debian-postfix.ts';
import { MilterSide, type Outcome, type Talk } from './milter-pair.ts';

const skip = noDebianPostfix();
/** Another build of Postfix is a recent one (test/debian-postfix.ts). */
const isOlder = process.env['POSTFIX_DAEMONS'] === undefined;
const one = new Filter();
const two = new Filter();
let debian: MilterSide;
let ours: MilterSide;
let debianLocal: MilterSide;
let ourLocal: MilterSide;

before(async () => {
  if (skip !== false) return;
  await one.start();
  await two.start();
  const inet = (filter: Filter): string => `inet:127.0.0.1:${filter.port}`;
  const options = {
    mainCf: 'virtual_alias_domains = alias.b.test\nvirtual_alias_maps = inline:{ { team@alias.b.test = x@b.test y@b.test } }\nmilter_command_timeout = 2s\nmilter_content_timeout = 2s\nmilter_header_checks = regexp:{ {/^X-Reject: 1/ REJECT}, {/^X-Reject: 2/ REJECT 4.7.9 not now}, {/^X-Filter: 1/ FILTER smtp:[127.0.0.1]:9}, {/^X-Redirect: 1/ REDIRECT who@b.test}, {/^X-Hold: 1/ HOLD marked}, {/^X-Discard: 1/ DISCARD away}, {/^X-Bcc: 1/ BCC copy@b.test}, {/^X-Ignore: 1/ IGNORE}, {/^X-Strip: 1/ STRIP taken}, {/^X-Replace: 1/ REPLACE X-New: 2}, {/^X-Warn: 1/ WARN look}, {/^X-Info: 1/ INFO so}, {/^X-Odd: 1/ PREPEND X-P: 1}, {/^X-Odd: 2/ NONSENSE}, {/^X-Odd: 3/ REPLACE nothing} }\n',
    rows: {
      plain: `smtpd_milters = ${inet(one)}`,
      pair: `smtpd_milters = ${inet(one)} ${inet(two)}`,
      accept: `smtpd_milters = ${inet(one)}\nmilter_default_action = accept`,
      reject: `smtpd_milters = ${inet(one)}\nmilter_default_action = reject`,
      shutdown: `smtpd_milters = ${inet(one)}\nmilter_default_action = shutdown`,
      quarantine: `smtpd_milters = ${inet(one)}\nmilter_default_action = quarantine`,
      v2: `smtpd_milters = ${inet(one)}\nmilter_protocol = 2`,
      own: `smtpd_milters = {${inet(one)}, protocol=3, default_action=accept}`,
      dead: 'smtpd_milters = inet:127.0.0.1:1',
      bad: 'smtpd_milters = nonsense:1',
      macros: `smtpd_milters = ${inet(one)}\nmilter_connect_macros = j _ v {daemon_name} {client_addr} {client_name} {client_ptr} {client_port} {nonsense}\nmilter_macro_defaults = nonsense=sense, {{tls_version} = none}\nmilter_macro_daemon_name = here\nmilter_end_of_data_macros = i j {tls_version} {client_addr} {mail_addr}\nmilter_data_macros = i {rcpt_addr}`,
      early: `smtpd_milters = ${inet(one)}\nsmtpd_delay_reject = no\nsmtpd_client_restrictions = \nsmtpd_milter_maps = inline:{ 127.0.0.1=DISABLE }`,
      soft: `smtpd_milters = ${inet(one)}\nsoft_bounce = yes`,
    },
  };
  const local = {
    mainCf: `non_smtpd_milters = ${inet(one)}\nmilter_connect_macros = j {client_name} {client_addr} {client_port}\nmilter_end_of_data_macros = i {mail_addr} {rcpt_addr} _\nmilter_command_timeout = 2s\n`,
    rows: {}, services: 'cleanup rewrite pickup bounce',
  };
  [debian, ours, debianLocal, ourLocal] = await Promise.all([MilterSide.start('debian', options), MilterSide.start('ours', options), MilterSide.start('debian', local), MilterSide.start('ours', local)]);
});

after(async () => {
  await Promise.all([debian, ours, debianLocal, ourLocal].map((side) => side?.stop()));
  await Promise.all([one.stop(), two.stop()]);
});

const message = 'From: ann@a.test\nTo: joe@b.test\nSubject: one\nMessage-ID: <1@a.test>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nX-Same: first\nX-Same: second\n\nbody\nmore';
const begin = ['EHLO client.test', 'MAIL FROM:<ann@a.test>'];
const usual = [...begin, 'RCPT TO:<joe@b.test>', 'DATA', `=${message}`, 'QUIT'];

type Row = string;
interface Case {
  readonly name: string;
  readonly row?: Row;
  readonly talk?: Talk;
  readonly first?: Script;
  readonly second?: Script;
  /** What releases before 3.12 do otherwise. */
  readonly older?: readonly (keyof Outcome)[];
  /** In the replies or the log of ours. */
  readonly says?: RegExp;
  /** What filters hear behind the message is not the same: a session that a filter has ended is told of its end no more. */
  readonly untidy?: boolean;
  /** The queue has a report, in our own words. */
  readonly bounces?: boolean;
}

const at = (letter: string, ...packets: (readonly [string, string?])[]): Script => ({ answers: { [letter]: [packets] } });
const end = (...packets: (readonly [string, string?])[]): Script => at('E', ...packets, ['c']);

const cases: readonly Case[] = [
  { name: 'everything continues' },
  { name: 'nothing wanted', first: { steps: 0x37f } },
  { name: 'accept at connect', first: at('C', ['a']) },
  { name: 'reject at connect', first: at('C', ['r']) },
  { name: 'tempfail at connect', first: at('C', ['t']) },
  { name: 'discard at connect', first: at('C', ['d']) },
  { name: 'shutdown at connect', first: at('C', ['4']) },
  { name: 'a reply of its own at connect', first: at('C', edit.reply('554 5.7.1 go %% away')) },
  { name: 'a 421 of its own at connect', first: at('C', edit.reply('421 4.7.1 later')) },
  { name: 'reject at helo', first: at('H', ['r']) },
  { name: 'tempfail at helo', first: at('H', ['t']) },
  { name: 'accept at helo', first: at('H', ['a']) },
  { name: 'shutdown at helo', first: at('H', ['4']) },
  { name: 'reject at mail', first: at('M', ['r']) },
  { name: 'tempfail at mail', first: at('M', ['t']) },
  { name: 'discard at mail', first: at('M', ['d']) },
  { name: 'accept at mail', first: at('M', ['a']) },
  { name: 'shutdown at mail', first: at('M', ['4']) },
  { name: 'a reply of several lines at mail', first: at('M', edit.reply('550-5.7.1 one\r\n550 5.7.1 two')) },
  { name: 'a malformed reply at mail', first: at('M', edit.reply('250 ok')) },
  { name: 'data behind a decision', first: at('M', ['c', 'x']) },
  { name: 'an unknown reply', first: at('M', ['Z']) },
  { name: 'an edit too early', first: at('M', edit.add('X-Early', 'yes')) },
  { name: 'reject one of two recipients', first: { answers: { R: [[['r']], [['c']]] } }, talk: [...begin, 'RCPT TO:<one@b.test>', 'RCPT TO:<two@b.test> NOTIFY=NEVER', 'DATA', `=${message}`, 'QUIT'] },
  { name: 'a refused recipient, not wanted', talk: [...begin, 'RCPT TO:<x@elsewhere.test>', 'RCPT TO:<joe@b.test>', 'QUIT'] },
  { name: 'a refused recipient, wanted', first: { steps: 1 << 11 }, talk: [...begin, 'RCPT TO:<x@elsewhere.test>', 'RCPT TO:<joe@b.test>', 'QUIT'] },
  { name: 'reject at data', first: at('T', ['r']) },
  { name: 'discard at data', first: at('T', ['d']) },
  { name: 'a header is too much', first: at('L', ['r']) },
  { name: 'accept at a header', first: at('L', ['a']) },
  { name: 'skip headers', first: at('L', ['s']) },
  { name: 'tempfail at the end of the headers', first: at('N', ['t']) },
  { name: 'skip the body', first: at('B', ['s']) },
  { name: 'reject at the body', first: at('B', ['r']) },
  { name: 'reject at the end', first: at('E', ['r']) },
  { name: 'tempfail at the end', first: at('E', ['t']) },
  { name: 'discard at the end', first: at('E', ['d']) },
  { name: 'shutdown at the end', first: at('E', ['4']), untidy: true, older: ['log', 'replies', 'queue'], says: /421 4\.7\.0 Service unavailable/ },
  { name: 'accept at the end', first: at('E', ['a']) },
  { name: 'a reply of its own at the end', first: at('E', edit.reply('554 5.7.9 no %%s thanks')) },
  { name: 'a reply of several lines at the end', first: at('E', edit.reply('452-4.7.1 one\r\n452 4.7.1 two')) },
  { name: 'quarantine', first: end(edit.quarantine('looks odd')), older: ['log'], says: /milter-hold: END-OF-MESSAGE from unknown\[127\.0\.0\.1\]: looks odd;/ },
  { name: 'progress', first: end(['p'], ['p']) },
  { name: 'add a header', first: end(edit.add('X-Added', 'yes')) },
  { name: 'add a header of several lines', first: end(edit.add('X-Added', 'yes\n\tand more\nno tab')) },
  { name: 'add a long header', first: end(edit.add('X-Long', 'x'.repeat(3000))) },
  { name: 'insert at the top', first: end(edit.insert(0, 'X-Top', 'yes')) },
  { name: 'insert behind Received', first: end(edit.insert(1, 'X-Second', 'yes')) },
  { name: 'insert in the middle', first: end(edit.insert(3, 'X-Middle', 'yes')) },
  { name: 'insert far behind', first: end(edit.insert(100, 'X-Last', 'yes')) },
  { name: 'insert twice at the top', first: end(edit.insert(0, 'X-One', '1'), edit.insert(0, 'X-Two', '2')) },
  { name: 'change a header', first: end(edit.change(1, 'Subject', 'two')) },
  { name: 'change the second of a name', first: end(edit.change(2, 'x-same', 'other')) },
  { name: 'change one that is not there', first: end(edit.change(1, 'X-None', 'now')) },
  { name: 'change with index 0', first: end(edit.change(0, 'Subject', 'zero')) },
  { name: 'delete a header', first: end(edit.change(1, 'X-Same', '')) },
  { name: 'delete all of a name', first: end(edit.change(2, 'X-Same', ''), edit.change(1, 'X-Same', '')) },
  { name: 'delete one that is not there', first: end(edit.change(3, 'X-Same', '')) },
  { name: 'our Received is not to be deleted', first: end(edit.change(1, 'Received', '')) },
  { name: 'change what was added', first: end(edit.add('X-A', '1'), edit.change(1, 'X-A', '2')) },
  { name: 'values with leading space', first: { steps: 1 << 20, answers: { E: [[edit.add('X-A', '  two'), edit.change(1, 'Subject', ' one'), ['c']]] } } },
  ...['X-Reject: 1', 'X-Reject: 2', 'X-Filter: 1', 'X-Redirect: 1', 'X-Hold: 1', 'X-Discard: 1', 'X-Bcc: 1', 'X-Ignore: 1', 'X-Strip: 1', 'X-Replace: 1', 'X-Warn: 1', 'X-Info: 1', 'X-Odd: 1', 'X-Odd: 2', 'X-Odd: 3']
    .map((header): Case => ({ name: `milter_header_checks of ${header}`, first: end(edit.add(header.split(': ')[0]!, header.split(': ')[1]!), edit.add('X-After', '1')) })),
  { name: 'milter_header_checks drops what a header is changed to', first: end(edit.change(1, 'X-Same', 'x'), edit.change(1, 'X-Ignore', '1')) },
  { name: 'milter_header_checks, then the filter rejects too', first: at('E', edit.add('X-Reject', '1'), ['r']) },
  { name: 'another sender', first: end(edit.sender('<new@a.test>')) },
  { name: 'the null sender', first: end(edit.sender('<>')) },
  { name: 'another sender with parameters', first: end(edit.sender('<new@a.test>', 'RET=HDRS ENVID=abc FOO=1')) },
  { name: 'one more recipient', first: end(edit.recipient('<more@b.test>')) },
  { name: 'a recipient with parameters', first: end(edit.recipientWith('<more@b.test>', 'NOTIFY=NEVER ORCPT=rfc822;who@b.test FOO=1')) },
  { name: 'a recipient that is an alias', first: end(edit.recipient('team@alias.b.test')) },
  { name: 'a recipient that is there already', first: end(edit.recipient('<joe@b.test>')) },
  { name: 'two recipients in one', first: end(edit.recipient('<a@b.test>, <c@b.test>')) },
  { name: 'delete a recipient', first: end(edit.withoutRecipient('<two@b.test>')), talk: [...begin, 'RCPT TO:<one@b.test>', 'RCPT TO:<two@b.test>', 'DATA', `=${message}`, 'QUIT'] },
  { name: 'delete an alias', first: end(edit.withoutRecipient('<team@alias.b.test>')), talk: [...begin, 'RCPT TO:<one@b.test>', 'RCPT TO:<team@alias.b.test>', 'DATA', `=${message}`, 'QUIT'] },
  { name: 'delete and add again', first: end(edit.withoutRecipient('<joe@b.test>'), edit.recipient('<joe@b.test>')) },
  { name: 'another body', first: end(edit.body('new\r\nbody\r\n')) },
  { name: 'another body in pieces', first: end(edit.body('new\r'), edit.body('\nbo'), edit.body('dy')) },
  { name: 'an empty body', first: end(edit.body('')) },
  { name: 'a body in two parts with something between', first: end(edit.body('one\r\n'), edit.add('X-A', '1'), edit.body('two\r\n')) },
  { name: 'a body, then headers', first: end(edit.body('one\r\n'), edit.add('X-A', '1'), edit.insert(0, 'X-B', '2')) },
  { name: 'a null header name', first: end(edit.change(1, '', 'x')) },
  { name: 'an edit, then reject', first: at('E', edit.add('X-A', '1'), ['r']) },
  { name: 'two filters, the second sees the first one\'s edits', row: 'pair', first: end(edit.add('X-First', '1'), edit.body('changed\r\n'), edit.change(1, 'Subject', 'two')), second: end(edit.change(1, 'X-First', '2')) },
  { name: 'two filters, the first rejects', row: 'pair', first: at('E', ['r']) },
  { name: 'two filters, the first accepts early', row: 'pair', first: at('M', ['a']), second: end(edit.add('X-Second', '1')) },
  { name: 'two filters, the first quarantines', row: 'pair', first: end(edit.quarantine('first')), second: end(edit.add('X-Second', '1')), older: ['log'] },
  { name: 'two filters, the second discards', row: 'pair', second: at('E', ['d']) },
  { name: 'headers without answers', first: { steps: 1 << 7 } },
  { name: 'nothing is answered but the end', first: { steps: 0xff080, answers: { E: [[edit.add('X-A', '1'), ['c']]] } } },
  { name: 'macro lists of its own', first: { macros: [[0, 'j {client_addr}'], [2, 'i {mail_addr}'], [5, 'i {client_name}'], [9, 'x']] } },
  { name: 'macros', row: 'macros' },
  { name: 'version 2', row: 'v2' },
  { name: 'settings of its own', row: 'own' },
  { name: 'an older filter', first: { version: 2 } },
  { name: 'a filter that wants the impossible', first: { actions: 0xffff } },
  { name: 'a filter that is not there', row: 'dead' },
  { name: 'a transport that does not exist', row: 'bad' },
  { name: 'DISABLE', row: 'early', first: at('C', ['r']) },
  { name: 'soft bounce', row: 'soft', first: at('M', edit.reply('550-5.7.1 one\r\n550 5.7.1 two')) },
  { name: 'an unknown command', talk: ['EHLO client.test', 'FOO bar', 'QUIT'], older: ['heard', 'log', 'replies'], says: /500 5.5.2/ },
  { name: 'an unknown command, refused for now', first: at('U', ['t']), talk: ['EHLO client.test', 'FOO bar', 'QUIT'], older: ['heard', 'log', 'replies'], says: /451 4.7.1/ },
  { name: 'an unknown command, refused', first: at('U', ['r']), talk: ['EHLO client.test', 'FOO bar', 'QUIT'], older: ['heard', 'log', 'replies'], says: /500 5.5.2/ },
  { name: 'VRFY and ETRN after a refusal', first: at('C', ['r']), talk: ['EHLO client.test', 'VRFY joe@b.test', 'ETRN b.test', 'QUIT'] },
  { name: 'RSET and a second message', first: end(edit.add('X-A', '1')), talk: [...begin, 'RSET', 'MAIL FROM:<two@a.test>', 'RCPT TO:<joe@b.test>', 'DATA', `=${message}`, 'MAIL FROM:<three@a.test> SIZE=100', 'RCPT TO:<joe@b.test>', 'DATA', `=${message}`, 'QUIT'] },
  { name: 'HELO twice', talk: ['HELO one.test', 'HELO two.test', 'MAIL FROM:<ann@a.test>', 'HELO three.test', 'QUIT'] },
  { name: 'a session that breaks off', talk: [...begin, 'RCPT TO:<joe@b.test>', '<close>'] },
  { name: 'BDAT', talk: [...begin, 'RCPT TO:<joe@b.test>', 'BDAT 13 LAST\r\nSubject: x\r\n', 'QUIT'] },
  { name: 'a message without a body', talk: [...begin, 'RCPT TO:<joe@b.test>', 'DATA', '=Subject: only', 'QUIT'] },
  { name: 'a message without headers', talk: [...begin, 'RCPT TO:<joe@b.test>', 'DATA', '=just text', 'QUIT'] },
  { name: 'a large body', talk: [...begin, 'RCPT TO:<joe@b.test>', 'DATA', `=${message}\n${`${'x'.repeat(70)}\n`.repeat(3000)}`, 'QUIT'] },
  { name: 'long lines', talk: [...begin, 'RCPT TO:<joe@b.test>', 'DATA', `=${message}\n${'x'.repeat(5000)}\nend`, 'QUIT'] },
  { name: 'the filter closes at mail: tempfail', first: { answers: { M: ['close'] } } },
  { name: 'the filter closes at the end: tempfail', first: { answers: { E: ['close'] } } },
  { name: 'the filter closes at the end: accept', row: 'accept', first: { answers: { E: ['close'] } } },
  { name: 'the filter closes at mail: accept', row: 'accept', first: { answers: { M: ['close'] } } },
  { name: 'the filter closes at mail: reject', row: 'reject', first: { answers: { M: ['close'] } } },
  { name: 'the filter closes at mail: shutdown', row: 'shutdown', first: { answers: { M: ['close'] } }, older: ['log', 'replies', 'heard', 'queue'], says: /421 (4\.7\.1|mx\.pair\.test) Service unavailable/ },
  { name: 'the filter closes at connect: shutdown', row: 'shutdown', first: { answers: { C: ['close'] } }, older: ['log', 'replies', 'heard', 'queue'], says: /421 (4\.7\.1|mx\.pair\.test) Service unavailable/ },
  { name: 'the filter closes at mail: quarantine', row: 'quarantine', first: { answers: { M: ['close'] } }, older: ['log'], says: /milter-hold: .*default_action/ },
  { name: 'the filter closes at the end: quarantine', row: 'quarantine', first: { answers: { E: ['close'] } }, older: ['log'], says: /milter-hold: .*default_action/ },
  { name: 'the filter is silent at mail', first: { answers: { M: ['silence'] } } },
  { name: 'the filter is silent at the end', first: { answers: { E: ['silence'] } } },
  { name: 'junk instead of a negotiation', first: { answers: { O: [{ bytes: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }] } } },
  { name: 'a packet of no length', first: { answers: { M: [{ bytes: Buffer.alloc(4) }] } } },
];

const tidied = (outcome: Outcome, untidy: boolean, without: readonly (keyof Outcome)[]): object => {
  const heard = untidy ? outcome.heard.filter((word) => word !== 'A' && word !== 'Q') : outcome.heard;
  return Object.fromEntries(Object.entries({ ...outcome, heard }).filter(([part]) => !without.includes(part as keyof Outcome)));
};

for (const { name, row = 'plain', talk = usual, first = {}, second = {}, older = [], says, untidy = false } of cases) {
  test(`as in Postfix: ${name}`, { skip }, async () => {
    const play = async (side: MilterSide): Promise<Outcome> => {
      one.begin(first);
      two.begin(second);
      return side.play(row, talk, row === 'pair' ? [one, two] : [one], `${debian.system.directory}/etc`);
    };
    const theirs = await play(debian);
    const own = await play(ours);
    const without = isOlder ? older : [];
    assert.deepEqual(tidied(own, untidy, without), tidied(theirs, untidy, without));
    if (says !== undefined) assert.match([...own.replies, ...own.log].join('\n'), says);
  });
}

const submitted: readonly Case[] = [
  { name: 'everything continues' },
  { name: 'edits', first: end(edit.add('X-A', '1'), edit.recipient('<more@b.test>'), edit.sender('<new@a.test>')) },
  { name: 'a reject bounces', first: at('E', ['r']), bounces: true },
  { name: 'a tempfail waits', first: at('E', ['t']) },
  { name: 'discard', first: at('E', ['d']) },
  { name: 'quarantine at the end', first: end(edit.quarantine('odd')), older: ['log'] },
  { name: 'a sender is refused', first: at('M', ['r']), bounces: true },
  { name: 'a recipient cannot be refused', first: at('R', ['r']) },
  { name: 'accept at connect', first: at('C', ['a']) },
  { name: 'the filter closes at data', first: { answers: { T: ['close'] } } },
];

for (const { name, first = {}, older = [], bounces = false } of submitted) {
  test(`non_smtpd_milters as in Postfix: ${name}`, { skip }, async () => {
    const play = async (side: MilterSide): Promise<Outcome> => {
      one.begin(first);
      return side.submit(['-f', 'ann@a.test', 'joe@b.test', 'eve@b.test'], `${message}\n`, [one], `${debian.system.directory}/etc`);
    };
    const theirs = await play(debianLocal);
    const own = await play(ourLocal);
    const without = [...(isOlder ? older : []), ...(bounces ? (['queue'] as const) : [])];
    assert.deepEqual(tidied(own, false, without), tidied(theirs, false, without));
    assert.equal(own.queue.length, theirs.queue.length);
  });
}
