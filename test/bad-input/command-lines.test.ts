/**
 * Command lines that make no sense: the words and the exit status of Postfix 3.12's own commands, which were asked the same. The
 * commands run from the built package, through their launchers.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Instance } from '../instance.ts';

const bin = fileURLToPath(new URL('../../bin', import.meta.url));

let instance: Instance;
before(async () => { instance = await Instance.create({ masterCf: 'rewrite unix - - n - - trivial-rewrite\n' }); });
after(() => instance?.stop());

interface Answer { readonly status: number; readonly said: string }

function run(name: string, words: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile(`${bin}/${name}`, words, { encoding: 'latin1', env: { PATH: '/usr/bin:/bin' } }, (error, out, said) =>
      resolve({ status: Number(error?.code ?? 0), said: said + out }));
    child.stdin!.on('error', () => undefined).end();
  });
}

/** C: an instance's configuration directory. N: a directory without one. */
const places = new Map([['N', '/nonexistent']]);

const usages = {
  postmap: 'fatal: usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...',
  postalias: 'fatal: usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...',
  postqueue: 'fatal: usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site',
  postsuper: 'fatal: usage: postsuper [-c config_dir] [-d queue_id (delete)] ',
  postcat: 'fatal: usage: postcat [-b (body text)] [-c config_dir] ',
  postconf: 'fatal: usage: postconf ',
  postdrop: 'fatal: usage: postdrop [-c config_dir] [-v]',
  postfix: 'fatal: usage: postfix [-c config_dir] [-Dv] command',
  sendmail: 'fatal: usage: sendmail [options]',
  mailq: 'fatal: usage: mailq [options]',
  newaliases: 'fatal: usage: newaliases [options]',
} as const;

const noFile = (name: string): string => `open /nonexistent/${name}: No such file or directory`;

