import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyOf } from './reply.ts';
import { macroDefaults, milterList } from './settings.ts';

const defaults = { connectTimeout: 30, commandTimeout: 30, contentTimeout: 300, protocol: '6', defaultAction: 'tempfail' };

for (const [text, want] of [
  ['inet:localhost:8891', [{ name: 'inet:localhost:8891' }]],
  ['inet:a:1, unix:/b  unix:c', [{ name: 'inet:a:1' }, { name: 'unix:/b' }, { name: 'unix:c' }]],
  ['{ inet:a:1, connect_timeout=10s, default_action=accept }', [{ name: 'inet:a:1', connectTimeout: 10, defaultAction: 'accept' }]],
  ['{inet:a:1 command_timeout = 2m content_timeout =1h protocol= 3} inet:b:2', [{ name: 'inet:a:1', commandTimeout: 120, contentTimeout: 3600, protocol: '3' }, { name: 'inet:b:2' }]],
  ['{ inet:a:1, { protocol = 6 no_header_reply } }', [{ name: 'inet:a:1', protocol: '6 no_header_reply' }]],
  ['', []],
] as const) test(`milters: ${text}`, () => assert.deepEqual(milterList(text, defaults), want.map((each) => ({ ...defaults, ...each }))));

for (const [text, trouble] of [
  ['{ }', /empty milter definition/], ['{ inet:a:1, foo=1 }', /unknown milter setting "foo"/], ['{ inet:a:1, connect_timeout=x }', /bad time value "x"/],
  ['{ inet:a:1, connect_timeout=0 }', /bad time value "0"/], ['{ inet:a:1', /missing '}'/], ['{ inet:a:1 }x', /syntax error after '}'/], ['{ inet:a:1, accept }', /missing '='/],
  ['{ inet:a:1, __proto__=1 }', /unknown milter setting "__proto__"/],
] as const) test(`no milters: ${text}`, () => assert.throws(() => milterList(text, defaults), trouble));

for (const [text, want] of [
  ['a=1, {b}=2', { '{a}': '1', '{b}': '2' }],
  ['{ a = 1 2 }, { {b} = three }', { '{a}': '1 2', '{b}': 'three' }],
  ['a=1 a=2', { '{a}': '1' }],
  ['', {}],
] as const) test(`milter_macro_defaults = ${text}`, () => assert.deepEqual(Object.fromEntries(macroDefaults(text)), want));

for (const [text, want] of [
  ['550 5.7.1 no', { code: 550, status: '5.7.1', text: 'no' }],
  ['550 no', { code: 550, text: 'no' }],
  ['450-4.7.1 a\r\n450 4.7.1 b', { code: 450, status: '4.7.1', text: ['a', 'b'] }],
  ['450-4.7.1 a\r\n450 b', { code: 450, text: ['4.7.1 a', 'b'] }],
  ['5.7.1 no', undefined],
  ['250 ok', undefined],
] as const) test(`reply: ${JSON.stringify(text)}`, () => assert.deepEqual(replyOf(text), want));
