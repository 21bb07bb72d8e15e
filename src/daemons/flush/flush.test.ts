import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import test, { type TestContext } from 'node:test';
import { QueuePaths } from '../../queue/queue-paths.ts';
import { SiteLogs } from './site-logs.ts';
import { siteName } from './site-name.ts';

const names: readonly (readonly [site: string, name: string | undefined])[] = [
  ['example.org', 'example_org'], ['Example.ORG', 'example_org'], ['a-b.example.org', 'a_b_example_org'], ['[192.0.2.1]', '_192_0_2_1_'],
  ['[ipv6:2001:db8::1]', '_ipv6_2001_db8__1_'], ['../../etc/passwd', '______etc_passwd'],
  ['b\xc3\xbccher.example', 'xn__bcher_kva_example'], ['\xff.example', undefined],
];
for (const [site, name] of names) test(`the log of ${JSON.stringify(site)}`, () => assert.equal(siteName(site), name));

const now = 1_800_000_000_000;

interface Scene { readonly logs: SiteLogs; readonly root: string; readonly warnings: string[]; put(queue: string, id: string): void; moved(): string[]; log(site: string): string }

function scene(t: TestContext, hashed = ''): Scene {
  const root = fs.mkdtempSync(`${os.tmpdir()}/flush-test-`);
  t.after(() => fs.rmSync(root, { recursive: true }));
  for (const name of ['flush', 'deferred', 'incoming']) fs.mkdirSync(`${root}/${name}`);
  const paths = new QueuePaths({ hashQueueNames: hashed, hashQueueDepth: 1, root });
  const warnings: string[] = [];
  return {
    root, warnings, logs: new SiteLogs({ paths, warn: (text) => warnings.push(text), now: () => now }),
    put: (queue, id) => fs.writeFileSync(`${root}/${queue}/${id}`, '', { mode: 0o700 }),
    moved: () => fs.readdirSync(`${root}/incoming`).sort(),
    log: (site) => fs.readFileSync(`${root}/flush/${site}`, 'latin1'),
  };
}

const nothing = (): void => undefined;

test('what was noted moves, due now, once, and the log is empty', async (t) => {
  const { logs, put, moved, log, root } = scene(t);
  for (const id of ['AB12', 'AB13', 'AB14']) put('deferred', id);
  for (const id of ['AB12', 'AB13', 'AB12', 'GONE']) await logs.add('site_test', id);
  assert.equal(log('site_test'), 'AB12\nAB13\nAB12\nGONE\n');
  const order: string[] = [];
  assert.equal(await logs.send('site_test', () => order.push(...moved(), 'begun')), true);
  assert.deepEqual(order, ['begun']);
  assert.deepEqual(moved(), ['AB12', 'AB13']);
  assert.equal(fs.statSync(`${root}/incoming/AB12`).mtimeMs, now);
  assert.equal(fs.statSync(`${root}/incoming/AB12`).mode & 0o777, 0o700);
  assert.equal(log('site_test'), '');
});

test('a site that nothing is known of', async (t) => {
  const { logs, root } = scene(t);
  assert.equal(await logs.send('site_test', assert.fail), false);
  assert.deepEqual(fs.readdirSync(`${root}/flush`), []);
});

test('lines that are no queue ids are passed over, with a warning', async (t) => {
  const { logs, put, moved, root, warnings } = scene(t);
  put('deferred', 'AB12');
  fs.writeFileSync(`${root}/flush/site_test`, `../../etc/passwd\n${'x'.repeat(200_000)}\nAB12`);
  await logs.send('site_test', nothing);
  assert.deepEqual(moved(), ['AB12']);
  assert.equal(warnings.length, 2);
  assert.match(warnings[0]!, /^bad queue id "\.\.\/\.\.\/etc\/passwd\.\.\." in fast flush logfile site_test$/);
});

test('what is noted while the log is worked on waits for the next time', async (t) => {
  const { logs, put, log } = scene(t);
  const ids = Array.from({ length: 350 }, (_, number) => `AB${number}`);
  for (const id of ids) {
    put('deferred', id);
    await logs.add('site_test', id);
  }
  const sent = logs.send('site_test', nothing);
  await Promise.all([sent, logs.add('site_test', 'LATE')]);
  assert.equal(log('site_test'), 'LATE\n');
});

test('a log that cannot be written is the caller\'s trouble, and the next one is not', async (t) => {
  const { logs, root, log } = scene(t);
  fs.mkdirSync(`${root}/flush/site_test`);
  await assert.rejects(logs.add('site_test', 'AB12'));
  fs.symlinkSync('/etc/passwd', `${root}/flush/link_test`);
  await assert.rejects(logs.add('link_test', 'AB12'), /ELOOP/);
  fs.rmdirSync(`${root}/flush/site_test`);
  await logs.add('site_test', 'AB12');
  assert.equal(log('site_test'), 'AB12\n');
});

const day = 86_400_000;
const ages: readonly (readonly [title: string, content: string, age: number, left: string | undefined, moved: readonly string[]])[] = [
  ['fresh', 'AB12\n', 0, 'AB12\n', []],
  ['not asked for during fast_flush_refresh_time', 'AB12\n', day, '', ['AB12']],
  ['empty', '', day, '', []],
  ['empty for longer than fast_flush_purge_time', '', 8 * day, undefined, []],
];
for (const hashed of ['', 'flush']) {
  for (const [title, content, age, left, expected] of ages) {
    test(`refresh: a log that is ${title}${hashed === '' ? '' : ', in a directory of its own letter'}`, async (t) => {
      const { logs, put, moved, root } = scene(t, hashed);
      put('deferred', 'AB12');
      await logs.add('site_test', 'AB12');
      const path = `${root}/flush/${hashed === '' ? '' : 's/'}site_test`;
      fs.writeFileSync(path, content);
      fs.utimesSync(path, (now - age) / 1000, (now - age) / 1000);
      assert.equal(await logs.refresh(43_200, 7 * 86_400), expected.length > 0);
      assert.deepEqual(moved(), expected);
      assert.equal(fs.existsSync(path) ? fs.readFileSync(path, 'latin1') : undefined, left);
    });
  }
}

test('a site with a name of one letter is no directory', async (t) => {
  const { logs, put, moved, root } = scene(t);
  put('deferred', 'AB12');
  await logs.add('x', 'AB12');
  fs.utimesSync(`${root}/flush/x`, (now - day) / 1000, (now - day) / 1000);
  assert.equal(await logs.refresh(43_200, 7 * 86_400), true);
  assert.deepEqual(moved(), ['AB12']);
});
