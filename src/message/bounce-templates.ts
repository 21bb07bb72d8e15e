/**
 * What reports say to people: subjects and texts of the four kinds, built in or from a bounce_template_file (bounce(5)).
 *
 * Subjects and the first and last line of each built-in text are what mail programs and list software know a report of Postfix
 * by; the rest is for the reader. Pure; text is byte strings. A file that is no template file throws TemplateError with its line;
 * a single template that cannot be used is warned of, and the built-in one takes its place.
 */
import { isAscii, isWhite, lowerAscii, trimLeft, trimRight } from '../text/ascii.ts';

export const reportKinds = ['failure', 'delay', 'success', 'verify'] as const;
export type ReportKind = (typeof reportKinds)[number];

export interface Template {
  readonly kind: ReportKind;
  /** The file that it is from, or `[built-in]`; for warnings. */
  readonly origin: string;
  readonly charset: string;
  /** By header_from_format. */
  readonly from: { readonly standard: string; readonly obsolete: string };
  readonly subject: string;
  /** Of copies for the postmaster; success and verify have none. */
  readonly postmasterSubject: string | undefined;
  /** Lines, `$name` unexpanded. */
  readonly text: readonly string[];
}

export type Templates = Readonly<Record<ReportKind, Template>>;

export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

const opening = 'This is the mail system at host $myhostname.';
const closing = '                   The mail system';

const help = [
  'Should you need help, please write to postmaster and include this',
  'report. Your own text in the attached message is not needed for that',
  'and may be left out.',
];

function template(kind: ReportKind, subject: string, postmasterSubject: string | undefined, body: readonly string[]): Template {
  return {
    kind, subject, postmasterSubject,
    origin: '[built-in]',
    charset: 'us-ascii',
    from: { standard: 'Mail Delivery System <MAILER-DAEMON>', obsolete: 'MAILER-DAEMON (Mail Delivery System)' },
    text: [opening, '', ...body, '', closing],
  };
}

export const builtInTemplates: Templates = {
  failure: template('failure', 'Undelivered Mail Returned to Sender', 'Postmaster Copy: Undelivered Mail', [
    'Your message did not reach the recipients listed below, and no',
    'further attempt will be made. It is attached to this report.',
    '',
    ...help,
  ]),
  delay: template('delay', 'Delayed Mail (still being retried)', 'Postmaster Warning: Delayed Mail', [
    '####################################################################',
    '# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #',
    '####################################################################',
    '',
    'Your message has been waiting for more than $delay_warning_time_hours hour(s) now, because',
    'the recipients listed below could not be reached. Delivery will be',
    'attempted until the message is $maximal_queue_lifetime_days day(s) old.',
    '',
    ...help,
  ]),
  success: template('success', 'Successful Mail Delivery Report', undefined, [
    'Your message was delivered, or passed on to the next mail system, for',
    'the destinations listed below. Where it was passed on, other systems',
    'may still report trouble later; where it went into a mailbox, this is',
    'the last you hear of it.',
  ]),
  verify: template('verify', 'Mail Delivery Status Report', undefined, [
    'You asked for a report on the delivery of your message. Here it is.',
  ]),
};

type Warn = (text: string) => void;

/** The templates of a file, and the built-in ones for the kinds that it has not. */
export function readTemplates(text: string, file: string, warn: Warn): Templates {
  const found: Record<ReportKind, Template> = { ...builtInTemplates };
  for (const { name, value, line } of assignments(text, file, warn)) {
    const kind = reportKinds.find((each) => name === `${each}_template`);
    if (kind === undefined) warn(`${file}, line ${line}: unknown template name: ${name} -- ignoring this template`);
    else found[kind] = readTemplate(kind, value, file, warn) ?? builtInTemplates[kind];
  }
  return found;
}

interface Assignment { readonly name: string; readonly value: string; readonly line: number }

