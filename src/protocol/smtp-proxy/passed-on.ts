/**
 * Which replies of a before-queue filter its client may hear. Pure.
 *
 * A refusal (4xx, 5xx) is passed on as it came. Anything else that was not waited for is a fault of the filter's, and so is a reply whose lines
 * disagree or are no reply lines at all: the client then hears of trouble on our side, and comes again.
 */
export interface PassedOn { readonly code: number; readonly status?: string; readonly text: readonly string[] }

const line = /^([2-5])([0-9][0-9])(?:[ -](.*))?$/s;

/** The reply, when all its lines (joined by LF) are of the classes given; undefined: it is not to be passed on. */
export function passedOn(text: string, classes: string): PassedOn | undefined {
  const lines = text.split('\n').map((each) => line.exec(each));
  const [first] = lines;
  if (first === null || first === undefined || !classes.includes(first[1]!)) return undefined;
  if (lines.some((each) => each === null || each[1] !== first[1])) return undefined;
  const code = Number(lines.at(-1)!.slice(1, 3).join(''));
  const texts = lines.map((each) => each![3] ?? '');
  const status = /^[245]\.[0-9]{1,3}\.[0-9]{1,3} /.exec(texts[0]!)?.[0];
  if (status === undefined || !texts.every((each) => each.startsWith(status))) return { code, text: texts };
  return { code, status: status.slice(0, -1), text: texts.map((each) => each.slice(status.length)) };
}
