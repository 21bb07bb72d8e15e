// The texts of reports with their `$name`s filled in from main.cf (bounce(5)): every parameter by its name, and two times in
// units of their own (`$delay_warning_time_hours`, `$maximal_queue_lifetime_days`, ...), rounded down. What a value contains is
// not expanded again, and control characters in it become `_`. Throws ConfigurationError for a name that nothing defines.
import { builtInTemplates, readTemplates, TemplateError } from '../message/bounce-templates.ts';
import type { Template, Templates } from '../message/bounce-templates.ts';
import { isAscii } from '../text/ascii.ts';
import type { Configuration } from './configuration.ts';
import { ConfigurationError } from './configuration-error.ts';
import { domainFunction } from './domain-functions.ts';
import { expand, ExpansionError } from './expand.ts';
import type { Warn } from './logical-lines.ts';
import { readConfigurationFile } from './main-cf.ts';

/** The templates that this main.cf has: of `file`, or where that is '' the built-in ones. */
export function loadTemplates(file: string, warn: Warn): Templates {
  if (file === '') return builtInTemplates;
  try {
    return readTemplates(readConfigurationFile(file), file, warn);
  } catch (error) {
    throw error instanceof TemplateError ? new ConfigurationError(error.message, undefined, 'see bounce(5)') : error;
  }
}

/** The lines of the text. */
export function bounceText(template: Template, configuration: Configuration, warn: Warn): string[] {
  return template.text.map((line) => {
    let undefinedName = false;
    const lookup = (name: string, tested: boolean): string | undefined => {
      const value = nameValue(name, template, configuration, warn);
      undefinedName ||= value === undefined && !tested;
      return value?.replace(/[\x00-\x1f\x7f]/g, '_');
    };
    const refuse = (what: string): never => {
      throw new ConfigurationError(`${template.origin}: ${what} $name${what === 'bad' ? ' syntax' : ''} in ${template.kind} template: ${line}`);
    };
    let expanded = '';
    try {
      expanded = expand(line, { lookup });
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      warn(error.message);
      return refuse('bad');
    }
    return undefinedName ? refuse('undefined') : expanded;
  });
}

const timeNames = ['delay_warning_time', 'maximal_queue_lifetime'] as const;

const timeUnits: ReadonlyMap<string, number> = new Map([['seconds', 1], ['minutes', 60], ['hours', 3600], ['days', 86_400], ['weeks', 604_800]]);

function nameValue(name: string, template: Template, configuration: Configuration, warn: Warn): string | undefined {
  const time = timeNames.find((each) => name.startsWith(`${each}_`));
  if (time !== undefined) return timeValue(name, configuration.get(time), name.slice(time.length + 1), template, warn);
  if (configuration.written(name) === undefined) return undefined;
  const value = configuration.text(name);
  const isDomain = name === 'myhostname' || name === 'mydomain';
  if (!isDomain || !configuration.get('smtputf8_enable') || !isAscii(value)) return value;
  return domainFunction('domain_to_utf8')!(value) ?? value;
}

function timeValue(name: string, seconds: number, unit: string, { origin, kind }: Template, warn: Warn): string {
  const divisor = timeUnits.get(unit);
  if (divisor === undefined)
    throw new ConfigurationError(`${origin}: unrecognized suffix "${unit}" in parameter "${name}"`, undefined, `write one of ${[...timeUnits.keys()].join(', ')}`);
  const value = Math.floor(seconds / divisor);
  const complain = (trouble: string, advice: string): void => {
    warn(`${origin}: ${trouble} in ${kind} template conversion of parameter "${name}"`);
    warn(`please ${advice} time unit "${unit}" of "${name}" in ${kind} template`);
    warn('for instructions see the bounce(5) manual');
  };
  if (value > 999 && divisor < 86_400) complain(`excessive result "${value}"`, 'increase');
  else if (value === 0 && seconds > 0 && divisor > 1) complain('zero result', 'reduce');
  return String(value);
}
