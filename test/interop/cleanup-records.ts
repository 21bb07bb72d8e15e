/** The records of a queue file, taken apart without any of the code that wrote them. */
export const recordType = { size: 0x43, time: 0x54, warn: 0x57, attribute: 0x41, pointer: 0x70, padding: 0x77 } as const;

export const renderType = (type: number): string => String.fromCharCode(type);

/** Types and payloads (byte strings), in the order a reader meets them: pointers that lead on are followed, padding is left out. */
export function recordText(image: Buffer): [type: number, text: string][] {
  const found: [number, string][] = [];
  for (let at = 0, steps = 0; at < image.length && steps < 1_000_000; steps++) {
    const type = image[at++]!;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = image[at++]!;
      length |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
    }
    const text = image.toString('latin1', at, at + length);
    at += length;
    if (type === recordType.pointer && Number(text) > 0) at = Number(text);
    else if (type !== recordType.pointer && type !== recordType.padding) found.push([type, text]);
  }
  return found;
}
