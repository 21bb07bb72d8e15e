import assert from 'node:assert/strict';
import { mkdtempSync, openSync, readFileSync, closeSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'node:test';
import { createLog } from './log.ts';
import { facilityNumber, FileSink, MemorySink, openLogFile, StderrSink, TeeSink } from './sinks.ts';
import { openLogTarget } from './target.ts';
import { fileTime, syslogTime } from './timestamp.ts';

const moment = new Date(2026, 10, 1, 3, 4, 5).getTime();
const never = (status: number): never => { throw new Error(`exit ${status}`); };

test('the time at the start of a line', () => {
  assert.equal(fileTime(moment), 'Nov 01 03:04:05');
  assert.equal(syslogTime(moment), 'Nov  1 03:04:05');
  assert.equal(fileTime(moment + 999), 'Nov 01 03:04:05');
  assert.equal(fileTime(moment + 1000), 'Nov 01 03:04:06');
});

test('a file gets whole lines, in order, at the end of a turn or when flushed', (t) => {
  const directory = mkdtempSync(`${tmpdir()}/sinks-`);
  t.after(() => rmSync(directory, { recursive: true }));
  const path = `${directory}/log`;
  const fd = openLogFile(path, 0o640);
  const turns: (() => void)[] = [];
  const log = createLog(new FileSink({ fd, hostname: 'host', now: () => moment, later: (work) => turns.push(work) }), 'postfix/smtpd', 77, never);
  log.info('connect from x[192.0.2.1]');
  log.numbered(770001).warning('caf\u00e9');
  assert.equal(readFileSync(path, 'latin1'), '');
  assert.equal(turns.length, 1);
  turns[0]!();
  const want = 'Nov 01 03:04:05 host postfix/smtpd[77]: connect from x[192.0.2.1]\nNov 01 03:04:05 host postfix/smtpd[770001]: warning: caf?\n';
  assert.equal(readFileSync(path, 'latin1'), want);
  assert.throws(() => log.fatal('no more'), /exit 1/);
  assert.equal(readFileSync(path, 'latin1'), `${want}Nov 01 03:04:05 host postfix/smtpd[77]: fatal: no more\n`);
  assert.equal(statSync(path).mode & 0o777, 0o640);
  closeSync(fd);
});

test('what lines end with is made harmless as what they begin with is, and the limit is that of both', () => {
  const sink = new MemorySink();
  const log = createLog(sink, 'postfix/smtp', 7, never);
  for (const [text, tail] of [['a', ', b'], ['c\n', ', b'], ['d', ', \x1b\xc3\xa9'], ['e', ', \x1b\xc3\xa9'], ['f', ''], ['g', ', b']] as const) log.info(text, tail);
  assert.deepEqual(sink.lines.map((line) => line.slice('postfix/smtp[7]: '.length)), ['a, b', 'c?, b', 'd, ?\xc3\xa9', 'e, ?\xc3\xa9', 'f', 'g, b']);
  log.info('x'.repeat(1990), ', of which not all is shown');
  assert.equal(sink.lines.at(-1), `postfix/smtp[7]: ${'x'.repeat(1990)}, of which`);
});

test('lines of several voices and seconds keep their own beginnings', (t) => {
  const directory = mkdtempSync(`${tmpdir()}/sinks-`);
  t.after(() => rmSync(directory, { recursive: true }));
  const fd = openLogFile(`${directory}/log`, 0o640);
  let now = moment;
  const log = createLog(new FileSink({ fd, hostname: 'host', now: () => now, later: () => {} }), 'postfix/smtp', 1, never);
  const other = log.numbered(2);
  for (const voice of [log, log, other, log.tagged('postfix/lmtp'), log]) voice.info('x');
  now += 1000;
  log.info('x');
  assert.throws(() => log.fatal('y'), /exit 1/);
  const shown = readFileSync(`${directory}/log`, 'latin1').split('\n').map((line) => line.slice('Nov 01 03:04:'.length));
  assert.deepEqual(shown, ['smtp[1]', 'smtp[1]', 'smtp[2]', 'lmtp[1]', 'smtp[1]'].map((who) => `05 host postfix/${who}: x`).concat('06 host postfix/smtp[1]: x', '06 host postfix/smtp[1]: fatal: y', ''));
  closeSync(fd);
});

test('what a full log does not take is kept up to a bound, then counted and told as soon as there is room', () => {
  const steps: (() => void)[] = [];
  const fd = openSync('/dev/full', 'a');
  const sink = new FileSink({ fd, hostname: 'h', later: (work) => void steps.push(work) });
  for (let line = 0; line < 20_000; line++) sink.write('info', 'postfix/x', 1, 'x'.repeat(80));
  closeSync(fd);
  const directory = mkdtempSync(`${tmpdir()}/sinks-`);
  const file = openSync(`${directory}/log`, 'a', 0o600);
  assert.equal(file, fd, 'the same descriptor, now one that takes the lines');
  sink.write('info', 'postfix/x', 1, 'one more');
  for (const step of steps) step();
  const text = readFileSync(`${directory}/log`, 'latin1').split('\n');
  closeSync(file);
  rmSync(directory, { recursive: true });
  assert.match(text.at(-2)!, /warning: \d+ log lines were lost/);
  const lost = Number(/(\d+) log lines/.exec(text.at(-2)!)![1]);
  assert.equal(text.length - 2 + lost, 20_001);
});

test('a command speaks on standard error and into the log', () => {
  const memory = new MemorySink();
  let said = '';
  const log = createLog(new TeeSink(new StderrSink((text) => { said += text; }), memory), 'postmap', 5, never);
  log.warning('duplicate entry');
  assert.equal(said, 'postmap: warning: duplicate entry\n');
  assert.deepEqual(memory.lines, ['postmap[5]: warning: duplicate entry']);
});

test('syslog facilities', () => assert.deepEqual(['mail', 'daemon', 'local7', 'nosuch'].map(facilityNumber), [2, 3, 23, undefined]));

const target = { file: '', prefixes: '/var, /dev/stdout', permissions: '0600', facility: 'mail', hostname: 'mail.example.com' };
for (const [name, settings, want] of [
  ['the system log', target, { kind: 'syslog', facility: 2 }],
  ['standard output', { ...target, file: '/dev/stdout' }, { kind: 'descriptor', fd: 1, hostname: 'mail' }],
] as const) {
  test(`the log goes to ${name}`, () => assert.deepEqual(openLogTarget(settings), want));
}

for (const [settings, want] of [
  [{ ...target, file: '/tmp/maillog' }, "maillog_file value '/tmp/maillog' does not match any prefix in maillog_file_prefixes"],
  [{ ...target, file: '/var/no/such/directory/log' }, "open logfile '/var/no/such/directory/log': No such file or directory"],
  [{ ...target, facility: 'mial' }, 'file main.cf: parameter syslog_facility: unrecognized value: mial'],
] as const) {
  test(`no log: ${want}`, () => assert.throws(() => openLogTarget(settings), { message: want }));
}

test('a file sink that is redirected hands on what follows, and passes lines of others', (t) => {
  const directory = mkdtempSync(`${tmpdir()}/sink-`);
  t.after(() => rmSync(directory, { recursive: true }));
  const fd = openSync(`${directory}/log`, 'a');
  const later: (() => void)[] = [];
  const waiting = new FileSink({ fd, hostname: 'mx', now: () => 0, later: (work) => { later.push(work); } });
  waiting.write('info', 'a', 1, 'before');
  const taken: string[] = [];
  waiting.redirect((lines) => taken.push(lines));
  closeSync(fd);
  waiting.write('info', 'a', 1, 'after');
  for (const work of later) work();
  assert.deepEqual(taken.map((line) => line.replace(/^.*mx /, '')), ['a[1]: after\n']);
  assert.deepEqual(readFileSync(`${directory}/log`, 'latin1').replace(/^.*mx /, ''), 'a[1]: before\n');
  const other = openSync(`${directory}/other`, 'a');
  const master = new FileSink({ fd: other, hostname: 'mx', later: (work) => work() });
  master.pass(taken[0]!);
  closeSync(other);
  assert.equal(readFileSync(`${directory}/other`, 'latin1'), taken[0]);
});
