/**
 * Buffers of a message's size that are used again. The system gives memory in pages that are cleared one by one, and V8 looks through its
 * whole heap to find out what of it is no longer used: both take longer than what is done with the bytes of a large message, and those
 * of small ones pile up until it looks.
 *
 * Sizes are powers of two; what is kept has a bound for the whole process. Whoever gives a buffer back must be sure that nobody
 * reads it, nor a part of it, any more. A buffer that is never given back is garbage like any other.
 */
const smallest = 8 << 10;
const largest = 4 << 20;
/** Bytes that may lie here unused. */
const keptLimit = 24 << 20;
/** Milliseconds without messages after which the system gets the memory back. */
const patience = 10_000;

const spares = new Map<number, Buffer[]>();
let kept = 0;
let isWanted = false;
let watch: NodeJS.Timeout | undefined;

function sizeFor(length: number): number {
  let size = smallest;
  while (size < length) size *= 2;
  return size;
}

/** `length` bytes or more, whatever they are. */
export function spareBuffer(length: number): Buffer {
  isWanted = true;
  const size = sizeFor(length);
  const found = spares.get(size)?.pop();
  if (found === undefined) return Buffer.allocUnsafeSlow(length > largest ? length : size);
  kept -= size;
  return found;
}

/** What `spareBuffer` gave, all of it; another buffer is left alone. */
export function giveBack(buffer: Buffer): void {
  const size = buffer.length;
  if (buffer.byteOffset !== 0 || buffer.buffer.byteLength !== size || size > largest || size !== sizeFor(size) || kept + size > keptLimit) return;
  kept += size;
  watch ??= setTimeout(look, patience).unref();
  const list = spares.get(size);
  if (list === undefined) spares.set(size, [buffer]);
  else list.push(buffer);
}

function look(): void {
  watch = undefined;
  if (!isWanted) return dropSpareBuffers();
  isWanted = false;
  watch = setTimeout(look, patience).unref();
}

/** Nothing large is under way: the system may have the memory. */
export function dropSpareBuffers(): void {
  spares.clear();
  kept = 0;
}
