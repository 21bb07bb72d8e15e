/**
 * What reports say to people: subjects and texts of the four kinds.
 *
 * Subjects and the first and last line of each text are what mail programs and list software know a report of Postfix by; the
 * rest is for the reader. `$name` stands for what `expand` is given; an unknown name is a mistake of the template and throws.
 */
export type ReportKind = 'failure' | 'delay' | 'success' | 'verify';

export interface Template {
  readonly kind: ReportKind;
  readonly charset: string;
  /** By header_from_format. */
  readonly from: { readonly standard: string; readonly obsolete: string };
  readonly subject: string;
  /** Of copies for the postmaster; success and verify have none. */
  readonly postmasterSubject: string | undefined;
  readonly text: readonly string[];
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
    charset: 'us-ascii',
    from: { standard: 'Mail Delivery System <MAILER-DAEMON>', obsolete: 'MAILER-DAEMON (Mail Delivery System)' },
    text: [opening, '', ...body, '', closing],
  };
}

export const templates: Readonly<Record<ReportKind, Template>> = {
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

const timeUnits: readonly (readonly [suffix: string, seconds: number])[] = [
  ['seconds', 1], ['minutes', 60], ['hours', 3600], ['days', 86_400], ['weeks', 604_800],
];

/** The names a text may use, from main.cf; times come in every unit, rounded down. */
export function templateNames(parameters: { myhostname: string; mydomain: string; delay_warning_time: number; maximal_queue_lifetime: number }): ReadonlyMap<string, string> {
  const names = new Map<string, string>([['myhostname', parameters.myhostname], ['mydomain', parameters.mydomain]]);
  for (const name of ['delay_warning_time', 'maximal_queue_lifetime'] as const)
    for (const [unit, seconds] of timeUnits) names.set(`${name}_${unit}`, String(Math.floor(parameters[name] / seconds)));
  return names;
}

/** The text with its `$name`s filled in, one line each. */
export function expand(template: Template, names: ReadonlyMap<string, string>): string[] {
  return template.text.map((line) => line.replace(/\$([a-z0-9_]+)/g, (_, name: string) => {
    const value = names.get(name);
    if (value === undefined) throw new Error(`undefined $${name} in the ${template.kind} template`);
    return value;
  }));
}
