/**
 * Mail for a site that is not online waits, and leaves as soon as the site asks for it: ETRN, `postqueue -s`, `sendmail -qR`. Told with our mail system, and
 * with Debian's Postfix, whose logs below flush/ look the same.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { openSink } from '../faults/sink.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const run = promisify(execFile);

const rows = (door: number): string => `127.0.0.1:${door} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry anvil showq flush')}
`;

const settings = (site: number): string => `
inet_protocols = ipv4
smtpd_peername_lookup = no
mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
relay_domains = site.test, other.test
transport_maps = inline:{ site.test=smtp:[127.0.0.1]:${site}, other.test=smtp:[127.0.0.1]:${site} }
fast_flush_domains = site.test
smtp_tls_security_level = none
`;

interface Place { readonly house: Instance | DebianPostfix; readonly door: number; readonly site: number; command(name: string, ...words: string[]): Promise<unknown> }

async function open(t: TestContext, side: string): Promise<Place> {
  const [door, site] = [await freePort(), await freePort()];
  const options = { mainCf: settings(site), masterCf: rows(door) };
  const house = side === 'ours' ? await Instance.create(options) : await DebianPostfix.create(options);
  t.after(() => house.stop());
  await house.start();
  const etc = `${house.directory}/etc`;
  const command = (name: string, ...words: string[]): Promise<unknown> => (side === 'ours'
    ? run(process.execPath, [commands, name, ...words], { env: { ...process.env, MAIL_CONFIG: etc } })
    : run(`/usr/sbin/${name}`, words, { env: { ...process.env, MAIL_CONFIG: etc } }));
  return { house, door, site, command };
}

/** A message that cannot leave yet. */
async function waiting({ house, door }: Place, recipient: string): Promise<string> {
  const id = await submit({ port: door, sender: 'ann@home.test', recipients: [recipient], text: `Subject: for ${recipient}\n\nhello\n` });
  await eventually(`${id} is deferred`, () => deferredIds(house).includes(id));
  return id;
}

function deferredIds({ directory }: { directory: string }): string[] {
  return readdirSync(`${directory}/queue/deferred`, { recursive: true, encoding: 'latin1' }).map((name) => name.split('/').at(-1)!).filter((name) => name.length > 1);
}

const logOf = ({ house }: Place, site: string): string => readFileSync(`${house.directory}/queue/flush/${site}`, 'latin1');

const asks: Readonly<Record<string, (place: Place) => Promise<unknown>>> = {
  'ETRN from the site': async ({ door }) => {
    const client = await SmtpClient.meet(door);
    assert.equal((await client.command('ETRN site.test')).text, '250 Queuing started');
    await client.quit();
  },
  'postqueue -s': ({ command }) => command('postqueue', '-s', 'site.test'),
  'sendmail -qR': ({ command }) => command('sendmail', '-qRsite.test'),
};

for (const side of ['ours', "Debian's"]) {
  const skip = side === 'ours' ? false : noDebianPostfix();
  test(`${side}: mail for a site waits until the site asks for it`, { skip }, async (t) => {
    const place = await open(t, side);
    for (const [title, ask] of Object.entries(asks)) {
      const ids = [await waiting(place, 'joe@site.test'), await waiting(place, 'joe@Site.Test')];
      await eventually('both are noted', () => logOf(place, 'site_test').split('\n').length === 3);
      assert.deepEqual(logOf(place, 'site_test').split('\n').sort(), ['', ...ids].sort());
      assert.equal(statSync(`${place.house.directory}/queue/flush/site_test`).mode & 0o777, 0o600);
      const other = await waiting(place, 'joe@other.test');
      const taken: string[] = [];
      const sink = await openSink((text) => void taken.push(text), { port: place.site });
      t.after(() => sink.close().catch(() => undefined));
      await ask(place);
      await eventually(`${title}: both have left`, () => taken.length === 2);
      assert.deepEqual(taken.map((text) => /for joe@site.test/i.test(text)), [true, true]);
      assert.equal(logOf(place, 'site_test'), '');
      assert.deepEqual(readdirSync(`${place.house.directory}/queue/flush`), ['site_test']);
      assert.ok(deferredIds(place.house).includes(other));
      // The one that nobody asked for leaves by its own name.
      await place.command('postqueue', '-i', other);
      await eventually('the other one has left', () => taken.length === 3);
      await sink.close();
    }
  });
}
