/** daemon_table_open_error_is_fatal: who ends at a table that cannot be opened. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTable } from './open.ts';
import { tableContext, TableTrouble } from './table.ts';

const text = 'open database /no/such.cdb: No such file or directory';

for (const [title, setting, isDaemon, severity] of [
  ['a daemon goes on, by default', 'no', true, 'error'],
  ['a daemon ends where main.cf says so', 'yes', true, 'fatal'],
  ['in any case of letters', 'Yes', true, 'fatal'],
  ['a command has its own ways', 'yes', false, 'error'],
] as const) {
  test(title, () => {
    const said: string[] = [];
    const hear = (name: string) => (words: string): void => void said.push(`${name}: ${words}`);
    const end = (words: string): never => {
      said.push(`fatal: ${words}`);
      throw new Error('the end');
    };
    const configuration = { text: (name: string) => (name === 'daemon_table_open_error_is_fatal' ? setting : '') };
    const context = tableContext(configuration, { warning: hear('warning'), error: hear('error'), info: hear('info'), fatal: end }, isDaemon ? () => undefined : undefined);
    assert.throws(() => openTable('cdb:/no/such', context).find('key'), severity === 'fatal' ? /the end/ : TableTrouble);
    assert.deepEqual(said, [`${severity}: ${text}`]);
  });
}
