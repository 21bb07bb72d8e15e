/** A delivery report as someone else's parser reads it: Python's email package, and the rules of RFC 3464 for what it found. */
import { execFileSync, spawnSync } from 'node:child_process';

const check = `
import email, email.policy, json, re, sys
def need(good, what):
    if not good: raise SystemExit('not RFC 3464: ' + what)
def groupsof(part):
    if part.get_content_type() == 'message/delivery-status': return part.get_payload()
    # RFC 6533 section 3: the same in UTF-8, for which there is no class yet.
    text = part.as_bytes().decode('utf-8').split('\\n\\n', 1)[1]
    return [email.message_from_string(group, policy=email.policy.default) for group in text.split('\\n\\n') if group.strip()]
def read(text):
    message = email.message_from_bytes(text.encode('latin1'), policy=email.policy.default)
    need(not message.defects, 'defects ' + str(message.defects))
    need(message.get_content_type() == 'multipart/report', 'content type')
    need(message.get_param('report-type') == 'delivery-status', 'report-type')
    parts = list(message.iter_parts())
    need(parts[0].get_content_type() == 'text/plain' and parts[1].get_content_type() in ('message/delivery-status', 'message/global-delivery-status') and len(parts) == 3, 'parts')
    need(parts[2].get_content_type() in ('message/rfc822', 'text/rfc822-headers', 'message/global', 'message/global-headers'), 'third part')
    need(not any(p.defects for p in message.walk()), 'defects in a part')
    groups = groupsof(parts[1])
    typed = re.compile(r'^[A-Za-z0-9-]+; ?\\S.*$', re.S)
    need(typed.match(groups[0]['Reporting-MTA']), 'Reporting-MTA')
    need(len(groups) > 1, 'no recipient')
    for group in groups[1:]:
        need(typed.match(group['Final-Recipient']), 'Final-Recipient')
        need(group['Action'] in ('failed', 'delayed', 'delivered', 'relayed', 'expanded'), 'Action')
        need(re.match(r'^[245]\\.\\d{1,3}\\.\\d{1,3}$', group['Status']), 'Status')
        for name in ('Original-Recipient', 'Remote-MTA', 'Diagnostic-Code'):
            need(group[name] is None or typed.match(group[name]), name)
        need(group['Will-Retry-Until'] is None or group['Action'] == 'delayed', 'Will-Retry-Until')
    fields = ('Final-Recipient', 'Action', 'Status', 'Remote-MTA', 'Diagnostic-Code')
    return {'subject': message['Subject'], 'to': message['To'], 'envid': groups[0]['Original-Envelope-Id'], 'reporter': groups[0]['Reporting-MTA'],
        'recipients': [g['Final-Recipient'] for g in groups[1:]],
        'groups': [{f: g[f] and re.sub(r'\\s+', ' ', str(g[f])) for f in fields} for g in groups[1:]],
        'returned': parts[2].get_content()['Subject'] if parts[2].get_content_type() == 'message/rfc822' else 'headers'}
print(json.dumps([read(text) for text in json.load(sys.stdin)]))
`;

/** Why nobody can read it here; false: somebody can. */
export const noStrictReader = spawnSync('python3', ['-c', 'import email']).status === 0 ? false : 'python3 is not here';

export interface StrictReport {
  readonly subject: string;
  readonly to: string;
  readonly envid: string | null;
  readonly reporter: string;
  /** Final-Recipient of each recipient. */
  readonly recipients: readonly string[];
  /** The fields of each recipient, unfolded. */
  readonly groups: readonly Readonly<Record<'Final-Recipient' | 'Action' | 'Status' | 'Remote-MTA' | 'Diagnostic-Code', string | null>>[];
  /** The subject of the message that came back, or 'headers'. */
  readonly returned: string;
}

/** Throws, with the reader's words, when it is not a report by RFC 3464. */
export function readStrictly(content: string): StrictReport {
  return readAllStrictly([content])[0]!;
}

/** The same of many. */
export function readAllStrictly(contents: readonly string[]): readonly StrictReport[] {
  return JSON.parse(execFileSync('python3', ['-c', check], { input: JSON.stringify(contents), maxBuffer: 64 << 20 }).toString()) as StrictReport[];
}
