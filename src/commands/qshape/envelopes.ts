/**
 * Arrival time, sender and recipients of queue files, wherever they lie below a directory: what qshape(1) counts.
 *
 * What is no complete queue file is passed over, as is what vanishes meanwhile; symbolic links are not followed. Memory does not grow
 * with the queue.
 */
import { closeSync, constants, fstatSync, lstatSync, opendirSync, openSync } from 'node:fs';
import { recordText, recordType } from '../../message/record.ts';
import { RecordFile } from '../../queue/record-file.ts';

export interface CountedEnvelope {
  /** Seconds. */
  readonly arrival: number;
  readonly sender: string;
  readonly recipients: readonly string[];
}

const messageName = /^[A-Za-z0-9]{6,}$/;
/** Mode bits, and what they are of a message that is complete. */
const [modeMask, completeMode] = [0o733, 0o700];
const deepest = 20;

/** @throws what keeps us from looking at `top` itself */
export function* envelopesBelow(top: string, depth = 0): Generator<CountedEnvelope, void, undefined> {
  const directory = opendirSync(Buffer.from(top, 'latin1') as unknown as string, { encoding: 'latin1', bufferSize: 256 });
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      const path = `${top}/${entry.name}`;
      if (isDirectory(path)) {
        if (depth < deepest) yield* below(path, depth + 1);
      } else if (messageName.test(entry.name)) {
        const envelope = envelopeIn(path);
        if (envelope !== undefined) yield envelope;
      }
    }
  } finally {
    directory.closeSync();
  }
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(Buffer.from(path, 'latin1')).isDirectory();
  } catch {
    return false;
  }
}

function* below(path: string, depth: number): Generator<CountedEnvelope, void, undefined> {
  try {
    yield* envelopesBelow(path, depth);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== 'opendir') throw error;
  }
}

function envelopeIn(path: string): CountedEnvelope | undefined {
  let fd: number;
  try {
    fd = openSync(Buffer.from(path, 'latin1'), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const status = fstatSync(fd);
    if (!status.isFile() || (status.mode & modeMask) !== completeMode) return undefined;
    return readEnvelope(new RecordFile(fd), Math.floor(status.mtimeMs / 1000));
  } finally {
    closeSync(fd);
  }
}

/** @param changed the arrival time of what does not tell its own (maildrop) */
export function readEnvelope(file: RecordFile, changed: number): CountedEnvelope | undefined {
  let size: number | undefined;
  let arrival: number | undefined;
  let sender: string | undefined;
  const recipients: string[] = [];
  for (let step = file.next(); step.kind === 'record'; step = file.next()) {
    const { type } = step.record;
    if (type === recordType.end) return sender === undefined || recipients.length === 0 ? undefined : { arrival: arrival ?? changed, sender, recipients };
    if (type === recordType.size) size ??= contentSize(recordText(step.record));
    else if (type === recordType.time) arrival ??= Number(/^[ \t]*([0-9]+)/.exec(recordText(step.record))?.[1] ?? changed);
    else if (type === recordType.sender) sender = recordText(step.record);
    else if (type === recordType.recipient) recipients.push(recordText(step.record));
    else if (type === recordType.message && size !== undefined) file.seek(file.offset + size);
  }
  return undefined;
}

/** Undefined: the content must be read to find its end. */
function contentSize(text: string): number | undefined {
  const [, size] = /^[ \t]*([0-9]+)[ \t]+[0-9]+[ \t]+[0-9]+/.exec(text) ?? [];
  return size === undefined ? undefined : Number(size);
}