// `name = text`, or `name = <<MARK` and lines up to one that is MARK alone.
function* assignments(text: string, file: string, warn: Warn): Generator<Assignment> {
  const lines = text.split('\n');
  if (lines[lines.length - 1] === '') lines.pop();
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    const content = trimLeft(lines[at]!);
    if (content === '' || content[0] === '#') continue;
    const equals = /^([^ \t\n\v\f\r=]+)[ \t\n\v\f\r]*=([^]*)$/.exec(content);
    if (!equals) throw new TemplateError(`${file}, line ${line}: missing ${content[0] === '=' ? 'attribute name' : "'=' after attribute name"}: "${lines[at]}"`);
    const name = equals[1]!;
    let value = trimRight(trimLeft(equals[2]!));
    if (value.startsWith('<<')) {
      const mark = endMark(value, `${file}, line ${line}`);
      const start = at + 1;
      const end = lines.indexOf(mark, start);
      if (end < 0) warn(`${file}, line ${lines.length}: missing "${mark}" end marker`);
      at = end < 0 ? lines.length : end;
      value = lines.slice(start, at).join('\n');
    }
    yield { name, value, line };
  }
}

function endMark(value: string, where: string): string {
  const mark = trimLeft(value.slice(2));
  if (mark === '') throw new TemplateError(`${where}: missing end marker after <<`);
  if (!/^[A-Za-z0-9]/.test(mark)) throw new TemplateError(`${where}: malformed end marker after <<`);
  return mark;
}

// Undefined when it cannot be used, which is said.
function readTemplate(kind: ReportKind, value: string, file: string, warn: Warn): Template | undefined {
  const ignore = (trouble: string): undefined => {
    warn(`${file}: ${trouble} in ${kind} template -- ignoring this template`);
    return undefined;
  };
  const lines = value.split('\n');
  const result = { ...builtInTemplates[kind], origin: file };
  let at = 0;
  for (; at < lines.length; at++) {
    const header = /^([\x21-\x39\x3b-\x7e]+)[ \t]*:([^]*)$/.exec(lines[at]!);
    if (!header) break;
    const label = header[1]!;
    const content = header[2]!.replace(/^[: \t\v\f\r]+/, '');
    if (content === '') return ignore(`empty "${label}" header value`);
    if (!isAscii(content)) return ignore(`non-ASCII "${label}" header value`);
    const known = lowerAscii(label);
    if (known === 'charset') result.charset = content;
    else if (known === 'from') result.from = { standard: content, obsolete: content };
    else if (known === 'subject') result.subject = content;
    else if (known !== 'postmaster-subject') return ignore(`unknown "${label}" header label`);
    else if (result.postmasterSubject === undefined) return ignore(`inapplicable "${label}" header label`);
    else result.postmasterSubject = content;
  }
  while (at < lines.length && isBlank(lines[at]!)) at++;
  if (at === lines.length) return ignore('missing message text');
  const text = lines.slice(at);
  if (lowerAscii(result.charset) === 'us-ascii' && !text.every(isAscii)) {
    warn(`${file}: 8-bit message text in ${kind} template`);
    warn('please specify a charset value other than us-ascii');
    warn('-- ignoring this template for now');
    return undefined;
  }
  return { ...result, text };
}

function isBlank(line: string): boolean {
  for (let at = 0; at < line.length; at++) if (!isWhite(line.charCodeAt(at))) return false;
  return true;
}

/** The template as a template file has it. `obsolete`: header_from_format says so. */
export function renderTemplate({ kind, charset, from, subject, postmasterSubject, text }: Template, obsolete: boolean): string {
  const copies = postmasterSubject === undefined ? [] : [`Postmaster-Subject: ${postmasterSubject}`];
  const head = [`Charset: ${charset}`, `From: ${obsolete ? from.obsolete : from.standard}`, `Subject: ${subject}`, ...copies];
  return `${[`${kind}_template = <<EOF`, ...head, '', ...text, 'EOF'].join('\n')}\n`;
}
