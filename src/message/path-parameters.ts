/**
 * The ESMTP parameters of MAIL and RCPT: SIZE, BODY, SMTPUTF8, RET, ENVID, AUTH, REQUIRETLS, XVERP; NOTIFY, ORCPT.
 *
 * What may be said depends on what was announced: the caller says so in the options. A bad parameter gives a refusal with
 * Postfix's text. Nothing throws.
 */
import type { PathRefusal } from './smtp-path.ts';
import { allDigits, allPrintableOrTab, lowerAscii, printable, sameIgnoringCase, startsIgnoringCase } from '../text/ascii.ts';
import { decodeUxtext, decodeXtext } from '../text/xtext.ts';
import { parseDsnNotify, parseDsnRet } from './dsn.ts';
import { bodyEncoding } from './envelope-names.ts';

/** What this session has announced and this client may use. */
export interface ParameterOptions {
  readonly smtputf8?: boolean;
  readonly dsn?: boolean;
  readonly auth?: boolean;
  /** only under TLS */
  readonly requireTls?: boolean;
  /** smtpd_authorized_verp_clients: may this client ask for VERP? */
  readonly verp?: boolean;
  /** verp_delimiter_filter: what delimiters may be */
  readonly verpFilter?: string;
}

export interface MailParameters {
  /** see bodyEncoding; undefined when there was no BODY */
  encoding: '8bit' | '7bit' | undefined;
  /** 0 when there was no SIZE */
  size: number;
  smtputf8: boolean;
  requireTls: boolean;
  /** mask, 0 when there was no RET */
  dsnRet: number;
  /** decoded; undefined when there was no ENVID */
  dsnEnvid: string | undefined;
  /** the value of AUTH=, still xtext, fit for a log; undefined when there was none, or `<>` */
  auth: string | undefined;
  /** two delimiters, or '' for the default ones */
  verp: string | undefined;
}

export interface RcptParameters {
  /** mask, 0 when there was no NOTIFY */
  dsnNotify: number;
  /** "rfc822;joe@example.org", decoded; undefined when there was no ORCPT */
  dsnOrcpt: string | undefined;
}

type Refused = { readonly refusal: PathRefusal };
const refuse = (code: number, status: string, text: string): Refused => ({ refusal: { code, status, text } });
const dsnDisabled = refuse(501, '5.7.1', 'DSN support is disabled');
const unsupported = (parameter: string): Refused => refuse(555, '5.5.4', `Unsupported option: ${parameter}`);

// off_t has 63 bits.
const largestSize = 9_223_372_036_854_775_807n;

/** What a MAIL without parameters says. */
export const noMailParameters: Readonly<MailParameters> = {
  encoding: undefined, size: 0, smtputf8: false, requireTls: false, dsnRet: 0, dsnEnvid: undefined, auth: undefined, verp: undefined,
};

/** The parameters of MAIL, in the order of the command. The first bad one is refused. */
export function mailParameters(parameters: readonly string[], options: ParameterOptions = {}): { readonly mail: MailParameters } | Refused {
  const mail: MailParameters = { ...noMailParameters };
  for (const parameter of parameters) {
    const taken = takeMail(mail, parameter, options);
    if (taken) return taken;
  }
  return { mail };
}

function takeMail(mail: MailParameters, parameter: string, options: ParameterOptions): Refused | undefined {
  const word = lowerAscii(parameter);
  if (word === 'body=8bitmime') mail.encoding = bodyEncoding.eightBit;
  else if (word === 'body=7bit') mail.encoding = bodyEncoding.sevenBit;
  else if (word.startsWith('size=')) return takeSize(mail, parameter.slice(5));
  else if (word === 'smtputf8' && options.smtputf8) mail.smtputf8 = true;
  else if (word === 'requiretls' && options.requireTls) mail.requireTls = true;
  else if (word.startsWith('auth=') && options.auth) return takeAuth(mail, parameter.slice(5));
  else if ((word === 'xverp' || word.startsWith('xverp=')) && options.verp) return takeVerp(mail, parameter.slice(6), word === 'xverp', options);
  else if (word.startsWith('ret=')) return takeRet(mail, parameter.slice(4), options);
  else if (word.startsWith('envid=')) return takeEnvid(mail, parameter.slice(6), options);
  else return unsupported(parameter);
  return undefined;
}

