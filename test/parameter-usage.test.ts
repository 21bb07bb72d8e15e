/** A card says `notYetUsed` exactly when nothing in src/ reads the parameter: `postconf` and `postfix check` tell people so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parameterNames } from '../src/parameters/parameters.ts';
import { flagChanges, readNames } from './parameter-usage.ts';

test('notYetUsed stands on the cards that nothing reads, and on no others', () => {
  const wrong = flagChanges().map(({ file, name, change }) => (change === 'add'
    ? `src/parameters/${file}: ${name}: nothing reads it: add "notYetUsed: true"`
    : `src/parameters/${file}: ${name}: src/ reads it: remove "notYetUsed: true"`));
  assert.deepEqual(wrong, [], 'mend this with: node test/parameter-usage.ts --write');
});

test('the search finds what it should', () => {
  const used = readNames();
  for (const name of ['queue_directory', 'lmtp_connect_timeout', 'lmtp_lhlo_name', 'stress', 'default_destination_recipient_limit', 'command_time_limit', 'address_verify_transport_maps'])
    assert.ok(used.has(name), name);
  assert.ok(used.size <= parameterNames().length);
});