/** The command line, its status, and how the lines that it says begin, each behind the name of the command. */
const cases: readonly (readonly [line: string, status: number, ...said: string[]])[] = [
  ['postmap -c C', 1, usages.postmap],
  ['postmap -Z -c C x', 1, "invalid option -- 'Z'", usages.postmap],
  ['postmap -c', 1, "option requires an argument -- 'c'", usages.postmap],
  ['postmap -c C -q', 1, "option requires an argument -- 'q'", usages.postmap],
  ['postmap -c C -q k', 1, usages.postmap],
  ['postmap -c C /nonexistent/x', 1, `fatal: ${noFile('x')}`],
  ['postmap -c C -q k foo:/tmp/x', 1, 'fatal: unsupported dictionary type: foo'],
  ['postmap -c C -q k texthash:/nonexistent', 1, 'fatal: open database /nonexistent: No such file or directory'],
  ['postmap -c C -d k texthash:/tmp/x', 1, 'fatal: texthash:/tmp/x map requires O_RDONLY access mode'],
  ['postmap -c C -s -q a x', 1, 'fatal: specify only one of -d -i -q or -s'],
  ['postmap -c N x', 1, `fatal: ${noFile('main.cf')}`],
  ['postalias -Z -c C x', 1, "invalid option -- 'Z'", usages.postalias],
  ['postalias -c C /nonexistent/x', 1, `fatal: ${noFile('x')}`],
  ['postconf -Z', 1, "invalid option -- 'Z'", usages.postconf],
  ['postconf -c', 1, "option requires an argument -- 'c'", usages.postconf],
  ['postconf -c N', 1, `fatal: ${noFile('main.cf')}`],
  ['postconf -c C nosuchparameter', 0, 'warning: nosuchparameter: unknown parameter'],
  ['postconf -c C constructor', 0, 'warning: constructor: unknown parameter'],
  ['postconf -c C __proto__', 0, 'warning: __proto__: unknown parameter'],
  ['postconf -c C -e', 1, 'fatal: -e requires name=value argument'],
  ['postconf -c C -e nonsense', 1, 'fatal: missing \'=\' after attribute name: "nonsense"'],
  ['postconf -c C -d -n', 1, 'fatal: specify one of -d, -n'],
  ['postconf -c C -M -F', 1, 'fatal: specify one of -F, -M'],
  ['postconf -c C -M a/b/c', 1, 'fatal: -M option requires service_name[/type]'],
  ['postconf -c C -F a/b/c/d', 1, 'fatal: -F option requires service_name[/type[/field]]'],
  ['postconf -c C -M nosuch', 0, 'warning: unmatched request: "nosuch"'],
  ['postconf -c C -C bad', 1, 'fatal: unknown -C option value "bad" in "bad"'],
  ['postqueue -c C', 69, usages.postqueue],
  ['postqueue -Z', 69, "invalid option -- 'Z'", usages.postqueue],
  ['postqueue -c C -i', 69, "option requires an argument -- 'i'", usages.postqueue],
  ['postqueue -c C -i ../x', 69, 'fatal: Cannot flush queue ID - invalid name: "../x"'],
  ['postqueue -c C -s bad..site', 69, 'fatal: Cannot flush mail queue - invalid destination: "bad..site"'],
  ['postqueue -c C -p -f', 69, usages.postqueue],
  ['postqueue -c C -p extra', 69, usages.postqueue],
  ['postqueue -c N -p', 69, `fatal: ${noFile('main.cf')}`],
  ['postcat -Z', 1, "invalid option -- 'Z'", usages.postcat],
  ['postcat -c', 1, "option requires an argument -- 'c'", usages.postcat],
  ['postcat -c C -q ../../etc/passwd', 1, 'fatal: bad mail queue ID: ../../etc/passwd'],
  ['postcat -c C -q ABC/../x', 1, 'fatal: bad mail queue ID: ABC/../x'],
  ['postcat -c C -q 0123456789', 1, 'fatal: open queue file 0123456789: No such file or directory'],
  ['postcat -c C /nonexistent', 1, 'fatal: open /nonexistent: No such file or directory'],
  ['postcat -c C /etc/passwd', 0, 'warning: /etc/passwd: input is not a valid queue file'],
  ['postcat -c C /tmp', 0, 'warning: close /tmp: Is a directory'],
  ['sendmail -C N x', 75, `fatal: ${noFile('main.cf')}`],
  ['sendmail -C C -Z', 75, "invalid option -- 'Z'", usages.sendmail],
  ['sendmail -C C -f', 75, "option requires an argument -- 'f'", usages.sendmail],
  ['sendmail -C C -bz', 75, 'fatal: unsupported: -bz'],
  ['sendmail -C C -B nonsense x', 75, 'fatal: -B option needs 8BITMIME or 7BIT'],
  ['sendmail -C C -qz', 75, 'fatal: -qz is not implemented'],
  ['sendmail -C C -bs -t', 75, 'fatal: -t can be used only in delivery mode'],
  ['mailq -Z -C C', 75, "invalid option -- 'Z'", usages.mailq],
  ['mailq -C C extra', 75, 'fatal: display queue mode requires no recipient'],
  ['newaliases -Z -C C', 75, "invalid option -- 'Z'", usages.newaliases],
  ['newaliases -C C extra', 75, 'fatal: alias initialization mode requires no recipient'],
  ['postdrop -Z', 1, "invalid option -- 'Z'", usages.postdrop],
  ['postdrop -c', 1, "option requires an argument -- 'c'", usages.postdrop],
  ['postdrop -c N', 1, `fatal: ${noFile('main.cf')}`],
  ['postfix -Z', 1, "invalid option -- 'Z'", usages.postfix],
  ['postfix -c', 1, "option requires an argument -- 'c'", usages.postfix],
  ['postfix -c N status', 1, `fatal: ${noFile('main.cf')}`],
  ['postfix -c relative status', 1, 'fatal: -c requires absolute pathname'],
];

/** postsuper(1) is for the super-user; what others hear of it is another test. */
const asRoot: typeof cases = [
  ['postsuper -Z', 1, "invalid option -- 'Z'", usages.postsuper],
  ['postsuper -c C -d', 1, "option requires an argument -- 'd'", usages.postsuper],
  ['postsuper -c C -d ../x', 0, 'warning: invalid mail queue id: ../x', 'Deleted: 0 messages'],
  ['postsuper -c C -d ../../etc/passwd', 0, 'warning: invalid mail queue id: ../../etc/passwd', 'Deleted: 0 messages'],
  ['postsuper -c C -h x/y', 0, 'warning: invalid mail queue id: x/y', 'Placed on hold: 0 messages'],
  ['postsuper -c C nosuchqueue', 1, 'fatal: invalid directory name: nosuchqueue'],
  ['postsuper -c N -d ALL', 1, `fatal: ${noFile('main.cf')}`],
];

for (const [line, status, ...said] of [...cases, ...(process.getuid!() === 0 ? asRoot : [])]) {
  test(line, async () => {
    places.set('C', `${instance.directory}/etc`);
    const [name = '', ...words] = line.split(' ').map((word) => places.get(word) ?? word);
    const answer = await run(name, words);
    const lines = answer.said.split('\n').filter((each) => each !== '');
    assert.equal(answer.status, status, answer.said);
    assert.equal(lines.length, said.length, answer.said);
    for (const [index, want] of said.entries()) assert.ok(lines[index]!.startsWith(`${name}: ${want}`), `${lines[index]}\nwanted: ${name}: ${want}`);
  });
}
