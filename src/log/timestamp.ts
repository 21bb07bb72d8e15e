/**
 * The time at the start of a log line, in the local zone: "Nov 21 03:04:05" in files (`%b %d %H:%M:%S`), and "Nov  1 ..." with
 * a blank instead of a nought for syslog (`%h %e %T`). Made once per second; nothing here throws.
 */
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

let second = Number.NaN;
let text: { file: string; syslog: string } = { file: '', syslog: '' };

const two = (value: number): string => (value < 10 ? `0${value}` : String(value));

function at(milliseconds: number): { file: string; syslog: string } {
  const now = Math.floor(milliseconds / 1000);
  if (now === second) return text;
  const date = new Date(now * 1000);
  const [month, day] = [months[date.getMonth()]!, date.getDate()];
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  second = now;
  text = { file: `${month} ${two(day)} ${clock}`, syslog: `${month} ${String(day).padStart(2)} ${clock}` };
  return text;
}

/** Milliseconds since the epoch as a log file shows them. */
export function fileTime(milliseconds: number): string {
  return at(milliseconds).file;
}

/** Milliseconds since the epoch as syslog(3) sends them. */
export function syslogTime(milliseconds: number): string {
  return at(milliseconds).syslog;
}
