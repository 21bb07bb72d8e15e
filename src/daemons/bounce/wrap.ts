/** Lines of a report that may be long: text/wrap.ts at the width of reports. */
import { wrapText } from '../../text/wrap.ts';

const width = 79;

export function wrap(text: string): string[] {
  return wrapText(text, width);
}
