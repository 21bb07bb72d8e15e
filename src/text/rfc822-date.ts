/**
 * The date of a mail header, as Postfix writes it: "Sat, 21 Nov 2026 02:43:48 +0000 (UTC)" (RFC 5322 section 3.3).
 *
 * Pure: the caller knows the time and the zone. Days have two digits.
 */

/** A zone as localtime(3) tells it for one moment. */
export interface Zone {
  /** east of Greenwich */
  readonly offsetMinutes: number;
  /** "CET"; printable ASCII */
  readonly abbreviation: string;
}

export const utc: Zone = { offsetMinutes: 0, abbreviation: 'UTC' };

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const two = (value: number): string => String(value).padStart(2, '0');

/** @param seconds since the epoch */
export function mailDate(seconds: number, zone: Zone = utc): string {
  const local = new Date((Math.floor(seconds) + zone.offsetMinutes * 60) * 1000);
  const date = `${days[local.getUTCDay()]}, ${two(local.getUTCDate())} ${months[local.getUTCMonth()]} ${local.getUTCFullYear()}`;
  const time = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())}`;
  return `${date} ${time} ${renderOffset(zone.offsetMinutes)} (${zone.abbreviation})`;
}

function renderOffset(minutes: number): string {
  const distance = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(distance / 60))}${two(distance % 60)}`;
}

/** YYYYMMDDhhmmss in UTC, as in message ids. */
export function compactTime(seconds: number): string {
  return new Date(Math.floor(seconds) * 1000).toISOString().replace(/[-:T]/g, '').slice(0, 14);
}
