import assert from 'node:assert/strict';
import test from 'node:test';
import { ears } from '../../delivery/testing.ts';
import type { SaslAnswer } from '../../protocol/sasl/answer.ts';
import { renderReply, say } from '../../protocol/smtp-server/reply.ts';
import type { Verdict } from '../../protocol/smtp-server/steps.ts';
import { TableTrouble } from '../../tables/table.ts';
import type { AccessState, Client } from './access/state.ts';
import { Authentication } from './authentication.ts';
import { SaslTrouble } from './sasl-server.ts';
import type { SaslService } from './sasl.ts';

const client = { name: 'unknown', address: '192.0.2.1', label: 'unknown[192.0.2.1]' } as Client;

interface Circumstances {
  readonly answers?: readonly SaslAnswer[];
  readonly mechanisms?: readonly string[] | Error;
  readonly isExcepted?: boolean | Error;
  readonly state?: Partial<AccessState>;
  readonly authOnly?: boolean;
}

function scene({ answers = [], mechanisms = ['PLAIN', 'LOGIN'], isExcepted = false, state = {}, authOnly = false }: Circumstances) {
  const { log, lines } = ears();
  const told: string[] = [];
  const waiting = [...answers];
  const orThrow = <T>(value: T | Error): T => {
    if (value instanceof Error) throw value;
    return value;
  };
  const take = (): SaslAnswer => waiting.shift()!;
  const sasl = {
    utf8: true, mechanisms: () => orThrow(mechanisms), isExcepted: () => orThrow(isExcepted),
    server: {
      unknownMechanism: (name: string) => `no ${name}`,
      begin: () => ({ first: (name: string, initial?: string) => (told.push(`first ${name} ${initial}`), take()), next: (text: string) => (told.push(`next ${text}`), take()), end: () => void told.push('end') }),
    },
  } as unknown as SaslService;
  const own = { client, ...state } as AccessState;
  return { authentication: new Authentication({ sasl, hostname: 'mx.test', state: own, log, authOnly }), state: own, lines, told };
}

const said = (verdict: Verdict): string => (verdict.accept ? verdict.challenge ?? verdict.mechanisms ?? 'yes' : renderReply(verdict.reply).trimEnd());
const command = { verb: 'AUTH', objection: undefined, mechanism: 'PLAIN', initial: 'YQ==' } as const;

for (const [name, answer, want, line] of [
  ['a failure', { kind: 'failed', reason: 'no luck', username: 'joe' }, '535 5.7.8 Error: authentication failed: no luck', 'failed: no luck, sasl_username=joe'],
  ['a failure without a word', { kind: 'failed', reason: '' }, '535 5.7.8 Error: authentication failed: (reason unavailable)', 'failed: (reason unavailable), sasl_username=(unavailable)'],
  ['no verdict', { kind: 'unavailable', reason: 'later', username: 'joe' }, '454 4.7.0 Temporary authentication failure: later', 'failed: later, sasl_username=joe'],
  ['a reason with line ends', { kind: 'failed', reason: 'a\r\n250 b' }, '535 5.7.8 Error: authentication failed: a??250 b', 'failed: a??250 b, sasl_username=(unavailable)'],
  ['a name with line ends', { kind: 'failed', reason: 'x', username: 'a\nb\xff' }, '535 5.7.8 Error: authentication failed: x', 'failed: x, sasl_username=a?b?'],
  ['a long reason', { kind: 'failed', reason: 'x'.repeat(5000) }, `535 5.7.8 Error: authentication failed: ${'x'.repeat(400)}`, `failed: ${'x'.repeat(400)}, sasl_username=(unavailable)`],
] as const) {
  test(`AUTH: ${name}`, async () => {
    const { authentication, state, lines, told } = scene({ answers: [answer] });
    assert.equal(said(await authentication.begin(command)), want);
    assert.deepEqual(lines, [`warning: unknown[192.0.2.1]: SASL PLAIN authentication ${line}`]);
    assert.equal(state.sasl, undefined);
    assert.deepEqual(told, ['first PLAIN YQ==', 'end']);
  });
}

