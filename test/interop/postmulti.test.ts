/** postmulti(1) and Debian's, side by side: texts, exit statuses, and the main.cf that comes of it. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { anonymous, comparable, missing, ourCommand, play } from './postfix-command-scene.ts';

const one = '-I postfix-one config_directory=@/one';

const commands = [
  'postmulti -l', 'postmulti -Z', `postmulti -e create ${one}`, 'postmulti -e init', `postmulti -e create -G mta ${one}`, `postmulti -e create ${one}`,
  'postmulti -e create -I two', 'postmulti -e create -I postfix-two config_directory=@/two -G out -i one queue_directory=@/q2///', 'postmulti -l', 'postmulti -l -R', 'postmulti -l -g mta',
  'postmulti -l -i one', 'postmulti -l -i -', 'postmulti -e enable -i one', 'postmulti -e enable -i nosuch',
  "postmulti -x sh -c 'echo $multi_instance_name:$multi_instance_group:$multi_instance_enable:$config_directory:$queue_directory:$data_directory:$MAIL_CONFIG'",
  'postmulti -x -R -g out false', 'postmulti -e assign -i one -I postfix-uno -G -', 'postmulti -e assign -i uno -I postfix-two', 'postmulti -l', 'postmulti -p status', 'postmulti -i uno -p status',
  'postmulti -e destroy -i uno', 'postmulti -e disable -i uno', 'postmulti -e deport -i uno', 'postmulti -l',
  'sh:grep -E "multi_|alternate_" /etc/postfix/main.cf | sort', 'postmulti -e import -I postfix-one config_directory=@/one', 'postmulti -e destroy -i two', 'postmulti -l', 'sh:ls @',
];

/** Postfix 3.7 says it in the log only. */
const logged = /^(?:postlog|postmulti: fatal|postfix): /;

test('postmulti makes, names, lists, commands and takes away instances as Postfix does', { skip: missing, timeout: 180_000 }, () => {
  const [theirs, ours] = (['postfix', 'ours'] as const).map((whose) => play(whose, commands));
  for (const [at, answer] of ours!.answers.entries()) assert.deepEqual(comparable(answer, logged), comparable(theirs!.answers[at]!, logged), answer.command);
  // 3.7 adds settings in an order of its own.
  const sorted = (text: string): string[] => text.split('\n').sort();
  for (const name of ['etc/main.cf', 'one/main.cf', 'one/master.cf']) assert.deepEqual(sorted(ours!.file(name)), sorted(theirs!.file(name)), name);
  assert.equal(anonymous(ours!.file('maillog')), anonymous(theirs!.file('maillog')));
  assert.match(ours!.file('one/main.cf'), /^master_service_disable = inet$/m);
});

test('postfix(1) without -c hands its command to the wrapper, which has it done for each instance, backwards for stop', { skip: missing, timeout: 60_000 }, () => {
  const { answers } = play('ours', ['postmulti -e init', `postmulti -e create ${one}`, 'postmulti -e enable -i one', 'postmulti -p status', 'postmulti -p stop', 'postmulti -p quick-stop', 'sh:ls @/spool/postfix-one/quick-start @/spool/postfix/quick-start']);
  assert.deepEqual(answers.slice(0, 3).map(({ status }) => status), [0, 0, 0]);
  assert.equal(answers[3]!.status, 1);
  assert.equal(answers[3]!.stderr.match(/is not running$/gm)?.length, 2);
  assert.deepEqual([answers[4]!.status, answers[5]!.status, answers[6]!.status], [1, 0, 0]);
});

test('a postmulti that is not the default instance\'s refuses', { skip: missing }, () => {
  const { answers } = play('ours', [`sh:MAIL_CONFIG=@/x ${ourCommand} postmulti -l`], (directory) => {
    mkdirSync(`${directory}/x`);
    writeFileSync(`${directory}/x/main.cf`, '');
  });
  assert.equal(answers[0]!.status, 1);
  assert.match(answers[0]!.stderr, /^postmulti: fatal: Non-default configuration directory: MAIL_CONFIG=@\/x$/m);
});
