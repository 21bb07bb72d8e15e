/**
 * postmap and postalias, next to Postfix's: the same command line and input, the same output, complaints and status. Judged by Debian's, or by
 * the commands in the directory that POSTFIX_COMMANDS names (a newer Postfix). Skipped, by name, where there are none.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tableTypes } from '../../src/tables/open.ts';

const theirs = process.env['POSTFIX_COMMANDS'] ?? '/usr/sbin';
const skip = fs.existsSync(`${theirs}/postmap`) ? false : "Debian's postfix is not installed";
const newer = process.env['POSTFIX_COMMANDS'] !== undefined;
const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'postern-postmap-'));
after(() => fs.rmSync(folder, { recursive: true }));
const own = (name: string): string => path.join(folder, name);
for (const name of ['queue', 'etc']) fs.mkdirSync(own(name));
fs.writeFileSync(own('etc/main.cf'), `compatibility_level = 3.6
queue_directory = ${own('queue')}
myhostname = host.example.org
default_database_type = cdb
`);
fs.writeFileSync(own('etc/master.cf'), '');

interface Said { readonly status: number | null; readonly stdout: string; readonly stderr: string }

const { PATH, LD_PRELOAD } = process.env;
const environment = { PATH, LD_PRELOAD, MAIL_CONFIG: own('etc'), TZ: 'UTC' };
const known = skip === false ? run('theirs', ['postconf', '-m'], Buffer.from('')).stdout.split('\n') : [];
const types = ['cdb', 'lmdb'].filter((type) => known.includes(type));
const patterns = known.includes('regexp') && tableTypes().includes('regexp') ? ['regexp'] : [];

function run(side: 'ours' | 'theirs', [name, ...argv]: readonly string[], input: Buffer): Said {
  const [file, words] = side === 'ours' ? [process.execPath, [runner, name!, ...argv]] : [`${theirs}/${name}`, argv];
  const { status, stdout, stderr } = spawnSync(file, words, { input, encoding: 'latin1', env: environment, timeout: 20_000 });
  return { status, stdout, stderr: stderr.replaceAll(`${theirs}/`, '') };
}

function agree(command: readonly string[], input: Buffer): void {
  assert.deepEqual(run('ours', command, input), run('theirs', command, input), command.join(' '));
}

const message = Buffer.from(`From me Thu Jan  1 00:00:00 1970
Received: from a
\tby b;
  date
Subject : hello
From: me
Content-Type: multipart/mixed; boundary="one"
X-Empty:

preamble

--one
Content-Type: message/rfc822

Subject: nested
Content-Type: multipart/alternative;
 boundary=two

--two
Content-Type: text/plain
Content-Transfer-Encoding: quoted-printable

inner=
 body
--two--
epilogue of two
--one
X-Part: 2

caf\xc3\xa9 \xff
cut\0here
--one--
epilogue
no newline`, 'latin1');
fs.writeFileSync(own('match'), '/^(.{0,30})/ matched $1\n');

const contents: readonly (readonly [name: string, flags: readonly string[], input: Buffer])[] = [
  ['headers', ['-h'], message],
  ['body', ['-b'], message],
  ['both', ['-hb'], message],
  ['headers of all parts', ['-hm'], message],
  ['bodies of all parts', ['-bm'], message],
  ['all', ['-bhm'], message],
  ['-m alone', ['-m'], message],
  ['UTF-8 asked for', ['-bU'], message],
  ['no header', ['-bh'], Buffer.from('just text\nmore\n')],
  ['nothing', ['-bh'], Buffer.from('')],
  ['only an empty line', ['-bh'], Buffer.from('\n')],
  ['a header without a body', ['-bh'], Buffer.from('Subject: x\n y')],
  ['a long header', ['-h'], Buffer.from(`Subject: ${'x'.repeat(60_000)}\n${' y\n'.repeat(30_000)}\n`)],
  ['folder lines', ['-bhm'], Buffer.from('>From a\nSubject: x\n\n>From b\n')],
  ['CR LF', ['-bhm'], Buffer.from('Subject: x\r\n\r\nbody\r\n')],
  ['a boundary that is never closed', ['-bhm'], Buffer.from('Content-Type: multipart/mixed; boundary=x\n\n--x\nA: b\nC: d\n')],
  ['a digest', ['-bhm'], Buffer.from('Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: in\n\nbody\n--x--\n')],
];

for (const [name, flags, input] of contents) {
  test(`keys of a message: ${name}`, { skip }, () => {
    for (const type of patterns) agree(['postmap', ...flags, '-q', '-', `${type}:${own('match')}`], input);
    agree(['postmap', ...flags, '-q', '-', 'static:x'], input);
  });
}

const words: readonly (readonly string[])[] = [
  ['postmap'], ['postmap', '-x'], ['postmap', '-q'], ['postmap', '-b', own('table')], ['postmap', '-h', '-q', 'x', 'static:y'], ['postmap', '-s'],
  ['postmap', '-d', 'x'], ['postmap', '-q', 'x'], ['postmap', own('none')], ['postmap', '-q', 'x', 'static:y', 'static:z'],
  ['postalias'], ['postalias', '-x'], ['postalias', '-q', 'x', 'static:y'], ['postalias', '-s'], ['postalias', own('none')],
  ['postmap', `nosuch:${own('table')}`], ['postmap', 'proxy:cdb:/x'],
  ...(newer ? [['postmap', '-s', '-d', 'x', 'static:y'], ['postalias', '-i', '-q', 'x'], ['postmap', '-j', own('table')], ['postmap', '-jq', 'a"b\\\x01\x7f', 'static:x\ty'], ['postalias', '-jq', 'a', 'static:b']] : []),
];

for (const command of words) test(`words: ${command.join(' ')}`, { skip }, () => agree(command, Buffer.from('')));

const table = 'a 1\nB 2\n"q s" 3\na 4\nlonely\nkey: 5\n"open\n# comment\n\n c\n d e  \nx\\ y 6\nutf\xe9 7\nutf\xc3\xa9 8\n\xc3\x89t 9\n';
const aliases = 'root: ann\nAnn: joe, "|cmd arg", :include:/f, /file\nroot: x\nbad\n"a b": c\n"a@b": d\nx@y: z\nempty:\n: v\n (comment) n (c): "q"@x\nm: a b\n a.b : <x@y>, N N <z@y>\n' + (newer ? '"":nobody\n' : '');

for (const type of types.length > 0 ? types : ['cdb']) {
  for (const flags of [[], ['-r'], ['-w'], ['-f'], ['-u'], ['-N'], ['-n'], ['-o', '-p']]) {
    for (const [program, text] of [['postmap', table], ['postalias', aliases]] as const) {
      test(`${program} ${flags.join(' ')} ${type}: warnings, contents, mode`, { skip }, () => {
        const seen = (['ours', 'theirs'] as const).map((side) => {
          const file = own(`${program}.src`);
          fs.writeFileSync(file, text, 'latin1');
          fs.chmodSync(file, 0o640);
          fs.rmSync(`${file}.${type}`, { force: true });
          const made = run(side, [program, ...flags, `${type}:${file}`], Buffer.from(''));
          const { mode, uid, gid } = fs.statSync(`${file}.${type}`);
          const listed = run('theirs', ['postmap', '-f', '-s', `${type}:${file}`], Buffer.from(''));
          return { made, mode, uid, gid, keys: listed.stdout.split('\n').sort(), complaints: listed.stderr };
        });
        assert.deepEqual(withoutKnown(seen[0]!), withoutKnown(seen[1]!));
      });
    }
  }
}

interface Seen { readonly made: Said; readonly keys: readonly string[] }

/** We name the line of a doubled key; a Postfix that was built with NIS adds entries for it; alias names are quoted since 3.12. */
function withoutKnown<T extends Seen>({ made, keys, ...rest }: T): unknown {
  const stderr = made.stderr.replace(/: warning: \S+?(?:, line [0-9]+)?: duplicate entry: /g, ': warning: duplicate entry: ')
    .replaceAll(newer ? '\0' : ' and have no domain', '');
  const unquoted = (line: string): string => (newer ? line : line.replace(/^"([^"]+)"\t/, '$1\t'));
  return { ...rest, made: { ...made, stderr }, keys: keys.filter((line) => !line.startsWith('YP_')).map(unquoted).sort() };
}
