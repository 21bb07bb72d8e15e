import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderReply, reply, say, tell } from '../../protocol/smtp-server/reply.ts';
import type { Reply } from '../../protocol/smtp-server/steps.ts';
import { both, classOf, spokenAloud, Transcript, transcriptText, type ErrorClass, type Notice } from './transcript.ts';

function scene(classes: readonly ErrorClass[], threshold = 100) {
  const sent: Notice[] = [];
  const transcript = new Transcript({ classes: new Set(classes), threshold, send: (_label, notice) => void sent.push(notice) }, { client: { label: 'client.test[192.0.2.1]' } });
  const said = (reply: Reply): void => transcript.said(reply, renderReply(reply));
  return { sent, transcript, said };
}

for (const [said, want] of [
  [say.ok, undefined], [say.bye, undefined], [tell.timeout('mx'), undefined],
  [say.notRecognized, 'protocol'], [say.mailSyntax, 'protocol'], [say.nestedMail, 'protocol'], [tell.unsupported('X'), 'protocol'], [tell.badAttribute('XCLIENT', 'X'), 'protocol'],
  [say.heloFirst, 'policy'], [say.vrfyDisabled, 'policy'], [say.notAuthorized, 'policy'], [say.tooManyRecipients, 'policy'],
  [reply(554, '5.7.1', '<a>: Recipient address rejected: Access denied'), 'policy'],
  [reply(450, '4.7.1', 'Error: too much mail from 192.0.2.1'), 'policy'],
  [reply(550, '5.1.1', '<a>: Recipient address rejected: User unknown in local recipient table'), 'bounce'],
  [reply(452, '4.3.1', 'Insufficient system storage'), 'resource'],
  [reply(451, '4.3.0', 'Error: queue file write error'), 'resource'],
  [reply(451, '4.3.5', 'Server configuration error'), 'software'],
  [say.tlsUnavailable, 'software'],
  [tell.localDataError('mx'), 'data'],
] as const) {
  test(`class of ${said.code} ${String(said.text)}: ${want}`, () => assert.equal(classOf(said), want));
}

test('what is not asked for is not sent', () => {
  const { sent, transcript, said } = scene(['policy']);
  transcript.heard('FOO');
  said(say.notRecognized);
  transcript.flush('lost connection');
  assert.deepEqual(sent, []);
});

test('what is asked for is sent once, with how it ended', () => {
  const { sent, transcript, said } = scene(['protocol']);
  said({ code: 220, text: 'mx' });
  transcript.heard('FOO');
  said(say.notRecognized);
  transcript.flush('timeout');
  transcript.flush('timeout');
  assert.deepEqual(sent, [{ lines: ['Out: 220 mx', 'In:  FOO', 'Out: 500 5.5.2 Error: command not recognized'], reason: 'timeout', isBounce: false }]);
});

test('a message well received makes up for errors', () => {
  const { sent, transcript, said } = scene(['protocol']);
  said(say.notRecognized);
  said(tell.queued('4abc'));
  transcript.flush();
  said(say.notRecognized);
  said(tell.queuedBytes(5, '4abc'));
  transcript.flush();
  assert.deepEqual(sent, []);
});

test('a long session is sent in parts, and its memory has a bound', () => {
  const { sent, transcript, said } = scene(['protocol'], 4);
  for (let turn = 0; turn < 9; turn++) {
    transcript.heard('FOO');
    said(say.notRecognized);
  }
  assert.deepEqual(sent.map(({ lines }) => lines.length), [6, 6]);
});

test('logins are nobody else\'s', () => {
  const { sent, transcript, said } = scene(['policy']);
  for (const line of ['AUTH PLAIN AGpvZQBzZWNyZXQ=', ' auth  login  am9l', 'AUTH LOGIN', 'NOOP secret']) transcript.heard(line);
  said(say.notAuthorized);
  transcript.flush();
  assert.deepEqual(sent[0]!.lines.slice(0, 4), ['In:  AUTH PLAIN ...', 'In:  auth  login ...', 'In:  AUTH LOGIN', 'In:  NOOP secret']);
});

test('the text is safe, and lines are broken at blanks', () => {
  const long = 'x'.repeat(70);
  assert.equal(transcriptText(['In:  \x00\xff\x1b', `Out: 454 4.7.1 <${long}>: Relay access denied`], false), ` In:  ???\n Out: 454 4.7.1\n     <${long}>: \n     Relay access denied\n`.replace('>: \n', '>:\n'));
});

test('a dialogue spoken aloud', () => {
  const { sent, transcript } = scene(['protocol']);
  const lines: string[] = [];
  const listener = both(transcript, spokenAloud((text) => void lines.push(text), () => 'a.test[192.0.2.1]', false));
  listener.heard('AUTH PLAIN c2VjcmV0');
  listener.heard('FOO \x01');
  const multi = reply(500, undefined, ['one', 'two']);
  listener.said(multi, renderReply(multi));
  transcript.flush();
  assert.deepEqual(lines, ['< a.test[192.0.2.1]: AUTH PLAIN ...', '< a.test[192.0.2.1]: FOO ?', '> a.test[192.0.2.1]: 500-one', '> a.test[192.0.2.1]: 500 two']);
  assert.equal(sent.length, 1);
});
