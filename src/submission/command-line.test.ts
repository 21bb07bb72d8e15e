import assert from 'node:assert/strict';
import test from 'node:test';
import { traceFlag } from '../message/envelope-names.ts';
import { directoryOf, read, scan, type CommandLine } from './command-line.ts';

const rules = { verpDelimiterFilter: '-=+', requireTls: true, smtputf8: true };

function parsed(words: string, verbose = 0): { line: Partial<CommandLine>; said: string[] } {
  const said: string[] = [];
  const warning = (text: string): void => void said.push(text);
  const fatal = (text: string): never => { throw new Error(text); };
  const found = scan(words === '' ? [] : words.split(' '), warning);
  return { line: read(found, { warning, fatal }, rules, verbose), said };
}

const delivers: Partial<CommandLine> = {
  mode: 'deliver', verbose: 0, directory: undefined, sender: undefined, fullName: undefined, encoding: undefined, rewriteContext: 'local', endsAtDot: true,
  fromHeaders: false, trace: 0, notify: 0, ret: 0, envid: undefined, verp: undefined, sendOptions: 0, aliases: undefined, site: undefined,
  queueId: undefined, interval: false, operands: [],
};

for (const [words, want] of [
  ['', {}],
  ['a@b c@d', { operands: ['a@b', 'c@d'] }],
  ['-t', { fromHeaders: true }],
  ['-FCronDaemon -i -odi -oem -oi -t', { fullName: 'CronDaemon', endsAtDot: false, fromHeaders: true }],
  ['-f me@x -- -t', { sender: 'me@x', operands: ['-t'] }],
  ['-rme@x a -v', { sender: 'me@x', operands: ['a', '-v'] }],
  ['-ti', { fromHeaders: true, endsAtDot: false }],
  ['-oi', { endsAtDot: false }],
  ['-B8BITMIME', { encoding: '8bit' }],
  ['-B 7BIT', { encoding: '7bit' }],
  ['-G', { rewriteContext: 'remote' }],
  ['-N success,FAILURE -R hdrs -V abc', { notify: 6, ret: 2, envid: 'abc' }],
  ['-XV', { verp: '' }],
  ['-XV-=', { verp: '-=' }],
  ['-O requiretls=yes -Osmtputf8=YES', { sendOptions: 33 }],
  ['-O requiretls=yes -O requiretls=no', { sendOptions: 0 }],
  ['-v', { trace: traceFlag.record }],
  ['-v -v', { verbose: 2 }],
  ['-bv', { trace: traceFlag.userVerify }],
  ['-bm', {}],
  ['-bp', { mode: 'list' }],
  ['-bs', { mode: 'talk' }],
  ['-bi', { mode: 'aliases' }],
  ['-I', { mode: 'aliases' }],
  ['-bi -oA/etc/aliases', { mode: 'aliases', aliases: '/etc/aliases' }],
  ['-bd', { mode: 'daemon' }],
  ['-bl', { mode: 'daemon' }],
  ['-bd -q1h', { mode: 'daemon', interval: true }],
  ['-q', { mode: 'flush' }],
  ['-q -q', { mode: 'flush' }],
  ['-q15m', { interval: true }],
  ['-qRexample.org', { site: 'example.org' }],
  ['-qIABC123', { queueId: 'ABC123' }],
  ['-bh', { mode: 'nothing' }],
  ['-bH', { mode: 'nothing' }],
  ['-C /etc/mail', { directory: '/etc/mail' }],
  ['-C/etc/mail/main.cf', { directory: '/etc/mail' }],
  ['-Am -Ac -h3 -L tag -m -o7 -o8 -om -ox -U -e m -em -p x -c -x a', { operands: ['a'] }],
  ['-O unknown=1 -O noequals', {}],
] as const) {
  test(`sendmail ${words}`, () => assert.deepEqual(parsed(words), { line: { ...delivers, ...want }, said: [] }));
}

for (const [words, text] of [
  ['-n', '-n option not supported'],
  ['-B x', '-B option needs 8BITMIME or 7BIT'],
  ['-bz', 'unsupported: -bz'],
  ['-Xlog', 'unsupported: -Xl'],
  ['-XVab', '-V requires two characters from -=+'],
  ['-oA', '-oA requires pathname'],
  ['-qS', '-qS is not implemented'],
  ['-qR', 'specify: -qRsitename'],
  ['-qI', 'specify: -qIqueueid'],
  ['-Z', 'usage: sendmail [options]'],
  ['-f', 'usage: sendmail [options]'],
  ['-t -bp', '-t can be used only in delivery mode'],
  ['-qRx -bp', '-qR can be used only in delivery mode'],
  ['-qIx -bp', '-qI can be used only in delivery mode'],
  ['-bv -t', '-t option cannot be used with -bv'],
  ['-bv -N never', '-N option cannot be used with -bv'],
  ['-bv -R full', '-R option cannot be used with -bv'],
  ['-bv -v', '-v option cannot be used with -bv'],
] as const) {
  test(`impossible: sendmail ${words}`, () => assert.throws(() => parsed(words), { message: text }));
}

for (const [words, warning, want] of [
  ['-N never,success', "bad -N option value: 'never,success' -- ignored", {}],
  ['-R some', 'bad -R option value -- ignored', {}],
  [`-V ${'x'.repeat(101)}`, 'too long -V option value -- ignored', {}],
  ['-V \x01abc', 'bad syntax in -V option value -- ignored', {}],
  ['-V += a', 'option -V is deprecated with Postfix 2.3; specify -XV instead', { verp: '', operands: ['+=', 'a'] }],
  ['-V+= a', 'option -V+= is deprecated with Postfix 2.3; specify -XV+= instead', { verp: '+=', operands: ['a'] }],
  ['-O requiretls=perhaps', "bad -O option: 'requiretls=perhaps' -- ignored", {}],
  ['-bd -q', 'ignoring -q option in daemon mode', { mode: 'daemon' }],
  ['-q -bd', 'ignoring -q option in daemon mode', { mode: 'daemon' }],
] as const) {
  test(`odd: sendmail ${words.slice(0, 30)}`, () => assert.deepEqual(parsed(words), { line: { ...delivers, ...want }, said: [warning] }));
}

test('options that main.cf forbids', () => {
  const said: string[] = [];
  const speaker = { warning: (text: string) => void said.push(text), fatal: (text: string): never => { throw new Error(text); } };
  read(scan(['-Orequiretls=yes', '-Osmtputf8=yes']), speaker, { ...rules, requireTls: false, smtputf8: false });
  assert.deepEqual(said, [
    "Ignoring option '-O requiretls=yes, because the configuration is 'requiretls_enable = no'",
    "'-O smtputf8=yes' was requested, but the configuration is 'smtputf8_enable = no'",
  ]);
});

test('the last -C counts, and main.cf alone is here', () => {
  assert.deepEqual(['-C/a -C/b', '-Cmain.cf', '-C/main.cf', '-C.'].map((words) => directoryOf(scan(words.split(' ')))), ['/b', '.', '/', '.']);
});
