/**
 * The client's option file (my.cnf): what its groups say about user, password, socket, port and TLS.
 *
 * A file that the table names must be readable (throws an Error); the usual places are looked at when it names none, and what is not there says
 * nothing. `!include` and `!includedir` are followed, not without end.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { errorText } from '../../host/libc.ts';
import { trimWhite } from '../../text/ascii.ts';

const usualFiles = ['/etc/my.cnf', '/etc/mysql/my.cnf'];
const deepest = 10;

export function optionFile(named: string | undefined, group: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  const groups = new Set(['client', 'client-server', 'client-mariadb', group].filter((each) => each !== ''));
  if (named !== undefined) read(named, groups, options, 0);
  else for (const file of usualFiles) {
    try {
      read(file, groups, options, 0);
    } catch {
      // whoever has no such file, or may not read it, has no options
    }
  }
  return options;
}

function read(file: string, groups: ReadonlySet<string>, options: Map<string, string>, depth: number): void {
  if (depth > deepest) return;
  let text: string;
  try {
    text = readFileSync(Buffer.from(file, 'latin1'), 'latin1');
  } catch (error) {
    throw new Error(`open ${file}: ${errorText(error)}`);
  }
  let counts = false;
  for (const line of text.split('\n').map(trimWhite)) {
    const include = /^!(include|includedir)[ \t]+(.*)$/.exec(line);
    if (include) for (const other of include[1] === 'include' ? [include[2]!] : filesOf(include[2]!)) read(other, groups, options, depth + 1);
    else if (line.startsWith('[')) counts = groups.has(line.slice(1).replace(/\].*$/, ''));
    else if (counts && line !== '' && !/^[#;]/.test(line)) note(line, options);
  }
}

function filesOf(folder: string): string[] {
  return readdirSync(Buffer.from(folder, 'latin1'), 'latin1').filter((name) => name.endsWith('.cnf')).sort().map((name) => `${folder}/${name}`);
}

function note(line: string, options: Map<string, string>): void {
  const [, name = '', value = ''] = /^([^=]*?)[ \t]*(?:=[ \t]*(.*))?$/.exec(line) ?? [];
  options.set(name.replaceAll('_', '-'), /^(['"]).*\1$/.test(value) ? value.slice(1, -1) : value);
}
