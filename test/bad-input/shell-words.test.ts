/**
 * Addresses with words of a shell, of Exim's expansions and of Sendmail's paths (CVE-2019-10149, CVE-2020-7247) on their way to a program:
 * each is one argument, as it was, and nothing in it is ever run.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { test } from 'node:test';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const user = process.getuid!() !== 0 ? userInfo().username : instanceAccounts().owner === 'nobody' ? 'daemon' : 'nobody';

/** Local parts. P stands for a path that no command may make. */
const parts = [
  ';touch P;', '${run{touch P}}', '$(touch P)', '`touch P`', '|touch P', '/etc/passwd', ':include:/etc/passwd', '&touch P&', '>P', '<P', '"touch P"', "';touch P;'", '$IFS', '*', '~root', '!touch', '\\;touch', '#', '%s%n',
  '../../P', '{a,b}', '$1', '${sender}', '${recipient}', '=cmd P', 'a;b|c',
];

test('programs get addresses as single arguments', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({ masterCf: '', mainCf: `mydestination =
alias_maps =
local_recipient_maps =
relay_domains = program.test
transport_maps = inline:{ program.test=program: }
mynetworks = 127.0.0.0/8
smtpd_error_sleep_time = 0
` });
  t.after(() => instance.stop());
  const { directory } = instance;
  const place = `${directory}/out`;
  mkdirSync(place);
  chmodSync(place, 0o777);
  writeFileSync(`${directory}/program`, `#!/bin/sh\nprintf '%s\\n' "$#" "$@" > ${place}/.$$ && mv ${place}/.$$ ${place}/$$.$(date +%s%N)\ncat > /dev/null\n`);
  chmodSync(`${directory}/program`, 0o755);
  instance.masterCf(`127.0.0.1:${port} inet n - n - - smtpd
${masterRows('cleanup qmgr rewrite bounce defer trace error retry anvil')}
program unix - n n - 1 pipe user=${user} argv=${directory}/program \${sender} \${recipient} \${user} \${domain}
`);
  await instance.start();
  const trap = `${place}/trap`;
  const client = await SmtpClient.meet(port);
  const quoted = (part: string): string => `"${part.replaceAll('P', trap).replace(/["\\]/g, '\\$&')}"`;
  const wanted: string[] = [];
  for (const part of parts) {
    const plain = part.replaceAll('P', trap);
    const first = await client.command(`MAIL FROM:<${quoted(part)}@far.test>`);
    assert.equal(first.code, 250, `${part}: ${first.text}`);
    assert.equal((await client.command(`RCPT TO:<${quoted(part)}@program.test>`)).code, 250, part);
    assert.equal((await client.command('DATA')).code, 354);
    assert.equal((await client.content(Buffer.from('Subject: x\r\n\r\n.\r\n'))).code, 250);
    wanted.push(plain);
  }
  // An argument that is an option to some programs does not get so far.
  assert.equal((await client.command('MAIL FROM:<>')).code, 250);
  assert.match((await client.command('RCPT TO:<-oQ/tmp@program.test>')).text, /^501 5\.1\.3 /);
  // CVE-2020-7247: a sender without a domain, as it was.
  await client.command('RSET');
  assert.ok((await client.command('MAIL FROM:<;touch x;>')).code >= 500);
  await client.quit();
  const files = await eventually('the program has run for each', () => {
    const found = readdirSync(place).filter((name) => /^[0-9]/.test(name));
    return found.length >= parts.length ? found : undefined;
  });
  const seen = files.map((name) => readFileSync(`${place}/${name}`, 'latin1').trimEnd().split('\n'));
  for (const lines of seen) assert.deepEqual([lines.length, lines[0], lines[4]], [5, '4', 'program.test']);
  const strip = (address: string, domain: string): string => address.slice(0, -domain.length);
  assert.deepEqual(seen.map((lines) => lines[3]!).sort(), wanted.sort());
  for (const lines of seen) {
    assert.ok(lines[1]!.endsWith('@far.test'));
    assert.equal(strip(lines[1]!, '@far.test'), lines[3]);
    assert.equal(strip(lines[2]!, '@program.test'), lines[3]);
  }
  assert.equal(existsSync(trap), false);
  assert.equal(existsSync(`${directory}/queue/x`), false);
});
