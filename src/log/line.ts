/**
 * A line as it stands in maillog_file, taken apart again: for lines that reach the log by another program. Pure.
 */
export interface LogLine {
  /** `postfix/smtpd` */
  readonly tag: string;
  /** The number in brackets. */
  readonly number: number;
  readonly text: string;
}

/** Month, day, time, host, tag[number]: text. */
const form = /^[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [^ ]+ ([^ \[\]:]{1,200})\[([0-9]{1,15})\]: ([^]*)$/;

/** Undefined: it is no such line. */
export function parseLogLine(line: string): LogLine | undefined {
  const [, tag, number, text] = form.exec(line) ?? [];
  return tag === undefined ? undefined : { tag, number: Number(number), text: text! };
}
