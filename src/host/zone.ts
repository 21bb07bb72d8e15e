/**
 * The local time zone: offset and abbreviation for a moment, as log lines, Received: and Date: headers want them.
 *
 * The C library reads its zone file at the first call: make that call before chroot(2).
 */
import type { Zone } from '../text/rfc822-date.ts';
import { bind, textAt } from './libc.ts';

const localtime = bind('void *localtime_r(const void *seconds, _Out_ void *parts)');

let known: { quarter: number; zone: Zone } | undefined;

/** The zone in force at a time (milliseconds since 1970). Remembered per quarter of an hour: no zone changes in between. */
export function zoneAt(time: number): Zone {
  const quarter = Math.floor(time / 900_000);
  if (known?.quarter !== quarter) known = { quarter, zone: askZone(time) };
  return known.zone;
}

function askZone(time: number): Zone {
  const seconds = Buffer.alloc(8);
  seconds.writeBigInt64LE(BigInt(Math.floor(time / 1000)));
  const parts = Buffer.alloc(56);
  localtime(seconds, parts);
  return { offsetMinutes: Number(parts.readBigInt64LE(40)) / 60, abbreviation: textAt(parts.readBigUInt64LE(48)) };
}
