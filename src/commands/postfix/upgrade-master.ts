/**
 * A master.cf of any release, brought to the services of today. Pure.
 *
 * Rows are looked for as Postfix's post-install looks for them, line by line, so that both find the same to do.
 */
interface Addition {
  /** Any line that matches makes it unnecessary. */
  readonly unless: RegExp;
  readonly service: string;
  readonly row: string;
}

interface Change {
  readonly line: RegExp;
  readonly what: string;
  /** Made in the first line that matches. */
  readonly edit: (line: string) => string;
}

type Step = Addition | Change;

function missing(service: string, unless: RegExp, row: string): Addition {
  return { service, unless, row };
}

/** In the order in which they came. */
const steps: readonly Step[] = [
  missing('relay service', /^relay/, 'relay     unix  -       -       n       -       -       smtp'),
  missing('flush service', /^flush.*flush/, 'flush     unix  -       -       n       1000?   0       flush'),
  missing('trace service', /trace.*bounce/, 'trace     unix  -       -       n       -       0       bounce'),
  missing('verify service', /^verify.*verify/, 'verify    unix  -       -       n       -       1       verify'),
  { line: /^verify.*[ \t]0[ \t]*verify/, what: 'setting verify process limit to 1', edit: (line) => line.replace(/([ \t])0([ \t])/, '$11$2') },
  { line: /^pickup[ \t]*fifo[ \t]*n[ \t]*n/, what: 'making the pickup service unprivileged', edit: (line) => line.replace(/(n[ \t]*)n/, '$1-') },
  { line: /^cleanup[ \t]*unix[ \t]*[-y]/, what: 'making the cleanup service public', edit: makePublic },
  { line: /^flush[ \t]*unix[ \t]*[-y]/, what: 'making the flush service public', edit: makePublic },
  missing('proxymap service', /^proxymap.*proxymap/, 'proxymap  unix  -       -       n       -       -       proxymap'),
  missing('anvil service', /^anvil.*anvil/, 'anvil     unix  -       -       n       -       1       anvil'),
  missing('scache service', /^scache.*scache/, 'scache    unix  -       -       n       -       1       scache'),
  missing('discard service', /^discard.*discard/, 'discard   unix  -       -       n       -       -       discard'),
  { line: /^tlsmgr[ \t]*fifo[ \t]/, what: 'updating the tlsmgr from fifo to unix service', edit: (line) => line.replace('fifo', 'unix').replace(/[0-9]+/, '$&?') },
  missing('tlsmgr service', /^tlsmgr.*tlsmgr/, 'tlsmgr    unix  -       -       n       1000?   1       tlsmgr'),
  missing('retry service', /^retry.*error/, 'retry     unix  -       -       n       -       -       error'),
  missing('proxywrite service', /^proxywrite.*proxymap/, 'proxywrite unix -       -       n       -       1       proxymap'),
  { line: /^proxywrite.*-[ \t]*proxymap/, what: 'setting proxywrite process limit to 1', edit: (line) => line.replace(/-([ \t]*proxymap)/, '1$1') },
  missing('postscreen TCP service', /^#*smtp.*postscreen/, '#smtp      inet  n       -       n       -       1       postscreen'),
  missing('smtpd unix-domain service', /^#*smtpd.*smtpd/, '#smtpd     pass  -       -       n       -       -       smtpd'),
  missing('dnsblog unix-domain service', /^#*dnsblog.*dnsblog/, '#dnsblog   unix  -       -       n       -       0       dnsblog'),
  missing('tlsproxy unix-domain service', /^#*tlsproxy.*tlsproxy/, '#tlsproxy  unix  -       -       n       -       0       tlsproxy'),
  missing('postlog unix-domain datagram service', /^postlog/, 'postlog   unix-dgram n  -       n       -       1       postlogd'),
];

/** The first column behind the type. */
function makePublic(line: string): string {
  return line.replace(/^([a-z]+[ \t]*unix[ \t]*)[-y]/, '$1n');
}

export interface Upgrade {
  readonly text: string;
  /** What was done, as the operator hears it. */
  readonly said: readonly string[];
}

export function upgradeMaster(before: string): Upgrade {
  const said: string[] = [];
  let text = before;
  for (const step of steps) {
    const lines = text.split('\n');
    if ('unless' in step) {
      if (lines.some((line) => step.unless.test(line))) continue;
      text += `${text === '' || text.endsWith('\n') ? '' : '\n'}${step.row}\n`;
      said.push(`adding missing entry for ${step.service}`);
    } else {
      const at = lines.findIndex((line) => step.line.test(line));
      if (at < 0) continue;
      lines[at] = step.edit(lines[at]!);
      text = lines.join('\n');
      said.push(step.what);
    }
  }
  return { text, said };
}
