/** Replies of postscreen(8) as they leave: softened where soft_bounce wants it, with a footer. Pure. */
import { dsnValid } from '../../message/dsn.ts';

/** 5xx becomes 4xx, code and status (soft_bounce). */
export function softened(reply: string): string {
  const code = reply[0] === '5' ? `4${reply.slice(1)}` : reply;
  return code[4] === '5' ? `${code.slice(0, 4)}4${code.slice(5)}` : code;
}

/** `reply` is one line without its end. `\n` in a footer begins a line of its own, `\c` in front goes on with the line that is there. */
export function withFooter(reply: string, footer: string): string {
  if (footer === '') return reply;
  const code = reply.slice(0, 3);
  const length = dsnValid(reply.slice(4));
  const status = length > 0 ? `${reply.slice(4, 4 + length)} ` : '';
  const goesOn = footer.startsWith('\\c');
  const pieces = (goesOn ? footer.slice(2) : footer).split('\\n');
  const lines = goesOn ? [reply + pieces.shift()!] : [reply];
  for (const piece of pieces) lines.push(`${code} ${status}${piece}`);
  return lines.map((line, at) => (at < lines.length - 1 ? `${line.slice(0, 3)}-${line.slice(4)}` : line)).join('\r\n');
}
