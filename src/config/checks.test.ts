import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfiguration } from './checks.ts';
import { Configuration } from './configuration.ts';
import { parseMainCf } from './main-cf.ts';

function check(text: string): void {
  checkConfiguration(new Configuration('/conf', parseMainCf(text, '/conf/main.cf', assert.fail)));
}

test('sound settings pass', () => check('myhostname = mail.example.org\nrelayhost = [mx.example.org]\ncompatibility_level = 3.6'));

for (const [text, message] of [
  ['myhostname = 1.2.3.4', 'file /conf/main.cf: parameter myhostname: bad parameter value: 1.2.3.4 (/conf/main.cf, line 1: numeric hostname)'],
  ['myhostname = a-.b', 'file /conf/main.cf: parameter myhostname: bad parameter value: a-.b (/conf/main.cf, line 1: misplaced hyphen)'],
  [`myhostname = ${'x'.repeat(64)}`, `file /conf/main.cf: parameter myhostname: bad parameter value: ${'x'.repeat(64)} (/conf/main.cf, line 1: hostname or label too long)`],
  ['myhostname = a..b', 'file /conf/main.cf: parameter myhostname: bad parameter value: a..b (/conf/main.cf, line 1: misplaced delimiter)'],
  ['myhostname = a.b\nmydomain = x y', 'file /conf/main.cf: parameter mydomain: bad parameter value: x y (/conf/main.cf, line 2: invalid character 32(decimal))'],
  ['myhostname = a.b\nrelayhost = A.B', 'myhostname and relayhost parameter settings must not be identical: a.b (/conf/main.cf, line 2: relayhost is another machine, or empty)'],
  ['myhostname = a.b\nmyorigin = a, b', 'myorigin parameter setting must not contain multiple values: a, b (/conf/main.cf, line 2: write one domain)'],
  ['compatibility_level = new', 'malformed compatibility level syntax: "new" (/conf/main.cf, line 1: write a release, as in 3.6)'],
  ['inet_protocols = ipv5', 'unknown inet_protocols value "ipv5" in "ipv5" (write all, ipv4, ipv6, or "ipv4, ipv6") (/conf/main.cf, line 1)'],
  ['inet_interfaces = no.such.host.invalid', 'config variable inet_interfaces: host not found: no.such.host.invalid (write addresses, or a name that /etc/hosts knows) (/conf/main.cf, line 1)'],
  ['default_verp_delimiters = #=', 'file /conf/main.cf: parameters default_verp_delimiters and verp_delimiter_filter: bad first VERP delimiter character (/conf/main.cf, line 1: write two of -=+)'],
  ['default_verp_delimiters = +#', 'file /conf/main.cf: parameters default_verp_delimiters and verp_delimiter_filter: bad second VERP delimiter character (/conf/main.cf, line 1: write two of -=+)'],
  ['data_directory = data', 'bad directory: data_directory = data (/conf/main.cf, line 1: write the whole path, from / on)'],
] as const) test(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => check(text), { message }));
