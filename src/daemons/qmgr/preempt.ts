/**
 * Small messages go between the deliveries of large ones. qmgr(8); postconf(5) default_delivery_slot_cost and its like.
 *
 * With each delivery a job earns a part of a slot. When it has enough of them for all that a smaller one still needs, that one may
 * go first, and stands in front of it until it is through. So a message is held up by no more than one delivery in `slotCost`,
 * and a small one need not wait for all of a large one. Slots that were not used in the end are given back.
 */
import type { Job } from './job.ts';
import { lendExtra } from './recipient-slots.ts';
import type { Track } from './track.ts';

/** Let the best other job go before this one, where it has earned that. `now` in milliseconds. */
export function preempt<T, M>(track: Track<T, M>, current: Job<T, M>, now: number): boolean {
  const { slotCost, slotLoan, slotDiscount, minimumSlots } = track.rules;
  if (slotCost < 2 || current.slotsAvailable <= 0 || current.most < minimumSlots * slotCost) return false;
  const candidate = candidateFor(track, current, now);
  if (candidate === undefined) return false;
  const expected = candidate.most - candidate.selected;
  if (Math.trunc(current.slotsAvailable / slotCost) + slotLoan < (expected * (100 - slotDiscount)) / 100) return false;
  if (candidate.level > 0) pop(candidate);
  track.moveBefore(candidate, current);
  candidate.parent = current;
  (current.children ??= new Set()).add(candidate);
  candidate.level = current.level + 1;
  // Paid in advance; `pop` returns what is left.
  current.slotsAvailable -= expected * slotCost;
  candidate.slotsUsed = -expected;
  track.found = undefined;
  lendExtra(candidate);
  return true;
}

function candidateFor<T, M>(track: Track<T, M>, current: Job<T, M>, now: number): Job<T, M> | undefined {
  const { found } = track;
  const second = Math.floor(now / 1000);
  const isKnown = found !== undefined && found.current === current && (found.second === second || found.candidate === undefined);
  if (isKnown && (found.candidate === undefined || found.candidate.isReady)) return found.candidate;
  const candidate = search(track, current, second);
  track.found = { current, candidate, second };
  return candidate;
}

/** Who has waited longest for what it is, and needs no more than the current job can earn. */
function search<T, M>({ rules }: Track<T, M>, current: Job<T, M>, second: number): Job<T, M> | undefined {
  const mostSlots = Math.trunc((current.read - current.selected + current.slotsAvailable) / rules.slotCost);
  let best: Job<T, M> | undefined;
  let bestScore = 0;
  if (mostSlots <= 0) return undefined;
  for (let job = current.behind; job !== undefined; job = job.behind) {
    const { most, selected, level } = job;
    const waited = second - Math.floor(job.mail.queued / 1000) + 1;
    if (job.children !== undefined) continue;
    const score = waited / most;
    if (score > bestScore && most > selected && most - selected <= mostSlots && job.isReady) {
      best = job;
      bestScore = score;
    }
    // Nobody behind has waited longer.
    if (waited <= bestScore && level === 0) break;
  }
  return best;
}

/** It has no one in front of whom it goes any more: those who go in front of it go in front of that one. */
export function pop<T, M>(job: Job<T, M>): void {
  const { parent, level, track } = job;
  if (parent !== undefined && level === parent.level + 1) parent.slotsAvailable -= job.slotsUsed * track.rules.slotCost;
  leave(job);
  for (const child of job.children ?? []) {
    child.parent = parent;
    if (parent !== undefined) (parent.children ??= new Set()).add(child);
  }
  job.children = undefined;
  job.parent = undefined;
  job.level = 0;
  track.found = undefined;
}

/** Who has no children has no set of them. */
function leave<T, M>(job: Job<T, M>): void {
  const { parent } = job;
  parent?.children?.delete(job);
  if (parent?.children?.size === 0) parent.children = undefined;
}

/** A delivery of this job goes out. */
export function countSlots<T, M>(job: Job<T, M>): void {
  job.slotsAvailable++;
  job.slotsUsed++;
  if (job.track.found !== undefined && job.track.found.current !== job) job.track.found = undefined;
}
