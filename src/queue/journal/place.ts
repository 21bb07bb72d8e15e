/**
 * Where a message lies while it is not a file of its own: in a segment of the journal, as the image of the queue file it would be.
 *
 * A place is told to delivery agents with the request. It stays good until the queue process has heard from the agent: a segment
 * is not used again before.
 */

export interface Place {
  /** Path of the segment, relative to the queue directory: `journal/0000002A`. */
  readonly segment: string;
  /** Bytes from the start of the segment to the start of the queue file image. */
  readonly offset: number;
  /** Bytes of the image. */
  readonly length: number;
}

export function placeText({ segment, offset, length }: Place): string {
  return `${segment}:${offset}:${length}`;
}

/** Undefined for what is no place: only the journal's own directory is ever looked into. */
export function parsePlace(text: string): Place | undefined {
  const parts = /^(journal\/[0-9A-F]{8}):([0-9]{1,15}):([0-9]{1,15})$/.exec(text);
  return parts === null ? undefined : { segment: parts[1]!, offset: Number(parts[2]), length: Number(parts[3]) };
}
