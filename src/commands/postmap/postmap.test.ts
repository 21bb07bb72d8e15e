/** postmap, postalias and newaliases as commands: what they print, how they end. Debian's postmap agrees where it is installed. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main as newaliases } from '../newaliases/newaliases.ts';
import { main as postalias } from '../postalias/postalias.ts';
import { main as postmap } from './postmap.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-postmap-'));
after(() => rmSync(folder, { recursive: true }));
const table = join(folder, 'table');
const aliases = join(folder, 'aliases');
writeFileSync(table, 'joe@example.org OK\nAnn  hello "world" \n');
writeFileSync(aliases, 'root: joe, ann\nno pair\n');
writeFileSync(join(folder, 'main.cf'), `compatibility_level = 3.6
queue_directory = ${folder}
myhostname = test.example.org
default_database_type = cdb
alias_database = cdb:${aliases}
`);
writeFileSync(join(folder, 'master.cf'), '');

type Main = typeof postmap;

async function run(main: Main, argv: string[], input = '') {
  const texts = { stdout: '', stderr: '' };
  const writer = (name: 'stdout' | 'stderr') => ({ write: (chunk: Uint8Array) => void (texts[name] += Buffer.from(chunk).toString('latin1')) });
  async function* stdin() { yield Buffer.from(input, 'latin1'); }
  const status = await main(argv, { MAIL_CONFIG: folder }, { stdin: stdin(), stdout: writer('stdout'), stderr: writer('stderr') });
  return { status, ...texts };
}

const usage = 'postmap: fatal: usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...\n';
const cases: readonly (readonly [argv: string, input: string, status: number, stdout: string, stderr: string])[] = [
  [`-q ANN cdb:${table}`, '', 0, 'hello "world"\n', ''],
  [`-fq ANN cdb:${table}`, '', 1, '', ''],
  [`-q none cdb:${table}`, '', 1, '', ''],
  [`-q none cdb:${table} static:x`, '', 0, 'x\n', ''],
  [`-q - cdb:${table} inline:{z=last}`, 'ann\nnone\nz', 0, 'ann\thello "world"\nz\tlast\n', ''],
  [`-q - cdb:${table}`, 'none\n', 1, '', ''],
  ['-h -q - static:x', 'A: b\n c\nD : e\n\nbody', 0, 'A: b\n c\tx\nD: e\tx\n', ''],
  ['-b -q - static:x', 'A: b\n\nbody\nend', 0, '\tx\nbody\tx\nend\tx\n', ''],
  ['-hm -q - static:x', 'Content-Type: multipart/mixed; boundary=b\n\n--b\nP: q\n\n--b--\n', 0, 'Content-Type: multipart/mixed; boundary=b\tx\nP: q\tx\n', ''],
  ['-h -q - inline:{z=last}', 'A: b\n\n', 1, '', ''],
  ['-h -q a static:x', '', 1, '', 'postmap: fatal: specify -b -h or -m only with "-q -"\n'],
  ['-m -q - static:x', 'a\n', 0, 'a\tx\n', 'postmap: warning: ignoring -m option without -b or -h\n'],
  [`-q a cdb:${folder}/none`, '', 1, '', `postmap: fatal: open database ${folder}/none.cdb: No such file or directory\n`],
  [`-q a nosuch:${table}`, '', 1, '', 'postmap: fatal: unsupported dictionary type: nosuch\n'],
  ['-q a static:', '', 1, '', 'postmap: fatal: open dictionary: expecting "type:name" form instead of "static:"\n'],
  [`-q a -d b cdb:${table}`, '', 1, '', 'postmap: fatal: specify only one of -d -i -q or -s\n'],
  [`cdb:${folder}/none`, '', 1, '', `postmap: fatal: open ${folder}/none: No such file or directory\n`],
  [`static:${table}`, '', 1, '', "postmap: fatal: no 'map create' support for this type: static\n"],
  [`nosuch:${table}`, '', 1, '', 'postmap: fatal: unsupported map type: nosuch\n'],
  [`proxy:cdb:${table}`, '', 1, '', "postmap: fatal: can't create maps via the proxy service\n"],
  ['-b -q x static:y', '', 1, '', 'postmap: fatal: specify -b -h or -m only with "-q -"\n'],
  ['', '', 1, '', usage],
  ['-Z', '', 1, '', `postmap: invalid option -- 'Z'\n${usage}`],
  ['-q', '', 1, '', `postmap: option requires an argument -- 'q'\n${usage}`],
];

test('tables are made, of the default type too', async () => {
  assert.deepEqual(await run(postmap, [`cdb:${table}`]), { status: 0, stdout: '', stderr: '' });
  writeFileSync(join(folder, 'other'), 'a b\n');
  assert.deepEqual(await run(postmap, [join(folder, 'other')]), { status: 0, stdout: '', stderr: '' });
  assert.ok(existsSync(join(folder, 'other.cdb')));
});

const real = '/usr/sbin/postmap';
const judge = existsSync(real) && spawnSync('/usr/sbin/postconf', ['-c', folder, '-m'], { encoding: 'latin1' }).stdout?.split('\n').includes('cdb');

for (const [argv, input, status, stdout, stderr] of cases) {
  test(`postmap ${argv.replaceAll(folder, 'FOLDER')}`, async () => {
    const words = argv.split(' ').filter((word) => word !== '');
    assert.deepEqual(await run(postmap, words, input), { status, stdout, stderr });
  });
}

test('Debian\'s postmap answers the same', { skip: judge ? false : `${real} with cdb is not installed` }, () => {
  spawnSync(real, ['-c', folder, `cdb:${table}`]);
  for (const [argv, input, status, stdout, stderr] of cases) {
    if (stderr !== '' && !stderr.includes('open database')) continue; // its words are those of its age, and it pauses after each
    const theirs = spawnSync(real, ['-c', folder, ...argv.split(' ')], { input, encoding: 'latin1' });
    assert.deepEqual([theirs.status, theirs.stdout, theirs.stderr], [status, stdout, stderr], argv);
  }
});

test('lists, as text and as JSON', async () => {
  assert.equal((await run(postmap, ['-s', `cdb:${table}`])).stdout, 'joe@example.org\tOK\nann\thello "world"\n');
  assert.equal((await run(postmap, ['-sj', `cdb:${table}`])).stdout, '{"joe@example.org": "OK"}\n{"ann": "hello \\"world\\""}\n');
  assert.deepEqual(await run(postmap, ['-s', 'static:x']), { status: 1, stdout: '', stderr: 'postmap: fatal: table static:x: sequence operation is not supported\n' });
});

test('postalias: made, asked, listed', async () => {
  const made = await run(postalias, [`cdb:${aliases}`]);
  assert.deepEqual(made, { status: 0, stdout: '', stderr: `postalias: warning: ${aliases}, line 2: need name:value pair\n` });
  assert.equal((await run(postalias, ['-q', 'Root', `cdb:${aliases}`])).stdout, 'joe, ann\n');
  assert.equal((await run(postalias, ['-s', `cdb:${aliases}`])).stdout, 'root:\tjoe, ann\n@:\t@\n');
});

test('newaliases: every table of alias_database', async () => {
  rmSync(`${aliases}.cdb`);
  const { status, stderr } = await run(newaliases, []);
  assert.deepEqual([status, stderr], [0, `postalias: warning: ${aliases}, line 2: need name:value pair\n`]);
  assert.ok(existsSync(`${aliases}.cdb`));
  assert.equal((await run(newaliases, ['someone'])).status, 75);
  assert.match((await run(newaliases, ['-C', '/no/such'])).stderr, /^newaliases: fatal: open \/no\/such\/main.cf: No such file or directory/);
});
