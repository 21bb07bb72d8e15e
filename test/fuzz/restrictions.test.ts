/**
 * Random configurations and random clients, on our SMTP server and on a real Postfix from Debian (or the build that POSTFIX_DAEMONS and
 * POSTFIX_COMMANDS name): replies and log lines are the same. Seeds are fixed; FUZZ_SITES says how many sites are played instead of one (eight
 * configurations each), FUZZ_FIRST where to begin.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noDebianPostfix } from '../debian-postfix.ts';
import { ourRelease } from '../dialogues/private-postfix.ts';
import { noNames, surround } from '../dialogues/surroundings.ts';
import { differenceOf } from './differences.ts';
import { abilitiesOf, makeScene, play, realPostfix, type Scene } from './pair.ts';

const first = Number(process.env['FUZZ_FIRST'] ?? 2);
const sites = Number(process.env['FUZZ_SITES'] ?? 1);
const configurationsEach = 8;
const conversationsEach = 50;

const listOf = (settings: ReadonlyMap<string, string>): string => [...settings].map(([name, value]) => `${name} = ${value}`).join('\n');

test('random configurations are served as Postfix serves them', { skip: noDebianPostfix() || noNames('ours') || noNames('postfix') }, async (context) => {
  const peer = realPostfix();
  const abilities = abilitiesOf(peer);
  const [around, aroundPeer] = await Promise.all([surround('ours'), surround('postfix')]);
  const both = async (scene: Scene) => ({ theirs: await play(scene, peer, aroundPeer), ours: await play(scene, ourRelease(), around) });
  try {
    for (let seed = first; seed < first + sites; seed++) {
      await context.test(`site ${seed}`, async () => {
        const scene = makeScene(seed, configurationsEach, conversationsEach, abilities);
        try {
          const { ours, theirs } = await both(scene);
          assert.equal(ours.size, configurationsEach * conversationsEach);
          for (const [index, { settings, conversations }] of scene.services.entries()) {
            for (const conversation of conversations) {
              const difference = differenceOf(ours.get(conversation)!, theirs.get(conversation)!);
              if (difference === undefined) continue;
              assert.fail(`configuration ${index}\n${listOf(settings)}\n\n${listOf(scene.site)}\n\n${difference.before.join('\n')}\nours:    ${difference.ours}\nPostfix: ${difference.theirs}`);
            }
          }
        } finally {
          scene.end();
        }
      });
    }
  } finally {
    await Promise.all([around.stop(), aroundPeer.stop()]);
  }
});
