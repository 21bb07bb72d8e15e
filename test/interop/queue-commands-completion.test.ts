/** What bash, zsh and fish offer, asked of the real shells where they are installed; queue ids and parameters come from a queue and a main.cf of the test. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SampleQueue } from '../../src/queue/sample-queue.ts';

const here = fileURLToPath(new URL('../../completion/', import.meta.url));
const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const folder = fs.mkdtempSync(`${os.tmpdir()}/postern-completion-`);
const cleanup: (() => void)[] = [() => fs.rmSync(folder, { recursive: true })];
after(() => cleanup.forEach((each) => each()));
const queue = new SampleQueue({ after: (run: () => void) => void cleanup.push(run) }, { mainCf: 'compatibility_level = 3.12\nmy_own = 1\n' });
const ids: string[] = [];

before(async () => {
  ids.push(await queue.put('hold'), await queue.put('deferred'));
  fs.writeFileSync(`${queue.etc}/master.cf`, 'smtp inet n - n - - smtpd\nfilter unix - n n - - pipe user=nobody argv=/bin/true\n');
  fs.mkdirSync(`${folder}/bin`);
  for (const name of ['postqueue', 'postconf'])
    fs.writeFileSync(`${folder}/bin/${name}`, `#!/bin/sh\nexec '${process.execPath}' '${runner}' ${name} "$@"\n`, { mode: 0o755 });
});

/** What a shell offers for a line; undefined stands for "nothing to say about it". */
type Ask = (line: string) => string[];

function output(file: string, argv: readonly string[], input = ''): string[] {
  const env = { PATH: `${folder}/bin:/usr/bin:/bin`, MAIL_CONFIG: queue.etc, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, TERM: 'dumb', LC_ALL: 'C' };
  const { stdout, stderr, error } = spawnSync(file, argv, { input, encoding: 'utf8', env, timeout: 30_000, cwd: folder });
  assert.equal(error, undefined);
  assert.equal(stderr, '');
  return stdout.split(/\r?\n/).filter((line) => line !== '');
}

const bash: Ask = (line) => output('/bin/bash', ['--norc', '--noprofile', '-c', `
source '${here}postern.bash'
COMP_LINE=$1 COMP_POINT=\${#1}
read -ra COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_postern
printf '%s\\n' "\${COMPREPLY[@]}"`, 'bash', line]);

const fish: Ask = (line) => output('/usr/bin/fish', ['--no-config', '-c', `source '${here}postern.fish'; complete -C $argv[1] | string replace -r '\\t.*' ''`, line]);

/** A zsh in a terminal of its own whose compadd tells what it is given. */
const zsh: Ask = (line) => {
  const found = output('/usr/bin/zsh', ['-f', '-c', `
zmodload zsh/zpty || exit 1
zpty z zsh -f -i
zpty -w z "PROMPT=; unsetopt zle_bracketed_paste; fpath=('${here}' \\$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w z 'bindkey "^I" complete-word; zstyle ":completion:*" list-grouped false; LISTMAX=0
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  typeset -a hits; builtin compadd -A hits "$@"
  local each; for each in $hits; do print -r -- "<<$each>>"; done
}
compprefuncs=(telling) comppostfuncs=(told); telling() { print -r -- BEGIN; compprefuncs=(telling) }; told() { print -r -- FINISHED; exit }; print -r -- REA""DY'
zpty -r z ignored '*READY*' || exit 1
zpty -n -w z "$1"$'\\t'
zpty -r z answer '*FINISHED*'
print -r -- $answer`, 'zsh', line]);
  return found.flatMap((each) => [...each.matchAll(/<<(.*?)>>/g)].map((match) => match[1]!));
};

const shells: readonly (readonly [name: string, file: string, ask: Ask])[] = [['bash', '/bin/bash', bash], ['fish', '/usr/bin/fish', fish], ['zsh', '/usr/bin/zsh', zsh]];

/** Line, what must be offered, what must not. `ID` is a queue id. */
const cases: readonly (readonly [line: string, offered: readonly string[], not: readonly string[]])[] = [
  ['postsuper -d ', ['ID', 'ALL', '-'], ['hold']],
  ['postsuper -h ALL -r ', ['ID', 'ALL'], []],
  ['postsuper -d ALL ', ['hold', 'deferred'], ['ID']],
  ['postqueue -i ', ['ID'], ['ALL']],
  ['postcat -q ', ['ID'], []],
  ['postconf myhost', ['myhostname'], ['mydomain']],
  ['postconf -M ', ['smtp/inet', 'filter/unix'], ['myhostname']],
  ['postconf -C ', ['builtin', 'service', 'user', 'all'], []],
  ['postkick private ', ['filter'], ['smtp']],
  ['postfix st', ['start', 'stop', 'status'], ['reload']],
  ['postfix tls ', ['enable-client', 'output-server-tlsa'], ['start']],
  ['sendmail -R ', ['hdrs', 'full'], []],
  ['sendmail -N ', ['never', 'success', 'failure', 'delay'], []],
  ['qshape -s ', ['hold', 'deferred', 'incoming'], []],
  ['postlog -p ', ['info', 'warn', 'fatal'], []],
  ['postern explain mynetw', ['mynetworks', 'mynetworks_style'], ['myhostname']],
  ['postern trace ', ['ID'], []],
];

for (const [name, file, ask] of shells) {
  for (const [line, offered, not] of cases) {
    test(`${name}: ${line}`, { skip: fs.existsSync(file) ? false : `${name} is not installed` }, () => {
      const found = new Set(ask(line));
      const wanted = offered.flatMap((each) => (each === 'ID' ? ids : [each]));
      for (const each of wanted) assert.ok(found.has(each), `${each} is not among: ${[...found].join(' ').slice(0, 300)}`);
      for (const each of not.flatMap((word) => (word === 'ID' ? ids : [word]))) assert.ok(!found.has(each), each);
    });
  }
}

test('bash: table types, and files behind the colon', () => {
  fs.writeFileSync(`${folder}/access`, '');
  assert.ok(bash('postmap ').includes('lmdb:') || bash('postmap ').includes('cdb:'));
  assert.deepEqual(bash('postmap cdb:acc'), ['access']);
});