/** RFC 1870 section 6 */
function takeSize(mail: MailParameters, value: string): Refused | undefined {
  if (!allDigits(value)) return refuse(501, '5.5.4', 'Bad message size syntax');
  if (BigInt(value.slice(0, 40)) > largestSize) return refuse(552, '5.3.4', 'Message size exceeds file system imposed limit');
  mail.size = Number(value);
  return undefined;
}

/** RFC 4954 section 5. `<>`, "nobody that I would vouch for", is as good as nothing said. */
function takeAuth(mail: MailParameters, value: string): Refused | undefined {
  if (mail.auth !== undefined) return refuse(503, '5.5.4', 'Error: multiple AUTH= options');
  if (value !== '<>') mail.auth = printable(value);
  return undefined;
}

/** RFC 3461 section 4.3 */
function takeRet(mail: MailParameters, value: string, options: ParameterOptions): Refused | undefined {
  if (!options.dsn) return dsnDisabled;
  const code = parseDsnRet(value);
  if (mail.dsnRet || code === undefined) return refuse(501, '5.5.4', 'Bad RET parameter syntax');
  mail.dsnRet = code;
  return undefined;
}

/** RFC 3461 section 4.4 */
function takeEnvid(mail: MailParameters, value: string, options: ParameterOptions): Refused | undefined {
  if (!options.dsn) return dsnDisabled;
  const envid = decodeXtext(value);
  if (mail.dsnEnvid !== undefined || envid === undefined || envid === '' || !allPrintableOrTab(envid)) return refuse(501, '5.5.4', 'Bad ENVID parameter syntax');
  mail.dsnEnvid = envid;
  return undefined;
}

function takeVerp(mail: MailParameters, value: string, byDefault: boolean, options: ParameterOptions): Refused | undefined {
  const filter = options.verpFilter ?? '-=+';
  const good = byDefault || (value.length === 2 && filter.includes(value[0]!) && filter.includes(value[1]!));
  if (!good) return refuse(501, '5.5.4', `Error: XVERP needs two characters from ${filter}`);
  mail.verp = byDefault ? '' : value;
  return undefined;
}

/** The parameters of RCPT. The first bad one is refused. */
export function rcptParameters(parameters: readonly string[], options: ParameterOptions = {}): { readonly rcpt: RcptParameters } | Refused {
  const rcpt: RcptParameters = { dsnNotify: 0, dsnOrcpt: undefined };
  for (const parameter of parameters) {
    const isNotify = startsIgnoringCase(parameter, 'notify=');
    if (!isNotify && !startsIgnoringCase(parameter, 'orcpt=')) return unsupported(parameter);
    if (!options.dsn) return dsnDisabled;
    const taken = isNotify ? takeNotify(rcpt, parameter.slice(7)) : takeOrcpt(rcpt, parameter.slice(6));
    if (taken) return taken;
  }
  return { rcpt };
}

/** RFC 3461 section 4.1 */
function takeNotify(rcpt: RcptParameters, value: string): Refused | undefined {
  const mask = parseDsnNotify(value);
  if (rcpt.dsnNotify || mask === undefined) return refuse(501, '5.5.4', 'Error: Bad NOTIFY parameter syntax');
  rcpt.dsnNotify = mask;
  return undefined;
}

/** RFC 3461 section 4.2; for utf-8 addresses RFC 6533 section 3 */
function takeOrcpt(rcpt: RcptParameters, value: string): Refused | undefined {
  const bad = refuse(501, '5.5.4', 'Error: Bad ORCPT parameter syntax');
  const semicolon = value.indexOf(';');
  if (rcpt.dsnOrcpt !== undefined || semicolon <= 0) return bad;
  const type = value.slice(0, semicolon);
  const coded = value.slice(semicolon + 1);
  const address = sameIgnoringCase(type, 'utf-8') ? decodeUxtext(coded) : decodeXtext(coded);
  if (address === undefined || address.includes('\0')) return bad;
  rcpt.dsnOrcpt = `${type};${address}`;
  return undefined;
}

/** What goes into the queue file when the client named no ORCPT: the path as it came, without its brackets. */
export function defaultOrcpt(path: string): string {
  return `rfc822;${path.startsWith('<') && path.endsWith('>') ? path.slice(1, -1) : path}`;
}
