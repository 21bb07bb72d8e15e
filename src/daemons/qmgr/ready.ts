/** The lanes of a track that have something to send now, the one first whose job stands first: a binary heap. */
import type { Lane } from './destination.ts';
import { comesFirst } from './job.ts';

export class ReadyLanes<T, M = unknown> {
  readonly #lanes: Lane<T, M>[] = [];

  get first(): Lane<T, M> | undefined {
    return this.#lanes[0];
  }

  /** It has come, has gone, or begins with another peer than before. */
  update(lane: Lane<T, M>): void {
    const belongs = lane.first !== undefined && lane.destination.isReady;
    if (!belongs) return this.#remove(lane);
    if (lane.at < 0) {
      lane.at = this.#lanes.length;
      this.#lanes.push(lane);
    }
    this.#settle(lane);
  }

  #remove(lane: Lane<T, M>): void {
    if (lane.at < 0) return;
    const last = this.#lanes.pop()!;
    if (last !== lane) {
      this.#lanes[last.at = lane.at] = last;
      this.#settle(last);
    }
    lane.at = -1;
  }

  /** To its place, up or down. */
  #settle(lane: Lane<T, M>): void {
    while (lane.at > 0) {
      const above = this.#lanes[(lane.at - 1) >> 1]!;
      if (!comesFirst(lane.first!, above.first!)) break;
      this.#swap(above, lane);
    }
    for (;;) {
      const below = this.#below(lane.at);
      if (below === undefined || !comesFirst(below.first!, lane.first!)) return;
      this.#swap(lane, below);
    }
  }

  #below(at: number): Lane<T, M> | undefined {
    const [left, right] = [this.#lanes[2 * at + 1], this.#lanes[2 * at + 2]];
    return left !== undefined && right !== undefined && comesFirst(right.first!, left.first!) ? right : left;
  }

  #swap(upper: Lane<T, M>, lower: Lane<T, M>): void {
    const at = upper.at;
    this.#lanes[upper.at = lower.at] = upper;
    this.#lanes[lower.at = at] = lower;
  }
}
