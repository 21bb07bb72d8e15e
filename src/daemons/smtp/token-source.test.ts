import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { chmodSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { openMaps } from '../../tables/maps.ts';
import { TokenSource } from './token-source.ts';

const folder = mkdtempSync(`${tmpdir()}/token-source-`);
after(() => rmSync(folder, { recursive: true, force: true }));
const start = 1_800_000_000_000;
const clock = { time: start, now: () => clock.time };

function source(value: string, timeLimit = 20): { tokens: TokenSource; warnings: string[] } {
  const warnings: string[] = [];
  const maps = openMaps(`inline:{ {joe=${value}} }`, { parameter: () => 'no', warn: () => undefined }, 'smtp_sasl_token_maps', { fold: false });
  clock.time = start;
  return { warnings, tokens: new TokenSource({ maps, timeLimit, clock, warn: (text) => warnings.push(text) }) };
}

function script(name: string, text: string): string {
  writeFileSync(`${folder}/${name}`, `#!/bin/sh\n${text}\n`);
  chmodSync(`${folder}/${name}`, 0o755);
  return `${folder}/${name}`;
}

function file(text: string): string {
  writeFileSync(`${folder}/token`, text);
  utimesSync(`${folder}/token`, start / 1000, start / 1000);
  return `file:${folder}/token`;
}

for (const [what, text, want] of [
  ['bare', 'abc.DEF-123==\n', { text: 'abc.DEF-123==' }],
  ['JSON', '{"access_token": "abc", "token_type": "Bearer"}', { text: 'abc' }],
  ['JSON that says how long', '{"access_token": "abc", "expires_in": 3599}', { text: 'abc' }],
  ['JSON that says until when', `{"access_token": "abc", "expires_at": "${start / 1000 + 10}"}`, { text: 'abc' }],
  ['expired', `{"access_token": "secret", "expires_at": ${start / 1000 - 1}}`, 'the token has expired'],
  ['expired since it was written', '{"access_token": "secret", "expires_in": 0}', 'the token has expired'],
  ['nothing', '', 'no access_token'],
  ['JSON without a token', '{"error": "secret"}', 'no access_token'],
  ['half JSON', '{"access_token": "secret', 'neither a token nor JSON'],
  ['several lines', 'secret\nmore', 'this is no token'],
  ['another header', 'secret\x01auth=x', 'this is no token'],
] as const) test(`a file with a token: ${what}`, async () => {
  const { tokens, warnings } = source(file(text));
  const found = await tokens.find('joe');
  if (typeof want === 'object') return assert.deepEqual([found, warnings], [want, []]);
  assert.deepEqual([found, warnings], [{ trouble: 'no token for joe' }, [`${folder}/token: ${want}`]]);
  assert.ok(!warnings.join().includes('secret'));
});

test('a file is read for each login; users without an entry have a password', async () => {
  const { tokens } = source(file('one'));
  assert.deepEqual(await tokens.find('joe'), { text: 'one' });
  file('two');
  assert.deepEqual(await tokens.find('joe'), { text: 'two' });
  assert.equal(await tokens.find('ann'), undefined);
  assert.deepEqual([tokens.forget('joe'), tokens.forget('ann')], [true, false]);
});

test('a command is asked once while its token is good, and anew after a refusal', async () => {
  const path = script('count', `echo x >> ${folder}/calls; echo "{\\"access_token\\": \\"$USER$(wc -l < ${folder}/calls | tr -d ' ')\\", \\"expires_in\\": 100}"`);
  const { tokens, warnings } = source(`command:${path} a b`);
  const texts = async (count = 1): Promise<unknown[]> => Promise.all(Array.from({ length: count }, async () => ((await tokens.find('joe')) as { text?: string }).text));
  assert.deepEqual(await texts(3), ['joe1', 'joe1', 'joe1']);
  clock.time += 69_000;
  assert.deepEqual(await texts(), ['joe1']);
  clock.time += 2_000;
  assert.deepEqual(await texts(), ['joe2']);
  assert.equal(tokens.forget('joe'), true);
  assert.deepEqual(await texts(), ['joe3']);
  assert.deepEqual(warnings, []);
});

for (const [what, value, problem, limit] of [
  ['fails', () => `command:${script('fails', 'echo secret; exit 3')}`, /fails: status 3$/, 20],
  ['is not there', () => 'command:/nowhere/at-all', /ENOENT/, 20],
  ['takes too long', () => `command:${script('slow', 'exec sleep 60')}`, /slow: ended by SIGKILL/, 0.05],
  ['prints without end', () => `command:${script('endless', 'exec cat /dev/zero')}`, /endless: too much output$/, 20],
  ['is no command', () => 'https://example.com/secret', /neither file:\/path nor command:\/path$/, 20],
] as const) test(`no token: the command ${what}`, async () => {
  const { tokens, warnings } = source(value(), limit);
  assert.deepEqual(await tokens.find('joe'), { trouble: 'no token for joe' });
  assert.match(warnings.join(), problem);
});

test('the shell has no part in it', async () => {
  const { tokens } = source(`command:${script('arguments', 'printf "%s" "$#"')} $(touch ${folder}/touched) ;`);
  assert.deepEqual(await tokens.find('joe'), { text: '3' });
  assert.throws(() => readFileSync(`${folder}/touched`));
});
