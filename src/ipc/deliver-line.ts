/** Requests that wait for an agent, in order: taken from the front, put in at the back. */
import type { Job } from './deliver-connection.ts';

/** Places in front that are free before the line moves up. */
const slack = 256;

export class JobLine {
  #jobs: (Job | undefined)[] = [];
  #first = 0;

  get length(): number {
    return this.#jobs.length - this.#first;
  }

  push(job: Job): void {
    this.#jobs.push(job);
  }

  /** To the front, in the order given: they have waited before. */
  putBack(jobs: readonly Job[]): void {
    if (jobs.length === 0) return;
    this.#jobs = [...jobs, ...this.#jobs.slice(this.#first)];
    this.#first = 0;
  }

  shift(): Job | undefined {
    if (this.length === 0) return undefined;
    const job = this.#jobs[this.#first];
    this.#jobs[this.#first++] = undefined;
    if (this.#first === this.#jobs.length) {
      this.#jobs.length = 0;
      this.#first = 0;
    } else if (this.#first >= slack && this.#first * 2 >= this.#jobs.length) {
      this.#jobs = this.#jobs.slice(this.#first);
      this.#first = 0;
    }
    return job;
  }
}
