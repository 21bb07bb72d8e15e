/**
 * Which tables proxymap(8) may open: those that proxy_read_maps (or proxy_write_maps) leads to with `proxy:` in front, and no others.
 *
 * Lists may name files of lists, tables made of tables, and `{ type:name setting=value }`. What cannot be read is told and passed over: a table
 * too few is refused, a table too many would be a leak. Texts are byte strings.
 */
import { readFileSync } from 'node:fs';
import { logicalLines } from '../../config/logical-lines.ts';
import { errorText } from '../../host/libc.ts';
import { splitListGroups, trimWhite } from '../../text/ascii.ts';

type Warn = (text: string) => void;

const deepest = 10;

/** Names without `proxy:`. */
export function approvedTables(list: string, origin: string, warn: Warn): Set<string> {
  const approved = new Set<string>();
  approve(list, origin, approved, warn, 0);
  return approved;
}

export function withoutProxy(name: string): string {
  return name.startsWith('proxy:') ? withoutProxy(name.slice(6)) : name;
}

function approve(list: string, origin: string, approved: Set<string>, warn: Warn, depth: number): void {
  if (depth > deepest) return warn(`${origin}: lists are nested too deeply`);
  for (const item of splitListGroups(list)) {
    const name = item.startsWith('{') ? splitListGroups(trimWhite(item.replace(/^\{|\}$/g, '')))[0] ?? '' : item;
    if (name.startsWith('/')) approveFile(name, approved, warn, depth);
    else if (/^[A-Za-z0-9][^:]*:/.test(name)) approveTable(name, origin, approved, warn, depth);
  }
}

function approveTable(name: string, origin: string, approved: Set<string>, warn: Warn, depth: number): void {
  const [, members] = /^(?:unionmap|pipemap):\{([^]*)\}$/.exec(name) ?? [];
  if (members !== undefined) return approve(members, origin, approved, warn, depth + 1);
  if (!name.startsWith('proxy:')) return;
  const bare = withoutProxy(name);
  approved.add(bare);
}

function approveFile(file: string, approved: Set<string>, warn: Warn, depth: number): void {
  let text: string;
  try {
    text = readFileSync(Buffer.from(file, 'latin1'), 'latin1');
  } catch (error) {
    return warn(`open ${file}: ${errorText(error)}`);
  }
  for (const line of logicalLines(text, file, warn)) approve(line.text, file, approved, warn, depth + 1);
}
