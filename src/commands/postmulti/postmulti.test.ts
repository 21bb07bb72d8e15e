import assert from 'node:assert/strict';
import test from 'node:test';
import { CommandFailed } from '../voice.ts';
import { isSelected, Instances, type Instance } from './instances.ts';
import { list } from './iterate.ts';
import { parseCommandLine } from './options.ts';

for (const [words, want] of [
  ['', "Specify exactly one of '-e', '-l', '-p', '-x'"],
  ['-l -p', "Specify exactly one of '-e', '-l', '-p', '-x'"],
  ['-a -i x -l', "Specity no more than one of '-a', '-g', '-i'"],
  ['-l word', "Command not allowed with '-l'"],
  ['-x', "Command required with '-p' or '-x' option"],
  ['-R -p status', "The '-p' and '-e' options preclude the use of '-R'"],
  ['-I postfix-x -l', "Cannot assign instance name or group without '-e assign'"],
  ['-G x -e enable', "Cannot assign instance name or group with '-e enable'"],
  ['-e assign', "Specify new instance name or group with '-e assign'"],
  ['-e enable a=b', "Parameter overrides not valid with '-e enable'"],
  ['-j -p status', "JSON output available only with '-l'"],
  ['-I a -I b -l', "Specify at most one '-I' option"],
  ['-e foo', "Invalid '-e' edit action 'foo'. Specify 'create', 'destroy', 'import', 'deport', 'enable', 'disable', 'assign' or 'init'"],
] as const) {
  test(`a command line that is refused: ${words}`, () => {
    assert.throws(() => parseCommandLine(words.split(' ').filter((word) => word !== ''), assert.fail), (error: Error) => error instanceof CommandFailed && error.message === want);
  });
}

test('-l twice is once, and -R twice is forward', () => {
  const { mode, reverse, selection } = parseCommandLine(['-l', '-a', '-l', '-RR', '-a'], assert.fail);
  assert.deepEqual({ mode, reverse, selection }, { mode: 'list', reverse: false, selection: { kind: 'all' } });
});

test('what getopt(3) tells comes before the usage', () => {
  const said: string[] = [];
  assert.throws(() => parseCommandLine(['-Z'], (text) => said.push(text)), /^Error: Usage:postmulti -l /);
  assert.deepEqual(said, ["invalid option -- 'Z'"]);
});

function instance(configDirectory: string, name = '', others: Partial<Instance> = {}): Instance {
  return { configDirectory, queueDirectory: `${configDirectory}/q`, dataDirectory: `${configDirectory}/d`, name, group: '', enabled: false, primary: false, ...others };
}

for (const [asked, found] of [
  ['/etc/postfix-a', true], ['postfix-a', true], ['a', true], ['-', false], ['postfix-b', false], ['', false],
] as const) {
  test(`an instance is selected as "${asked}": ${found}`, () => assert.equal(isSelected(instance('/etc/postfix-a', 'postfix-a'), { kind: 'name', name: asked }), found));
}

test('the primary instance is - , and an instance without a name its directory', () => {
  assert.equal(isSelected(instance('/etc/postfix', '', { primary: true }), { kind: 'name', name: '-' }), true);
  assert.equal(isSelected(instance('/etc/x'), { kind: 'name', name: '/etc/x' }), true);
});

test('nobody has what is another\'s', () => {
  const all = new Instances();
  all.insert(instance('/a', 'postfix-a'));
  assert.throws(() => all.insert(instance('/b', 'postfix-a')), /^Error: instance \/b, multi_instance_name=postfix-a conflicts with instance \/a, multi_instance_name=postfix-a$/);
  assert.throws(() => all.insert(instance('/c', '', { queueDirectory: '/a/q' })), /queue_directory=\/a\/q conflicts/);
});

test('a new instance goes in front of the one that is selected', () => {
  const all = new Instances();
  all.insert(instance('/p', '', { primary: true }));
  all.insert(instance('/a', 'postfix-a'));
  all.insert(instance('/b', 'postfix-b'), { kind: 'name', name: 'a' });
  all.insert(instance('/c'));
  assert.equal(all.directories, '/b /a /c');
  assert.throws(() => all.insert(instance('/d'), { kind: 'group', name: 'none' }), /No matching secondary instances/);
});

test('the list, for people and for programs', () => {
  const one = instance('/etc/"x"', 'postfix-a', { group: 'mta', enabled: true });
  assert.equal(list([one], false), 'postfix-a       mta             y         /etc/"x"\n');
  assert.deepEqual(JSON.parse(list([one], true)), { name: 'postfix-a', group: 'mta', enabled: 'y', config_directory: '/etc/"x"' });
});
