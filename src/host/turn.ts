/**
 * The end of a turn of the event loop, in the order that keeps nobody waiting: first what others wait for leaves (answers, requests,
 * replies), then work is done that nobody waits for, then what that had to say leaves too. One immediate serves all.
 */

export interface Leaving {
  /** Write what has gathered. Must not throw. */
  flush(): void;
}

let leaving: Leaving[] = [];
let work: (() => void)[] = [];
let isDue = false;

/** `one` leaves at the end of this turn. To be called once for what it has gathered. */
export function leavesThisTurn(one: Leaving): void {
  leaving.push(one);
  due();
}

/** When everything of this turn has left. */
export function afterThisTurn(run: () => void): void {
  work.push(run);
  due();
}

function due(): void {
  if (isDue) return;
  isDue = true;
  setImmediate(endTurn);
}

function endTurn(): void {
  try {
    letLeave();
    const all = work;
    work = [];
    for (const run of all) run();
    letLeave();
  } finally {
    isDue = false;
    if (leaving.length + work.length > 0) due();
  }
}

function letLeave(): void {
  const all = leaving;
  if (all.length === 0) return;
  leaving = [];
  for (const one of all) one.flush();
}
