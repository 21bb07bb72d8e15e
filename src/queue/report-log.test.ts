import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import fc from 'fast-check';
import { readLog, type LogEntry } from './report-log.ts';
import { SampleQueue } from './sample-queue.ts';
import type { LogName } from './store.ts';

const blank: LogEntry = {
  address: '', originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0, status: '', action: '', reason: '',
  diagnosticType: '', diagnosticText: '', remoteMtaType: '', remoteMta: '',
};

// As bounce(8) of Postfix writes it.
const entry = `
<dsn@dest.test>: connect to 127.0.0.1[127.0.0.1]:9: Connection refused
recipient=dsn@dest.test
offset=705
dsn_orig_rcpt=rfc822;orig@dest.test
notify_flags=10
status=4.4.1
action=delayed
reason=connect to 127.0.0.1[127.0.0.1]:9: Connection refused

`;

const full = {
  ...blank, address: 'dsn@dest.test', offset: 705, dsnOrcpt: 'rfc822;orig@dest.test', dsnNotify: 10, status: '4.4.1', action: 'delayed',
  reason: 'connect to 127.0.0.1[127.0.0.1]:9: Connection refused',
};

for (const [name, log, text, want, warnings] of [
  ['an entry', 'defer', entry, [full], []],
  ['two entries', 'defer', entry + entry, [full, full], []],
  ['an old entry', 'defer', '<joe@x>:   no\n\n', [{ ...blank, address: 'joe@x', reason: 'no', status: '4.0.0', action: 'delayed' }], []],
  ['an old bounce', 'bounce', '<>: \n\n', [{ ...blank, address: '(MAILER-DAEMON)', reason: '(description unavailable)', status: '5.0.0', action: 'failed' }], []],
  ['all attributes', 'bounce',
    'recipient=\noriginal_recipient=a@b\ndiag_type=smtp\ndiag_text=550 no\nmta_type=dns\nmta_mname=mx\n\n',
    [{
      ...blank, address: '(MAILER-DAEMON)', originalAddress: 'a@b', diagnosticType: 'smtp', diagnosticText: '550 no', remoteMtaType: 'dns', remoteMta: 'mx',
      reason: '(description unavailable)', status: '5.0.0', action: 'failed',
    }], []],
  ['what is being written is not read', 'defer', `${entry}recipient=x@y\n`, [full], []],
  ['odd lines', 'defer', 'recipient=a\nfoo=bar\n=x\n<b\nnonsense\nnotify_flags=77\noffset=-4\n\n',
    [{ ...blank, address: 'a', reason: '(description unavailable)', status: '4.0.0', action: 'delayed' }],
    ['unknown attribute name: foo, ignored', 'malformed record: =x...', 'malformed record: <b...', "malformed record: missing '=' after attribute name"]],
  ['control characters', 'defer', 'recipient=a\x01b\nreason=\xffx\n\n', [{ ...blank, address: 'a?b', reason: '?x', status: '4.0.0', action: 'delayed' }], []],
] as const) {
  test(`report log: ${name}`, (t) => {
    const queue = new SampleQueue(t);
    queue.write('defer/log', text, 0o600);
    fs.writeFileSync(`${queue.root}/defer/log`, text, 'latin1');
    const warned: string[] = [];
    const path = `${queue.root}/defer/log`;
    assert.deepEqual([...readLog(path, log as LogName, { warn: (line) => warned.push(line.slice(path.length + 2)) })], [...want]);
    assert.deepEqual(warned, [...warnings]);
  });
}

test('no log, no entries', () => {
  assert.deepEqual([...readLog('/nonexistent/log', 'defer', { warn: assert.fail })], []);
});

test('any bytes are read without a throw', (t) => {
  const queue = new SampleQueue(t);
  const path = `${queue.root}/defer/log`;
  fc.assert(fc.property(fc.array(fc.constantFrom('\n', '\n\n', '=', 'recipient=', 'reason', '<', '>: ', '\0', '\xe9', 'offset=9')), (parts) => {
    fs.writeFileSync(path, parts.join(''), 'latin1');
    for (const { address, reason } of readLog(path, 'defer', { warn: () => undefined })) assert.ok(address !== '' && reason !== '');
  }), { numRuns: 200 });
});
