/** Every dialogue on the machine alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDialogues } from './format.ts';
import { playOnMachine } from './play-machine.ts';

const dialogues = readDialogues(new URL('./', import.meta.url));

test('the corpus is as large as it should be', () => assert.ok(dialogues.length >= 150, `${dialogues.length} dialogues`));

for (const dialogue of dialogues.filter(({ served }) => !served)) {
  test(`machine, ${dialogue.file}: ${dialogue.title}`, () => playOnMachine(dialogue));
}
