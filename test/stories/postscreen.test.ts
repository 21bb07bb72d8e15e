/**
 * postscreen(8), side by side with Debian's: clients of all kinds hear the same, and the log says the same of them.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { noNames } from '../dialogues/surroundings.ts';
import { noDebianPostfix } from '../debian-postfix.ts';
import { scenes } from './postscreen-scenes.ts';
import { playAll, type Played } from './postscreen-stage.ts';

const skip = noDebianPostfix() || noNames('postfix');

describe('postscreen does as that of Postfix does', { skip, concurrency: true }, () => {
  let ours: Map<string, Played>;
  let theirs: Map<string, Played>;
  before(async () => {
    theirs = await playAll('postfix', scenes);
    ours = await playAll('ours', scenes);
  });
  for (const scene of scenes) {
    test(scene.name, () => {
      assert.deepEqual(ours.get(scene.name)!.heard, theirs.get(scene.name)!.heard);
      if (scene.logDiffers === undefined) assert.deepEqual(ours.get(scene.name)!.logged, theirs.get(scene.name)!.logged);
    });
  }
});
