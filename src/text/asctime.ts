/** C asctime(): a moment in local time as mailq and postcat show it, "Sat Nov 21 03:05:17 2026". */
const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** With the line end that asctime has. Seconds since the epoch; what is beyond the calendar counts as the epoch. */
export function asctime(seconds: number): string {
  const moment = new Date(seconds * 1000);
  const date = Number.isNaN(moment.getTime()) ? new Date(0) : moment;
  const two = (number: number): string => String(number).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${days[date.getDay()]} ${months[date.getMonth()]} ${String(date.getDate()).padStart(2)} ${time} ${date.getFullYear()}\n`;
}

/** As strftime(3) gives `%b %d %H:%M:%S`, "Nov 01 03:05:17", in local time. Milliseconds since the epoch. */
export function monthDayTime(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${months[date.getMonth()]} ${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
