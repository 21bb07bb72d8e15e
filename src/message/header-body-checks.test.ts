import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkBody, checkHeader, type CheckActions, type CheckTable } from './header-body-checks.ts';
import { headerClass } from './header.ts';

/** A table that answers what stands behind the first "=". */
const answers: CheckTable = { title: 'some_checks', find: (key) => /=([^]*)$/.exec(key)?.[1] };

function play(line: string, where: 'header' | 'body', options: { prepends?: boolean; late?: boolean } = {}) {
  const said: string[] = [];
  const actions: CheckActions = {
    unknown: 'unsupported',
    log: (action, checked, text) => said.push(`${action}: ${checked.where} ${checked.content}: ${text}`),
    warn: (text) => said.push(`warning: ${text}`),
    ...(options.prepends === false ? {} : { prepend: (text) => said.push(`put ${text}`) }),
    more: new Map([['HOLD', (text, { content }) => (said.push(`held ${text}`), content)]]),
  };
  const table: CheckTable = options.late ? { ...answers, find: async (key) => answers.find(key) } : answers;
  const result = where === 'header' ? checkHeader({ primary: table, mime: undefined, nested: undefined }, 'primary', headerClass(line.split(':')[0]!), line, actions) : checkBody(table, line, actions);
  return { said, result };
}

for (const [name, line, where, result, ...said] of [
  ['nothing found', 'X: y', 'header', 'X: y'],
  ['DUNNO', 'X: =DUNNO', 'header', 'X: =DUNNO'],
  ['OK with a text', 'X: =ok fine', 'header', 'X: =ok fine'],
  ['IGNORE is not logged', 'X: =IGNORE x', 'header', undefined],
  ['STRIP is', 'X: =STRIP x', 'header', undefined, 'strip: header X: =STRIP x: x'],
  ['WARN', 'X: =Warn x  y', 'header', 'X: =Warn x  y', 'warning: header X: =Warn x  y: x  y'],
  ['INFO without a text', 'X: =INFO', 'body', 'X: =INFO', 'info: body X: =INFO: '],
  ['REPLACE a header', 'X: =REPLACE Y: z', 'header', 'Y: z', 'replace: header X: =REPLACE Y: z: Y: z'],
  ['REPLACE a header by none', 'X: =REPLACE z', 'header', 'X: =REPLACE z', 'warning: bad REPLACE header text "z" in some_checks map -- need "headername: headervalue"'],
  ['REPLACE a line', '=REPLACE z', 'body', 'z', 'replace: body =REPLACE z: z'],
  ['REPLACE by nothing', '=REPLACE ', 'body', '=REPLACE ', 'warning: REPLACE action without text in some_checks map'],
  ['PREPEND', '=PREPEND z', 'body', '=PREPEND z', 'prepend: body =PREPEND z: z', 'put z'],
  ['PREPEND no header', 'X: =PREPEND z', 'header', 'X: =PREPEND z', 'warning: bad PREPEND header text "z" in some_checks map -- need "headername: headervalue"'],
  ['an action of one\'s own', '=hold it', 'body', '=hold it', 'held it'],
  ['an action that nobody has', '=REJECT x', 'body', '=REJECT x', 'warning: unsupported command in some_checks map: REJECT x'],
  ['a NUL ends what is looked up', '=WARN a\0b', 'body', '=WARN a\0b', 'warning: body =WARN a: a'],
  ['MIME headers have a table of their own', 'Content-Type: =IGNORE', 'header', 'Content-Type: =IGNORE'],
] as const) {
  test(name, async () => {
    assert.deepEqual(play(line, where), { said: [...said], result });
    const late = play(line, where, { late: true });
    assert.equal(await late.result, result);
    assert.deepEqual(late.said, [...said]);
  });
}

test('PREPEND is unsupported where nothing can be put', () => {
  assert.deepEqual(play('=PREPEND z', 'body', { prepends: false }), { said: ['warning: unsupported command in some_checks map: PREPEND z'], result: '=PREPEND z' });
});
