/**
 * Memory outside of V8's heap (the bytes of buffers) is given back when V8 collects what held it. V8 collects the young generation
 * when that is full of objects, and of those a large message makes few; so the buffers pile up until there are so many that V8 looks
 * through the whole heap for them, which takes thirty times as long. Whoever makes large buffers that live shortly counts them
 * here, and the young generation is collected in good time.
 *
 * Needs Node's --expose-gc; without it nothing happens.
 */
const collect = (globalThis as { gc?: (how: { type: 'minor' }) => void }).gc;

/** Bytes between two collections: far below the 64 MB at which V8 begins to look. */
const limit = 16 << 20;
let made = 0;

/** So many bytes were made that nobody wants for long. */
export function madeOutside(bytes: number): void {
  made += bytes;
  if (made < limit) return;
  made = 0;
  collect?.({ type: 'minor' });
}
