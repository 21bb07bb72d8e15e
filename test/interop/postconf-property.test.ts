/** Whatever main.cf and master.cf our postconf wrote, ours and the real one read alike. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parameterNames, cardOf } from '../../src/parameters/parameters.ts';
import { earlier, noRealPostconf, PostconfPair } from '../postconf-pair.ts';

const isOld = (name: string): boolean => cardOf(name)!.kind === 'str' && cardOf(name)!.ours !== true && Number((cardOf(name)!.since ?? '3.0').split('.')[1]) < 8;

/** Text parameters that any text may be set to, an old name, and one whose value nobody expands. */
const names = [
  ...parameterNames().filter((name) => /_(?:maps|restrictions|checks|filter)$/.test(name) && isOld(name)).slice(0, 40),
  'smtpd_banner', 'mydestination', 'forward_path', 'virtual_maps',
];

/** What values refer to: none of these refers to one of the above. */
const others = ['one', 'two_2', 'stress', 'myhostname', 'mail_name', 'nobody'];

const word = fc.oneof(
  fc.constantFrom('a', 'hash:/etc/x', 'proxy:mysql:/no/such.cf', 'inline:{a=b}', '{ a b }', 'permit', '!static:all', '[::1]', '$$', '\u00e9', '=', ':', '"', '\\', '\t', '  '),
  fc.stringMatching(/^[a-z0-9.,;()<>*+-]{1,12}$/),
);

const reference = (inner: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.oneof(
  fc.constantFrom(...others).chain((name) => fc.oneof(
    fc.constantFrom(`$${name}`, `\${${name}}`, `$(${name})`),
    inner.map((text) => `\${${name}?{${text}}:{x}}`),
    inner.map((text) => `\${${name}:{${text}}}`))),
  fc.tuple(inner, fc.constantFrom('==', '!=', '<', '>='), inner).map(([left, operator, right]) => `\${{${left}} ${operator} {${right}} ? {yes} : {no}}`),
  fc.constantFrom('${{$compatibility_level} <level {3.6} ? {old} : {new}}', '${{3.10} >level {3.9} ? {a} : {b}}'),
);

const plain = fc.stringMatching(/^[a-z0-9 ]{0,6}$/);
const value = fc.array(fc.oneof({ weight: 3, arbitrary: word }, { weight: 1, arbitrary: reference(plain) }), { maxLength: 6 }).map((parts) => parts.join(' ').trim());

const settings = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), value), { selector: ([name]) => name, minLength: 1, maxLength: 8 });

// What already stood in the file: a real one is not written by one program alone.
const before = fc.array(fc.oneof(
  fc.constantFrom('# a comment', '', 'smtpd_restriction_classes = one, two_2', '  # deep', 'one = $two_2', 'two_2=x\n  y\n# between\n\tz', 'mydestination = a\n\n  b'),
  fc.tuple(fc.constantFrom(...names), plain).map(([name, text]) => `${name}   =${text}`)), { maxLength: 4 }).map((lines) => lines.map((line) => `${line}\n`).join(''));

const services = ['smtp/inet', '127.0.0.1:587/inet', 'smtp/unix', 'my_transport/unix', 'public/unix'] as const;

const argument = fc.oneof(
  fc.constantFrom('-v', '-o a=b', '-o { one = two  words }', '-o {two_2=}', '-o smtpd_banner=$one', '-o syslog_name=postfix/$service_name', '-vo', '-D'),
  fc.constant('-o').chain((option) => fc.tuple(fc.constantFrom('a', 'b', 'one'), plain).map(([name, text]) => `${option} { ${name} = ${text} }`)),
);

const row = fc.tuple(
  fc.constantFrom(...services), fc.constantFrom('-', 'n', 'y'), fc.constantFrom('-', 'n', 'y'), fc.constantFrom('-', '60', '60?'), fc.constantFrom('-', '0', '7'),
  fc.constantFrom('smtpd', 'smtp', 'pipe', 'cleanup', 'spawn'), fc.array(argument.filter((text) => text !== '-vo'), { maxLength: 4 }),
  fc.constantFrom('', ' flags=F user=x argv=/bin/x $recipient', ' a { b c }', ' a -o b=c'),
).map(([name, isPrivate, chroot, wakeup, limit, program, options, rest]) => {
  const [service, type] = name.split('/');
  return `${name}=${service} ${type} ${type === 'inet' ? 'n' : isPrivate} - ${chroot} ${wakeup} ${limit} ${program} ${options.join(' ')}${rest}`;
});

// Two rows of one service are one name space to Postfix's program, and none of them is the other's to ours.
const rows = fc.uniqueArray(row, { selector: (text) => text.split('=')[0], minLength: 1, maxLength: 4 });

const parameterEdits = fc.array(fc.tuple(fc.constantFrom(...services), fc.constantFrom('a', 'one', 'smtpd_banner'), fc.constantFrom('', 'x', '$two_2', '${stress?y}', 'b=c'))
  .map(([service, name, text]) => `${service}/${name}=${text}`), { maxLength: 2 });

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

test('what is written is read alike', { skip: noRealPostconf }, async () => {
  await fc.assert(fc.asyncProperty(before, settings, rows, parameterEdits, async (mainCf, edits, services, parameters) => {
    const writer = new PostconfPair(mainCf, '');
    let written = await writer.ours('-e', ...edits.map(([name, text]) => `${name}=${text}`));
    assert.equal(written.status, 0, written.stderr.join('\n'));
    written = await writer.ours('-M', ...services);
    assert.equal(written.status, 0, written.stderr.join('\n'));
    if (parameters.length > 0) written = await writer.ours('-P', ...parameters);
    const reader = new PostconfPair(written.mainCf, written.masterCf);
    const options = ['-n', '-nx', '-M', '-P', '-Mxf'];
    // All at once: one wait for the real one, however many processes it is.
    const theirs = await Promise.all(options.map((option) => reader.theirs(option)));
    for (const [index, option] of options.entries()) assert.deepEqual(earlier(await reader.ours(option)), earlier(theirs[index]!), option);
    for (const [name, text] of edits) assert.equal((await reader.ours('-qh', name)).stdout.replace(/[ \t\n]+/g, ' ').trim(), bytes(text).replace(/[ \t]+/g, ' ').trim());
  }), { numRuns: 40 });
});
