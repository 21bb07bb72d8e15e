/**
 * The tables of the articles as they are printed: who may get mail from outside, virtual users with a catch-all, users that moved, local recipients
 * by alias and account, and patterns for headers.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { submit } from '../submit.ts';
import { masterRows } from '../master-rows.ts';

const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

const rows = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace local error discard anvil')}
`;

const sources: { readonly [file: string]: string } = {
  'access-inbound': 'joe@corp.test\tOK\ncorp.test\tREJECT\n',
  virtual: 'virtual.test\tanything\nwebmaster@virtual.test\tjoe@home.test\n@virtual.test\tbounce-local\n',
  relocated: 'joebob@home.test\tjoebob@elsewhere.test\n@old.test\tnew.test\n',
  aliases: 'bounce-local: /dev/null\njoe: /dev/null\n',
};

interface House {
  readonly instance: Instance;
  readonly port: number;
  run(command: string, words: readonly string[], input?: string): { status: number | null; stdout: string; stderr: string };
}

async function open(t: TestContext): Promise<House> {
  const port = await freePort();
  const instance = await Instance.create({ masterCf: rows(port) });
  t.after(() => instance.stop());
  const etc = `${instance.directory}/etc`;
  instance.mainCf(`myhostname = mail.home.test
mydestination = home.test, old.test
myorigin = home.test
mynetworks = 192.0.2.0/24
relay_domains = corp.test
transport_maps = inline:{corp.test=discard:}
smtpd_sender_restrictions = check_recipient_access hash:${etc}/access-inbound
virtual_maps = hash:${etc}/virtual
local_recipient_maps = $alias_maps unix:passwd.byname
relocated_maps = hash:${etc}/relocated
alias_maps = hash:${etc}/aliases
`);
  const run: House['run'] = (command, words, input = '') => spawnSync(process.execPath, [commands, command, '-c', etc, ...words], { encoding: 'latin1', input });
  for (const [file, text] of Object.entries(sources)) {
    writeFileSync(`${etc}/${file}`, text);
    const made = run(file === 'aliases' ? 'postalias' : 'postmap', [`hash:${etc}/${file}`]);
    assert.equal(made.status, 0, made.stderr);
  }
  await instance.start();
  return { instance, port, run };
}

async function answer(port: number, recipient: string): Promise<string> {
  const client = await SmtpClient.meet(port);
  try {
    await client.command('MAIL FROM:<stranger@outside.test>');
    const { code, text } = await client.command(`RCPT TO:<${recipient}>`);
    return `${code} ${text}`;
  } finally {
    await client.quit();
  }
}

test('tables as the articles print them', async (t) => {
  const { instance, port, run } = await open(t);

  for (const [name, recipient, want] of [
    ['who is on the list gets mail', 'joe@corp.test', /^250 /],
    ['who is not is refused in the words of the article', 'jane@corp.test', /^554 .*5\.7\.1 <jane@corp\.test>: Recipient address rejected: Access denied/],
    ['a virtual user', 'webmaster@virtual.test', /^250 /],
    ['the catch-all of a virtual domain', 'whoever@virtual.test', /^250 /],
    ['an alias', 'joe@home.test', /^250 /],
    ['an account', 'root@home.test', /^250 /],
    ['nobody', 'nobody-at-all@home.test', /^550 .*5\.1\.1 <nobody-at-all@home\.test>: Recipient address rejected: User unknown in local recipient table/],
    ['who moved', 'joebob@home.test', /^550 .*5\.1\.6 <joebob@home\.test>: Recipient address rejected: User has moved to joebob@elsewhere\.test/],
    ['a domain that moved', 'anyone@old.test', /^550 .*5\.1\.6 <anyone@old\.test>: Recipient address rejected: User has moved to new\.test/],
  ] as const) await t.test(name, async () => assert.match(await answer(port, recipient), want));

  await t.test('the catch-all gets its mail', async () => {
    await submit({ port, sender: 'stranger@outside.test', recipients: ['whoever@virtual.test'], text: 'Subject: hello\n\nText.\n' });
    const line = await eventually('it is delivered', () => instance.lines(/postfix\/local.* to=<bounce-local@home\.test>, orig_to=<whoever@virtual\.test>/)[0]);
    assert.match(line, /status=sent \(delivered to file: \/dev\/null\)/);
  });

  for (const [type, rules, header, want] of [
    ['regexp', '/^Subject: Make money fast/\t\tREJECT\n/^X-Mailer: Microsoft Outlook Express/\tREJECT\n', 'Subject: make money FAST!', 'REJECT'],
    ['regexp', '/^Subject: Make money fast/\t\tREJECT\n/^X-Mailer: Microsoft Outlook Express/\tREJECT\n', 'X-Mailer: Microsoft Outlook Express 5', 'REJECT'],
    ['regexp', '/^Subject: Make money fast/\t\tREJECT\n', 'Subject: How to make money', undefined],
    ['pcre', '/^friend@(?!my.domain).*$/ 550 Stick this in your pipe $0\n', 'friend@example.com', '550 Stick this in your pipe friend@example.com'],
    ['pcre', '/^friend@(?!my.domain).*$/ 550 Stick this in your pipe $0\n', 'friend@my.domain', undefined],
  ] as const) await t.test(`${type}: ${header}`, () => {
    const file = `${instance.directory}/etc/rules.${type}`;
    writeFileSync(file, rules);
    const { status, stdout } = run('postmap', ['-q', header, `${type}:${file}`]);
    assert.deepEqual([status, stdout], want === undefined ? [1, ''] : [0, `${want}\n`]);
  });
});
