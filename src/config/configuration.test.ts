import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Configuration, configDirectory } from './configuration.ts';
import type { Override } from './configuration.ts';
import { ConfigurationError } from './configuration-error.ts';
import { parseMainCf } from './main-cf.ts';

function configuration(text = '', overrides: Override[] = []): Configuration {
  return new Configuration('/conf', parseMainCf(text, 'main.cf', assert.fail), overrides);
}

test('values come in the type of their kind', () => {
  const config = configuration('message_size_limit = 5\nsoft_bounce = YES\nsmtp_connect_timeout = 2m\nmaximal_queue_lifetime = 3\nmydestination = a, b');
  const limit: number = config.get('message_size_limit');
  const soft: boolean = config.get('soft_bounce');
  const destinations: string = config.get('mydestination');
  assert.deepEqual([limit, soft, destinations], [5, true, 'a, b']);
  assert.equal(config.get('smtp_connect_timeout'), 120);
  assert.equal(config.get('maximal_queue_lifetime'), 3 * 86400, 'a bare number is in the unit of the default');
});

test('defaults are expanded with what main.cf says', () => {
  const config = configuration('myhostname = mail.example.org\nmail_name = Post');
  assert.equal(config.get('smtpd_banner'), 'mail.example.org ESMTP Post');
  assert.equal(config.get('mydomain'), 'example.org');
  assert.equal(config.get('myorigin'), 'mail.example.org');
  assert.equal(config.get('smtpd_hard_error_limit'), 20);
  assert.equal(config.withOverrides([['stress', 'yes']]).get('smtpd_hard_error_limit'), 1);
});

test('the compatibility level chooses defaults', () => {
  assert.equal(configuration().get('append_dot_mydomain'), true);
  assert.equal(configuration('compatibility_level = 3.6').get('append_dot_mydomain'), false);
});

test('overrides stand above main.cf, later ones above earlier ones', () => {
  const config = configuration('a = main\nb = main', [['a', 'first'], ['a', 'second']]);
  const row = config.withOverrides([['b', '$a!']]);
  assert.deepEqual([config.text('a'), config.text('b'), row.text('a'), row.text('b')], ['second', 'main', 'second', 'second!']);
  assert.deepEqual([config.has('a'), config.has('myhostname'), row.origin('b'), config.origin('b')?.line], [true, false, undefined, 2]);
});

test('raw values keep their dollar signs, and names that nobody defined are empty', () => {
  const config = configuration('forward_path = $home/x\nmine = 1');
  assert.deepEqual([config.get('forward_path'), config.text('forward_path'), config.text('mine'), config.text('theirs')], ['$home/x', '$home/x', '1', '']);
});

test('a transport has its own value or the common one', () => {
  const config = configuration('default_destination_concurrency_limit = 7\nsmtp_destination_concurrency_limit = 9\nuucp_time_limit = 1h');
  assert.equal(config.transport('smtp', '_destination_concurrency_limit'), 9);
  assert.equal(config.transport('relay', '_destination_concurrency_limit'), 7);
  assert.equal(config.transport('local', '_destination_concurrency_limit'), 2);
  assert.equal(config.transport('uucp', '_time_limit'), 3600);
  assert.equal(config.transport('ifmail', '_time_limit'), 1000);
  assert.equal(config.transport('smtp', '_destination_concurrency_positive_feedback'), '1');
  assert.equal(config.text('relay_destination_concurrency_limit'), '7');
});

test('a view holds the names it was asked for', () => {
  const view = configuration('smtpd_banner = hello').view(['smtpd_banner', 'smtpd_recipient_limit']);
  assert.deepEqual({ ...view }, { smtpd_banner: 'hello', smtpd_recipient_limit: 1000 });
  // @ts-expect-error a name that was not asked for is not there
  assert.equal(view.myhostname, undefined);
});

for (const [text, name, message] of [
  ['message_size_limit = 10m', 'message_size_limit', 'bad numerical configuration: message_size_limit = 10m (main.cf, line 1: write a whole number, as in "message_size_limit = 10240000")'],
  ['\nmax_use = 0', 'max_use', 'invalid max_use parameter value 0 < 1 (main.cf, line 2: write 1 or more)'],
  ['max_use = 99999999999', 'max_use', 'bad numerical configuration: max_use = 99999999999 (main.cf, line 1: write a whole number, as in "max_use = 100")'],
  ['in_flow_delay = 11', 'in_flow_delay', 'invalid in_flow_delay: 11 (max 10) (main.cf, line 1: write 10s or less)'],
  ['max_idle = soon', 'max_idle', 'parameter max_idle: bad time value or unit: soon (main.cf, line 1: write a whole number and s, m, h, d or w, as in "90s")'],
  ['soft_bounce = true', 'soft_bounce', 'bad boolean configuration: soft_bounce = true (main.cf, line 1: write yes or no)'],
  ['myorigin =', 'myorigin', 'bad string length 0 < 1: myorigin =  (main.cf, line 1: give it a value, or remove the line)'],
  ['a = $b\nb = $a\nmyorigin = $a', 'myorigin', 'parameter myorigin: unreasonable macro call nesting: "b" (main.cf, line 3: a value must not refer to itself)'],
  ['myorigin = ${x', 'myorigin', 'parameter myorigin: truncated macro reference: "${x" (main.cf, line 1)'],
] as const) test(`refuses ${JSON.stringify(text)}`, () => {
  assert.throws(() => configuration(text).get(name), (error: ConfigurationError) => {
    assert.ok(error instanceof ConfigurationError);
    assert.equal(error.message, message);
    assert.equal(error.file, 'main.cf');
    return true;
  });
});

test('the process and the machine give what no file says', () => {
  const config = configuration();
  assert.equal(config.get('process_id'), String(process.pid));
  assert.equal(config.get('config_directory'), '/conf');
  assert.match(config.get('myhostname'), /^[^.]+\./);
  assert.match(config.get('mynetworks'), /127\.0\.0\.0\/8|127\.0\.0\.1\/32/);
  assert.equal(configuration('mydomain = x.$myhostname\nmyhostname = a.b').get('mydomain'), 'x.a.b');
});

test('a circle of computed defaults ends', () => {
  assert.equal(typeof configuration('mydomain = x.$myhostname').get('myhostname'), 'string');
});

test('loads main.cf of a directory', (context) => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'configuration-'));
  context.after(() => rmSync(directory, { recursive: true }));
  assert.throws(() => Configuration.load(directory), { message: `open ${directory}/main.cf: No such file or directory` });
  writeFileSync(`${directory}/main.cf`, 'a = 1\na = 2\n');
  const warnings: string[] = [];
  assert.equal(Configuration.load(directory, { warn: (text) => warnings.push(text) }).text('a'), '2');
  assert.equal(warnings.length, 1);
});

test('the directory is an option, a variable, or the usual place', () => {
  assert.equal(configDirectory('/a', { MAIL_CONFIG: '/b' }), '/a');
  assert.equal(configDirectory(undefined, { MAIL_CONFIG: '/b' }), '/b');
  assert.equal(configDirectory(undefined, {}), '/etc/postfix');
});
