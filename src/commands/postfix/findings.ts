/**
 * What `postfix check` finds: for a person as lines of the log, in Postfix's words; for a program (--json) as one JSON object per line
 * with severity, file, line, parameter, service, text and fix.
 *
 * Trouble is worded once, with the place and the likely fix behind it; the parts are read from that wording.
 */
import type { Log } from '../../log/log.ts';
import type { Situation } from './situation.ts';

export type Severity = 'fatal' | 'error' | 'warning';

export interface Finding {
  readonly severity: Severity;
  readonly text: string;
  readonly file?: string | undefined;
  /** From 1. */
  readonly line?: number | undefined;
  readonly parameter?: string | undefined;
  readonly service?: string | undefined;
  readonly fix?: string | undefined;
}

/** What is known besides the words. */
export type Known = Partial<Omit<Finding, 'severity' | 'text'>>;

export interface Reporter {
  /** @param said the line for the log */
  report(severity: Severity, said: string, known?: Known): void;
  /** Where other programs' complaints go: undefined for standard error itself. */
  readonly captures: boolean;
}

export function textReporter(log: Log): Reporter {
  // `fatal` of a log ends the command; here more may be found.
  const say = { fatal: (text: string) => log.error(text), error: (text: string) => log.error(text), warning: (text: string) => log.warning(text) };
  return { captures: false, report: (severity, said) => say[severity](said) };
}

export function jsonReporter({ stdout }: Pick<Situation, 'stdout'>): Reporter {
  return {
    captures: true,
    report: (severity, said, known = {}) => void stdout.write(Buffer.from(`${jsonText(findingOf(severity, said, known))}\n`, 'utf8')),
  };
}

/** Byte strings become the UTF-8 that they are, or nearly. */
function jsonText(finding: Finding): string {
  return JSON.stringify(finding, (_, value: unknown) => (typeof value === 'string' ? Buffer.from(value, 'latin1').toString('utf8') : value));
}

/** The parts of a line for the log. Pure. */
export function findingOf(severity: Severity, said: string, known: Known = {}): Finding {
  const { text, ...rest } = parts(said);
  const parameter = parameterIn(text);
  const all = { ...rest, ...(parameter === undefined ? {} : { parameter }), ...known };
  return { severity, ...(all.file === undefined ? {} : { file: all.file }), ...(all.line === undefined ? {} : { line: all.line }),
    ...(all.parameter === undefined ? {} : { parameter: all.parameter }), ...(all.service === undefined ? {} : { service: all.service }), text,
    ...(all.fix === undefined ? {} : { fix: all.fix }) };
}

const behind = / \((?:(\/[^()]*?), line ([0-9]+)(?:: )?)?([^]*)\)$/;
const inFront = /^(?:file )?(\/[^:,]+)(?:, line |: line )([0-9]+): /;
const fileInFront = /^(?:file )?(\/[^:,]*\/(?:main|master)\.cf): /;

function parts(said: string): { text: string; file?: string; line?: number; fix?: string } {
  const found: { file?: string; line?: number; fix?: string } = {};
  let text = said;
  const [suffix, suffixFile, suffixLine, fix] = behind.exec(text) ?? [];
  if (suffix !== undefined) {
    text = text.slice(0, -suffix.length);
    if (suffixFile !== undefined) Object.assign(found, { file: suffixFile, line: Number(suffixLine) });
    if (fix !== '') found.fix = fix!;
  }
  const [prefix, file, line] = inFront.exec(text) ?? fileInFront.exec(text) ?? [];
  if (prefix !== undefined) {
    text = text.slice(prefix.length);
    if (found.file === undefined) Object.assign(found, { file }, line === undefined ? {} : { line: Number(line) });
  }
  return { text, ...found };
}

const parameterForms = [
  /^(?:unused parameter|accepted, not yet used): ([^=]+)=/, /\bparameter "?([a-z][A-Za-z0-9_]*)"?(?::| will| has| is)/, /^bad [a-z ]+(?: [0-9]+ < [0-9]+)?: ([a-z][A-Za-z0-9_]*) =/,
  /^invalid ([a-z][A-Za-z0-9_]*)(?:: | parameter value)/, /^overriding earlier entry: ([^=]+)=/,
];

function parameterIn(text: string): string | undefined {
  for (const form of parameterForms) {
    const found = form.exec(text)?.[1];
    if (found !== undefined) return found.trimEnd();
  }
  return undefined;
}
