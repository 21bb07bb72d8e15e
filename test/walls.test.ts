/**
 * The building plan, held: who may import whom. A folder of src/ imports from itself, from a lower band, or by one of the named
 * doors; a daemon never imports another daemon, because at run time its only road there is ipc/. FFI stays in host/.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../src', import.meta.url));

/** Lowest first. Folders of one band do not know each other. */
const bands: readonly (readonly string[])[] = [
  ['text'],
  ['message', 'protocol', 'parameters'],
  ['host', 'log'],
  ['config', 'ipc', 'network', 'queue'],
  ['server', 'delivery', 'tables', 'submission'],
  ['daemons', 'commands'],
];

/** Sideways doors: from, to, and why. */
const doors: readonly (readonly [from: string, to: string, why: string])[] = [
  ['protocol', 'message', 'commands carry addresses and parameters'],
  ['log', 'host', 'the syslog socket'],
  ['submission', 'tables', 'who may hand in mail, and as whom'],
];

/** The table of daemons and the process that hosts them stand above the rooms they name. */
const aboveRooms = new Set(['daemons', 'commands']);

const bandOf = new Map(bands.flatMap((names, band) => names.map((name) => [name, band] as const)));

interface Import { readonly file: string; readonly from: string; readonly target: string }

function sourceFiles(directory: string): string[] {
  return fs.readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => path.join(entry.parentPath, entry.name));
}

function importsOf(file: string): string[] {
  const text = fs.readFileSync(file, 'utf8');
  return [...text.matchAll(/^(?:import|export)\b[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm)].map((match) => (match[1] ?? match[2] ?? match[3])!);
}

const imports: Import[] = sourceFiles(root).flatMap((file) =>
  importsOf(file).filter((name) => name.startsWith('.')).map((name) => ({
    file: path.relative(root, file), from: path.relative(root, file), target: path.relative(root, path.resolve(path.dirname(file), name)),
  })));

const room = (file: string): string => file.split(path.sep)[0]!;

/** The folder of one daemon or command; undefined for what stands above them all. */
const cell = (file: string): string | undefined => {
  const parts = file.split(path.sep);
  return aboveRooms.has(parts[0]!) && parts.length > 2 ? `${parts[0]}/${parts[1]}` : undefined;
};

test('every folder of src/ has its place in the plan', () => {
  const folders = fs.readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  assert.deepEqual(folders.filter((name) => !bandOf.has(name)), []);
});

test('imports lead down, or through a named door', () => {
  assert.ok(imports.length > 500, 'the import lines were found');
  const wrong = imports.filter(({ from, target }) => {
    const [a, b] = [room(from), room(target)];
    if (a === b) return false;
    if (doors.some(([from_, to]) => from_ === a && to === b)) return false;
    return !(bandOf.get(b)! < bandOf.get(a)!);
  });
  assert.deepEqual(wrong.map(({ file, target }) => `${file} -> ${target}`), []);
});

test('no daemon imports another daemon', () => {
  const wrong = imports.filter(({ from, target }) => {
    const [a, b] = [cell(from), cell(target)];
    return a?.startsWith('daemons/') && b?.startsWith('daemons/') && a !== b;
  });
  assert.deepEqual(wrong.map(({ file, target }) => `${file} -> ${target}`), []);
});

test('foreign functions are called in host/ only', () => {
  const wrong = sourceFiles(root).filter((file) => room(path.relative(root, file)) !== 'host' && importsOf(file).includes('koffi'));
  assert.deepEqual(wrong.map((file) => path.relative(root, file)), []);
});

test('no file carries a word for unfinished work', () => {
  const wrong = sourceFiles(root).filter((file) => /\b(?:TODO|FIXME|XXX)\b/.test(fs.readFileSync(file, 'utf8')));
  assert.deepEqual(wrong.map((file) => path.relative(root, file)), []);
});
