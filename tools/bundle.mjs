// Part of `npm run build`, run by the pinned Node: the modules of each command, of master(8) and of each group of daemons become one
// program file in dist/programs/, with V8's compiled form of it beside it. A process then reads two files instead of a hundred and fifty;
// src/program-file.cts loads them.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { daemonFlags } from '../src/daemons/master/node-flags.ts';
import { pinnedNode, root } from './install.mjs';
import { Program } from './program-text.mjs';

/** What the launcher gives commands and master(8), as master gives its daemons theirs: V8 takes a compiled form only under the flags that it was made with. */
const flags = ['--disable-sigusr1', '--max-semi-space-size=1'];

function commandText(dist, name) {
  const made = new Program(dist);
  return made.text({ command: made.module(`commands/${name}/${name}.js`), runProgram: `${made.module('commands/program.js')}.runProgram` });
}

function masterText(dist) {
  const made = new Program(dist);
  return made.text({ run: `${made.module('daemons/master/master.js')}.run`, parts: `{ serve: () => ${made.module('daemons/master/serve.js')} }` });
}

/** Modules of daemons are evaluated when a process hosts them. */
function groupText(dist, folders) {
  const made = new Program(dist);
  const daemons = folders.map((folder) => `'${folder}': () => ${made.module(`daemons/${folder}/${folder}.js`)}`);
  return made.text({
    serveMaster: `${made.module('daemons/serve-master.js')}.serveMaster`, knownDaemon: `${made.module('daemons/daemons.js')}.knownDaemon`, daemons: `{ ${daemons.join(', ')} }`,
  });
}

/** Folders of daemons by group, as the table of daemons has them. */
async function groupsOf(dist) {
  const { knownDaemon, knownPrograms } = await import(pathToFileURL(`${dist}/daemons/daemons.js`).href);
  const groups = new Map();
  for (const { folder, group } of knownPrograms().map(knownDaemon)) groups.set(group, (groups.get(group) ?? new Set()).add(folder));
  return new Map([...groups].map(([group, folders]) => [group.replaceAll(' ', '-'), [...folders]]));
}

/** What commands are mostly used for: the functions that take part are in the compiled form. Nothing outside `place` is touched. */
const typical = {
  mailq: (place) => ['-C', place],
  postalias: (place) => ['-c', place, '-q', 'joe', `texthash:${place}/table`],
  postconf: (place) => ['-c', place, 'myhostname'],
  postmap: (place) => ['-c', place, '-q', 'joe', `texthash:${place}/table`],
  postqueue: (place) => ['-c', place, '-p'],
  sendmail: (place) => ['-C', place, '-i', '-f', 'joe@example.test', 'joe@example.test'],
};

function typicalPlace() {
  const place = mkdtempSync(`${tmpdir()}/postern-build-`);
  chmodSync(place, 0o755);
  for (const name of ['active', 'bounce', 'corrupt', 'defer', 'deferred', 'hold', 'incoming', 'maildrop', 'pid', 'private', 'public']) mkdirSync(`${place}/queue/${name}`, { recursive: true });
  writeFileSync(`${place}/main.cf`, `compatibility_level = 3.12\nqueue_directory = ${place}/queue\nmyhostname = host.example.test\nmaillog_file = ${place}/maillog\nmaillog_file_prefixes = ${place}\n`);
  writeFileSync(`${place}/table`, 'joe joe\n');
  return place;
}

/** In a process of its own, run as it will be: `node bundle.mjs compile FILE INTO NAME ARGUMENT...` */
function compile([file, into, name, ...words]) {
  const require = process.getBuiltinModule('node:module').createRequire(file);
  const vm = require('node:vm');
  const script = new vm.Script(readFileSync(file, 'latin1'), { filename: file, importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER });
  const program = script.runInThisContext()(require, pathToFileURL(`${path.dirname(file)}/../`).href);
  const [fs, out] = [require('node:fs'), require('node:fs').openSync(into, 'w', 0o644)]; // now: the command may become another user
  process.on('exit', () => fs.writeSync(out, script.createCachedData()));
  process.argv = [process.argv[0], file, name, ...words];
  if (program.command !== undefined) program.runProgram(name, async () => program.command);
  else for (const evaluate of Object.values(program.daemons ?? program.parts)) evaluate();
}

/** The name of the file. A program whose compiled form cannot be made starts slower, and that is all. */
function addCompiledForm(programs, name, place) {
  const file = `${programs}/${name}.js`;
  const form = `${name}.${readFileSync(file, 'latin1').slice(2, 18)}.v8`;
  const words = typical[name]?.(place) ?? ['-?'];
  spawnSync(pinnedNode, [...(name.startsWith('daemons-') ? daemonFlags : flags), fileURLToPath(import.meta.url), 'compile', file, `${programs}/${form}.new`, name, ...words], {
    input: 'Subject: test\n\nText.\n', stdio: ['pipe', 'ignore', 'ignore'], timeout: 20_000, env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
  });
  try {
    renameSync(`${programs}/${form}.new`, `${programs}/${form}`);
  } catch (error) {
    console.error(`postern: no compiled form of ${name}: ${error.message}`);
  }
  return form;
}

/** Make dist/programs/ anew; whoever starts a program meanwhile finds the old file or the new one. */
async function bundle(dist) {
  const programs = `${dist}/programs`;
  mkdirSync(programs, { recursive: true, mode: 0o755 });
  const before = readdirSync(programs);
  const commands = readdirSync(`${dist}/commands`, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const texts = new Map([
    ...commands.map((name) => [name, commandText(dist, name)]),
    ['master', masterText(dist)],
    ...[...await groupsOf(dist)].map(([group, folders]) => [`daemons-${group}`, groupText(dist, folders)]),
  ]);
  const place = typicalPlace();
  const used = new Set();
  for (const [name, text] of texts) {
    writeFileSync(`${programs}/${name}.js.new`, text, { mode: 0o644 });
    renameSync(`${programs}/${name}.js.new`, `${programs}/${name}.js`);
    used.add(`${name}.js`).add(addCompiledForm(programs, name, place));
  }
  rmSync(place, { recursive: true });
  for (const name of before) if (!used.has(name)) rmSync(`${programs}/${name}`);
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'compile') compile(rest);
else await bundle(first ?? `${root}/dist`);
