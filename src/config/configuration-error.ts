// What is thrown when main.cf or master.cf cannot be used. The message is one line for the log: Postfix's own text first,
// then where the trouble stands and how it is likely mended. Daemons log it as `fatal` and exit.

/** Where a value was written. A value from the command line or a built-in default has no origin. */
export interface Origin {
  readonly file: string;
  /** First line of the logical line, counted from 1. */
  readonly line: number;
}

export class ConfigurationError extends Error {
  readonly file: string | undefined;
  readonly line: number | undefined;

  constructor(text: string, origin?: Origin | undefined, fix?: string | undefined) {
    super(text + remark(origin, fix));
    this.name = 'ConfigurationError';
    this.file = origin?.file;
    this.line = origin?.line;
  }
}

function remark(origin: Origin | undefined, fix: string | undefined): string {
  const parts = [];
  if (origin) parts.push(`${origin.file}, line ${origin.line}`);
  if (fix) parts.push(fix);
  return parts.length > 0 ? ` (${parts.join(': ')})` : '';
}
