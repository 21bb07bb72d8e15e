/**
 * SMTP replies that filters give, and the short form in which verdicts of filters travel between our rooms.
 *
 * A verdict is undefined (go on), `H` and a reason (hold), `D` (discard), `S` (end the session), or an SMTP reply that begins with 4 or 5; a
 * reply of several lines has CR LF between them and each line its code.
 */
import type { Reply } from '../smtp-server/steps.ts';

export type FilterVerdict = string | undefined;

const line = /^[45][0-9][0-9]([ -])/;

/**
 * The text of a reply that a filter has chosen; undefined when it is none. Each line is `ddd-` but the last, `ddd `, and an enhanced
 * status that begins with a digit begins with that of the code. A filter writes %% for %, as for printf; a single % is dropped.
 */
export function chosenReply(bytes: Buffer, softBounce: boolean): string | undefined {
  let text = bytes.toString('latin1');
  if (text.endsWith('\0')) text = text.slice(0, -1);
  if (text.includes('\0') || !isReply(text)) return undefined;
  text = text.replace(/%(.?)/gs, '$1');
  return softBounce ? text.split('\r\n').map(soft).join('\r\n') : text;
}

function isReply(text: string): boolean {
  const lines = text.split('\r\n');
  return lines.every((each, at) => {
    const separator = line.exec(each)?.[1];
    if (separator !== (at === lines.length - 1 ? ' ' : '-') || /[\r\n]/.test(each)) return false;
    return !/^[0-9]/.test(each.slice(4)) || each[4] === each[0];
  });
}

function soft(text: string): string {
  if (!text.startsWith('5')) return text;
  return text[4] === '5' ? `4${text.slice(1, 4)}4${text.slice(5)}` : `4${text.slice(1)}`;
}

/** The same as the SMTP server wants it; undefined: this is no reply. A status that all lines share stands apart. */
export function replyOf(text: string): Reply | undefined {
  const lines = text.split(/\r?\n/);
  if (!lines.every((each) => line.test(each))) return undefined;
  const code = Number(lines[0]!.slice(0, 3));
  const rests = lines.map((each) => each.slice(4));
  const status = /^[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= )/.exec(rests[0]!)?.[0];
  if (status === undefined || !rests.every((rest) => rest.startsWith(`${status} `))) return { code, text: rests.length === 1 ? rests[0]! : rests };
  const texts = rests.map((rest) => rest.slice(status.length + 1));
  return { code, status, text: texts.length === 1 ? texts[0]! : texts };
}
