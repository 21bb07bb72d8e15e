// The manual cannot lie by leaving out: each parameter, command and daemon has its text, and man/ is what the texts and cards make.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { splitFamilyName } from '../../src/parameters/families.ts';
import { cardOf, parameterNames } from '../../src/parameters/parameters.ts';
import { isThere, pages, renderManual, root } from './pages.ts';
import { readProse, twinOf } from './parameter-sections.ts';

const described = new Map<string, string>(pages().flatMap(({ names, section, source }) => names.map((name) => [`${name}(${section})`, source] as const)));

test('every parameter has prose', () => {
  const prose = readProse();
  assert.deepEqual(parameterNames().filter((name) => !prose.has(name) && twinOf(name) === undefined), []);
});

test('all prose has a parameter', () => {
  assert.deepEqual([...readProse().keys()].filter((name) => !cardOf(name) && !splitFamilyName(name)), []);
});

test('every command has a page', () => {
  assert.deepEqual(readdirSync(path.join(root, 'bin')).filter((name) => !described.has(`${name}(1)`)), []);
});

test('every daemon has a page', () => {
  assert.deepEqual(readdirSync(path.join(root, 'libexec')).filter((name) => name !== 'launch' && !described.has(`${name}(8)`)), []);
});

test('a page is described once', () => {
  const names = pages().flatMap(({ names: all, section }) => all.map((name) => `${name}(${section})`));
  assert.deepEqual(names.filter((name, index) => names.indexOf(name) !== index), []);
});

test('man/ is what tools/render.ts writes', () => {
  const wanted = renderManual();
  const names = new Set(wanted.map(({ file }) => file));
  assert.deepEqual(globSync('man/man*/*', { cwd: root }).filter((file) => !names.has(file)), [], 'files that no page makes');
  assert.deepEqual(wanted.filter((one) => !isThere(one)).map(({ file }) => file), [], 'run: node tools/render.ts');
});

const elsewhere = new Set(['regex(7)', 'syslogd(8)', 'openssl(1)', 'man(1)', 'hosts(5)', 'resolv.conf(5)', 'strftime(3)', 'sysexits(3)', 'uux(1)']);

/** Programs that are not in this release, and whose parameters are on cards already. */
const later = new Set(['scache(8)', 'tlsproxy(8)']);

test('what is said to come later has no page', () => assert.deepEqual([...later].filter((name) => described.has(name)), []));

test('pages refer to pages that are there', () => {
  const lost = renderManual().flatMap(({ file, text }) => [...text.matchAll(/\\fB([a-z0-9_.\\-]+)\\fP\(([1-9])\)/gi)]
    .map(([, name, section]) => `${name!.replaceAll('\\', '')}(${section})`)
    .filter((name) => !described.has(name) && !elsewhere.has(name) && !later.has(name)).map((name) => `${file}: ${name}`));
  assert.deepEqual([...new Set(lost)], []);
});

const isMandocThere = spawnSync('mandoc', ['-V']).error === undefined;

test('mandoc finds nothing to complain about', { skip: isMandocThere ? false : 'mandoc is not installed' }, () => {
  const done = spawnSync('mandoc', ['-T', 'lint', ...globSync('man/man*/*', { cwd: root })], { cwd: root, encoding: 'utf8' });
  assert.equal(done.stdout, '');
});
