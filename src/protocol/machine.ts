/**
 * The contract of every protocol machine: bytes go in, steps come out. A machine owns no socket, no clock and no file.
 *
 * How a pump drives it, at each wake-up: `expire(now)` first, so that the machine knows the time; then whatever happened
 * (`receive`, `end`, or the answer to the machine's one open question); then `next()` until it returns undefined,
 * performing each step before it asks for the following one; last, set the timer to `deadline()`.
 * Bad input is a step, never a throw; a throw is a mistake of the pump or of the machine.
 */
export interface Machine<Step> {
  /** Bytes from the peer, cut anywhere. The machine keeps references: the pump must not reuse the buffer. */
  receive(bytes: Buffer): void;
  /** The next thing to be done, or undefined when the machine waits for bytes, for an answer, or is finished. */
  next(): Step | undefined;
  /** It is `now` (milliseconds, any origin, never backwards). At or past the deadline the next steps say what follows. */
  expire(now: number): void;
  /** When the peer's patience with us, or ours with the peer, ends, on the scale of `expire`; undefined: no limit now. */
  deadline(): number | undefined;
  /** False while enough waits to be worked on: the pump stops reading. Absent: always true. */
  readonly wantsInput?: boolean;
  /** The peer will send no more. What was received before is still served; then the machine ends its side. */
  end(): void;
}
