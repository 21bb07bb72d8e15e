import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtInTemplates, readTemplates, renderTemplate, reportKinds, TemplateError } from './bounce-templates.ts';

const silent = (): never => assert.fail('nothing to warn of');

test('what is rendered is read again as it was', () => {
  const text = reportKinds.map((kind) => renderTemplate(builtInTemplates[kind], false)).join('\n');
  const read = readTemplates(text, 'file', silent);
  for (const kind of reportKinds) {
    const { origin, from, ...rest } = read[kind];
    const { origin: builtIn, from: usual, ...expected } = builtInTemplates[kind];
    assert.deepEqual([rest, origin, builtIn, from.obsolete], [expected, 'file', '[built-in]', usual.standard]);
  }
});

test('headers replace what is built in, comments and other kinds stay', () => {
  const text = '# ours\n\nfailure_template = <<END\nCharset:\t utf-8\nSUBJECT: Returned\nPostmaster-Subject: Copy\n\n\nd\xc3\xa9j\xc3\xa0 $myhostname\n  END\nEND\n';
  const { failure, delay } = readTemplates(text, 'file', silent);
  assert.deepEqual([failure.charset, failure.subject, failure.postmasterSubject, failure.text], ['utf-8', 'Returned', 'Copy', ['d\xc3\xa9j\xc3\xa0 $myhostname', '  END']]);
  assert.equal(delay, builtInTemplates.delay);
});

test('a template may be one line, and the last of a name counts', () => {
  const { verify } = readTemplates('verify_template = first\nverify_template = here it is: all\n', 'file', silent);
  assert.deepEqual(verify.text, ['here it is: all']);
});

for (const [title, body, warnings] of [
  ['an unknown header', 'Foo: x\n\ntext', ['file: unknown "Foo" header label in verify template -- ignoring this template']],
  ['an empty header', 'Subject:\n\ntext', ['file: empty "Subject" header value in verify template -- ignoring this template']],
  ['an 8-bit header', 'Subject: \xe9\n\ntext', ['file: non-ASCII "Subject" header value in verify template -- ignoring this template']],
  ['a header of another kind', 'Postmaster-Subject: x\n\ntext', ['file: inapplicable "Postmaster-Subject" header label in verify template -- ignoring this template']],
  ['no text', 'Subject: x\n\n', ['file: missing message text in verify template -- ignoring this template']],
  ['8-bit text without a charset', 'Subject: x\n\n\xe9', ['file: 8-bit message text in verify template', 'please specify a charset value other than us-ascii', '-- ignoring this template for now']],
] as const) test(`a template with ${title} is passed over`, () => {
  const heard: string[] = [];
  const read = readTemplates(`verify_template = <<END\n${body}\nEND\n`, 'file', (text) => heard.push(text));
  assert.deepEqual([heard, read.verify], [warnings, builtInTemplates.verify]);
});

for (const [text, message] of [
  ['verify_template\n', `file, line 1: missing '=' after attribute name: "verify_template"`],
  ['\n= x\n', 'file, line 2: missing attribute name: "= x"'],
  ['verify_template = <<\n', 'file, line 1: missing end marker after <<'],
  ['verify_template = <<++\n', 'file, line 1: malformed end marker after <<'],
] as const) test(`no template file: ${JSON.stringify(text)}`, () => assert.throws(() => readTemplates(text, 'file', silent), new TemplateError(message)));

test('a file that ends too early and a name that nothing is called are warned of', () => {
  const heard: string[] = [];
  const { verify } = readTemplates('other_template = x\nverify_template = <<END\nhello\n', 'file', (text) => heard.push(text));
  assert.deepEqual(heard, ['file, line 1: unknown template name: other_template -- ignoring this template', 'file, line 3: missing "END" end marker']);
  assert.deepEqual(verify.text, ['hello']);
});
