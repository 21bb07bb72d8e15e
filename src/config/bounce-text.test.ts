import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtInTemplates, reportKinds } from '../message/bounce-templates.ts';
import type { Template } from '../message/bounce-templates.ts';
import { bounceText, loadTemplates } from './bounce-text.ts';
import { Configuration } from './configuration.ts';
import { parseMainCf } from './main-cf.ts';

function text(lines: readonly string[], mainCf = '', warnings: string[] = []): string[] {
  const configuration = new Configuration('/conf', parseMainCf(`compatibility_level = 3.6\n${mainCf.includes('myhostname') ? '' : 'myhostname = mail.example.org\n'}${mainCf}`, 'main.cf', assert.fail));
  return bounceText({ ...builtInTemplates.delay, text: lines } satisfies Template, configuration, (warning) => warnings.push(warning));
}

test('every built-in text names only what there is, and fits a line', () => {
  for (const kind of reportKinds) for (const line of text(builtInTemplates[kind].text)) assert.ok(!line.includes('$') && line.length < 80, line);
});

test('times come in the unit that is asked for', () => {
  const lines = text(builtInTemplates.delay.text, 'delay_warning_time = 4h').join('\n');
  assert.match(lines, /more than 4 hour\(s\)/);
  assert.match(lines, /is 5 day\(s\) old/);
});

for (const [line, mainCf, want] of [
  ['$mail_name at $myhostname ($mydomain)', '', 'Postfix at mail.example.org (example.org)'],
  ['${mine?{yes}:{no}} $$5', '', 'no $5'],
  ['$mine', 'mine = $myorigin', 'mail.example.org'],
  ['$mine', 'mine = $$x\x01', '$x_'],
  ['$myhostname', 'myhostname = xn--bcher-kva.example', 'b\xc3\xbccher.example'],
  ['$myhostname', 'myhostname = xn--bcher-kva.example\nsmtputf8_enable = no', 'xn--bcher-kva.example'],
  ['$maximal_queue_lifetime_seconds', 'maximal_queue_lifetime = 90s', '90'],
] as const) test(`${line} with ${JSON.stringify(mainCf)}`, () => assert.deepEqual(text([line], mainCf), [want]));

for (const [line, message] of [
  ['hello $nosuch', '[built-in]: undefined $name in delay template: hello $nosuch'],
  ['hello ${x', '[built-in]: bad $name syntax in delay template: hello ${x'],
  ['$delay_warning_time_secs', '[built-in]: unrecognized suffix "secs" in parameter "delay_warning_time_secs" (write one of seconds, minutes, hours, days, weeks)'],
] as const) test(`refuses ${line}`, () => assert.throws(() => text([line]), { message }));

for (const [line, trouble, advice] of [
  ['$maximal_queue_lifetime_weeks', 'zero result', 'reduce time unit "weeks"'],
  ['$maximal_queue_lifetime_seconds', 'excessive result "432000"', 'increase time unit "seconds"'],
] as const) test(`${line} is odd`, () => {
  const warnings: string[] = [];
  text([line], '', warnings);
  assert.deepEqual(warnings, [
    `[built-in]: ${trouble} in delay template conversion of parameter "${line.slice(1)}"`,
    `please ${advice} of "${line.slice(1)}" in delay template`,
    'for instructions see the bounce(5) manual']);
});

test('no file, no reading; a missing file is named', () => {
  assert.equal(loadTemplates('', assert.fail), builtInTemplates);
  assert.throws(() => loadTemplates('/no/such/file', assert.fail), { message: 'open /no/such/file: No such file or directory' });
});
