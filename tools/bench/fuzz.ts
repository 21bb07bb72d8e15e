/**
 * `npm run bench -- fuzz`: random dialogues with the SMTP server's protocol machine, as fast as they go. A dialogue that goes wrong is
 * told with its number, and `--seed NUMBER --dialogues 1` plays it again.
 */
import { playRandomDialogue } from '../../test/bad-input/random-dialogue.ts';
import type { BenchOptions } from './options.ts';
import { figure } from './statistics.ts';

const mostFaults = 20;
const reportEach = 100_000;

/** True when every dialogue went as it must. */
export function fuzz({ dialogues, seed }: Pick<BenchOptions, 'dialogues' | 'seed'>): boolean {
  const began = performance.now();
  const rate = (count: number): string => `${figure(count / ((performance.now() - began) / 1000))} per second`;
  const total = { commands: 0, replies: 0, content: 0 };
  let faults = 0;
  for (let at = 0; at < dialogues && faults < mostFaults; at++) {
    const played = playRandomDialogue(seed + at);
    total.commands += played.moves;
    total.replies += played.replies;
    total.content += played.content;
    if (played.fault !== undefined) {
      faults++;
      console.log(`fuzz: dialogue ${seed + at}: ${played.fault}`);
    }
    if ((at + 1) % reportEach === 0) console.log(`fuzz: ${at + 1} dialogues, ${rate(at + 1)}`);
  }
  console.log(`fuzz: ${dialogues} dialogues from ${seed}: ${total.commands} moves, ${total.replies} replies, ${total.content} bytes of content, ${rate(dialogues)}; ${faults === 0 ? 'none went wrong' : `${faults} WENT WRONG`}`);
  return faults === 0;
}