test('AUTH: success', async () => {
  const { authentication, state, lines } = scene({ answers: [{ kind: 'done', username: 'jo\te' }] });
  assert.equal(said(await authentication.begin({ ...command, mechanism: 'plain' })), 'yes');
  assert.deepEqual(state.sasl, { username: 'jo?e', method: 'plain', sender: undefined });
  assert.deepEqual(lines, []);
  assert.equal(said(await authentication.begin(command)), '503 5.5.1 Error: already authenticated');
  authentication.forget();
  assert.equal(state.sasl, undefined);
});

test('AUTH: a challenge, and what the client says to it', async () => {
  const more: SaslAnswer = { kind: 'more', challenge: 'YWJj' };
  const cancelled = scene({ answers: [more] });
  assert.equal(said(await cancelled.authentication.begin(command)), 'YWJj');
  assert.equal(said(await cancelled.authentication.respond('*')), '501 5.7.0 Authentication aborted');
  assert.deepEqual(cancelled.lines, ['warning: unknown[192.0.2.1]: SASL PLAIN authentication aborted']);
  assert.deepEqual(cancelled.told.slice(1), ['end']);
  const long = scene({ answers: [more] });
  await long.authentication.begin(command);
  assert.equal(said(await long.authentication.respond(undefined)), '500 5.5.6 SASL response limit exceeded');
  assert.deepEqual(long.told.slice(1), ['end']);
  const good = scene({ answers: [more, { kind: 'done', username: 'joe' }] });
  await good.authentication.begin(command);
  assert.equal(said(await good.authentication.respond('eA==')), 'yes');
  assert.equal(good.state.sasl?.username, 'joe');
});

test('a client that hangs up before the verdict is in the log all the same', async () => {
  let settle!: (answer: SaslAnswer) => void;
  const { authentication, lines, told } = scene({ answers: [new Promise<SaslAnswer>((resolve) => { settle = resolve; }) as unknown as SaslAnswer] });
  const verdict = authentication.begin(command);
  authentication.end();
  assert.deepEqual(told, ['first PLAIN YQ==']);
  settle({ kind: 'failed', reason: 'no', username: 'joe' });
  await verdict;
  assert.deepEqual(lines, ['warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: no, sasl_username=joe']);
  assert.deepEqual(told.slice(1), ['end']);
});

test('AUTH: what is never asked', async () => {
  for (const [question, circumstances, want] of [
    [{ ...command, objection: say.inMail }, {}, '503 5.5.1 Error: MAIL transaction in progress'],
    [{ ...command, mechanism: undefined }, {}, '501 5.5.4 Syntax: AUTH mechanism'],
    [{ ...command, mechanism: undefined }, { state: { sasl: { username: 'x', method: 'XCLIENT', sender: undefined } } }, '503 5.5.1 Error: already authenticated'],
    [{ ...command, mechanism: 'FOO' }, {}, '535 5.7.8 Error: authentication failed: no FOO'],
    [command, { mechanisms: new SaslTrouble('away') }, '454 4.7.0 Temporary authentication failure: Connection lost to authentication server'],
    [command, { mechanisms: new TableTrouble('filter', 'broken') }, '454 4.7.0 Temporary authentication failure: Connection lost to authentication server'],
  ] as const) {
    const { authentication, told } = scene(circumstances);
    assert.equal(said(await authentication.begin(question)), want);
    assert.deepEqual(told, []);
  }
});

test('EHLO: what is announced', async () => {
  const tls = {} as NonNullable<AccessState['tls']>;
  for (const [circumstances, want] of [
    [{}, 'PLAIN LOGIN'], [{ isExcepted: true }, 'yes'], [{ authOnly: true }, 'yes'], [{ authOnly: true, state: { tls } }, 'PLAIN LOGIN'],
    [{ mechanisms: new SaslTrouble('away') }, '421 4.3.0 mx.test Server local error'], [{ isExcepted: new TableTrouble('list', 'broken') }, '421 4.3.0 mx.test Server local data error'],
  ] as const) assert.equal(said(await scene(circumstances).authentication.offer({ accept: true })), want);
  const refused: Verdict = { accept: false, reply: say.inMail };
  assert.equal(await scene({}).authentication.offer(refused), refused);
});
