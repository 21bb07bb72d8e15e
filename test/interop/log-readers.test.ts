/**
 * The programs that read a mail system's log and queue, unmodified from Debian, on ours and on Debian's Postfix after the same day:
 * pflogsumm, logwatch, fail2ban's filters, monitoring-plugins' check_mailq, the Prometheus exporter. Skipped, by name, where something
 * is not installed or we are not root.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ordinaryAccount } from '../accounts.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { furnish, liveADay, openFickleSink, runCommand, sceneMainCf, sceneMasterCf, type Said, type Side } from './log-readers-scene.ts';

const impossible = noDebianPostfix();
const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const needs = (file: string): { skip: string | false } => ({ skip: impossible || (fs.existsSync(file) ? false : `${file} is not installed`) });
/** Compared with a build of today's Postfix, nothing needs to be older. */
const newer = process.env['POSTFIX_DAEMONS'] !== undefined;
const folder = fs.mkdtempSync(`${os.tmpdir()}/postern-log-readers-`);

const sides = new Map<'ours' | 'theirs', Side>();
const endings: (() => Promise<unknown>)[] = [];

before(async () => {
  if (impossible) return;
  const account = ordinaryAccount();
  const sink = await openFickleSink();
  endings.push(() => sink.close());
  const sinkPort = { port: sink.port, closed: await freePort() };
  const ports = { ours: [await freePort(), await freePort()], theirs: [await freePort(), await freePort()] } as const;
  const masterCf = (side: 'ours' | 'theirs'): string => sceneMasterCf(ports[side][0], ports[side][1], account.name);
  const instance = await Instance.create({ masterCf: masterCf('ours') });
  const postfix = await DebianPostfix.create({ masterCf: masterCf('theirs') });
  const path = { PATH: '/usr/sbin:/usr/bin:/bin', TZ: process.env['TZ'] };
  for (const [name, system] of [['ours', instance], ['theirs', postfix]] as const) {
    const { directory } = system;
    fs.appendFileSync(`${directory}/etc/main.cf`, sceneMainCf(directory, sinkPort, account));
    furnish(directory, sinkPort, account);
    await system.start();
    endings.push(() => system.stop());
    const environment = { ...path, MAIL_CONFIG: `${directory}/etc` };
    const command = (program: string, argv: readonly string[], input?: string): Promise<Said> =>
      (name === 'ours' ? runCommand(process.execPath, [runner, program, ...argv], environment, input) : runCommand(`${process.env['POSTFIX_COMMANDS'] ?? '/usr/sbin'}/${program}`, argv, environment, input));
    sides.set(name, { directory, port: ports[name][0], log: () => system.log(), lines: (pattern) => system.lines(pattern), command });
  }
  await Promise.all([...sides].map(([name, side]) => liveADay(side, ports[name][1])));
  for (const [name, side] of sides) fs.writeFileSync(`${folder}/${name}.log`, side.log(), 'latin1');
}, { timeout: 120_000 });

after(async () => {
  for (const end of endings) await end();
  if (process.env['KEEP'] === undefined) fs.rmSync(folder, { recursive: true });
});

const logOf = (name: 'ours' | 'theirs'): string => `${folder}/${name}.log`;

/** A log line without what differs from run to run, and without the lines of start and stop. */
function plain(line: string): string {
  return line
    .replace(/^\w{3} [ 0-9]\d [0-9:]{8} \S+ /, '').replace(/\[[0-9]+\]: /, ': ')
    .replace(/\b[0-9A-F]{9,12}\b/g, 'ID').replace(/\b[0-9]{14}\.ID\b/g, 'ID')
    .replace(/\]:[0-9]{5}\b/g, ']:PORT').replace(/\b(delay|delays)=[0-9./]+/g, '$1=').replace(/conn_use=[0-9]+, /, '')
    .replace(/(from=<[^>]*>, size)=[0-9]+/, '$1=').replace(/\/tmp\/[a-z-]+-[A-Za-z0-9]{6}/g, 'DIR').replace(/\/[a-z/]*bin\/postfix/, 'postfix')
    .replace(/for service \S+:[0-9]+$/, 'for service');
}

/** What Postfix logs since 3.8, and Debian's does not yet: our line as it was before, or nothing. */
function asBefore(line: string): string {
  return line
    .replace(/^(postfix\/smtpd: )(?:NOQUEUE|ID): (?=(?:lost connection|timeout|too many errors) after )/, '$1')
    .replace(/ tls=[a-z:?]+,/, '').replace(/^postfix\/cleanup: ID: removed \((?:discarded|canceled)\)$/, '')
    .replace(/ quit=1 help=1 commands=5\/7$/, ' quit=1 unknown=0/1 commands=4/7');
}

/** With a message that is too big, Debian's cleanup begins and complains as well; ours never hears of it. */
const ofTheBigMessage = /^postfix\/cleanup: (?:warning: (?:ID: queue file size limit exceeded|mail_stream_cleanup: close error)|ID: message-id=|ID: removed \(canceled\))/;

const notOfMail = /postfix\/(master|postlog|postfix-script)\b|statistics:|daemon started/;

/** How often each line occurs; of delivery attempts, whose number depends on the moment of the flush, only that it does. */
function shapes(name: 'ours' | 'theirs'): Map<string, number> {
  const found = new Map<string, number>();
  for (const whole of fs.readFileSync(logOf(name), 'latin1').split('\n').filter((each) => each !== '' && !notOfMail.test(each))) {
    const line = newer ? plain(whole) : asBefore(plain(whole));
    if (line === '' || ofTheBigMessage.test(line)) continue;
    found.set(line, /^postfix\/smtpd:/.test(line) ? (found.get(line) ?? 0) + 1 : 1);
  }
  return found;
}

test('line by line the two logs are the same', { skip: impossible }, () => {
  const [ours, theirs] = [shapes('ours'), shapes('theirs')];
  const different: string[] = [];
  for (const line of new Set([...ours.keys(), ...theirs.keys()]))
    if ((ours.get(line) ?? 0) !== (theirs.get(line) ?? 0)) different.push(`${ours.get(line) ?? 0}:${theirs.get(line) ?? 0} ${line}`);
  assert.deepEqual(different.sort((one, other) => (one.slice(4) < other.slice(4) ? -1 : 1)), []);
});

/** A reader's output for a log, lines that tell directories, times and ids apart made alike. */
async function read(argv: readonly string[], log: string): Promise<string[]> {
  const { status, out, said } = await runCommand(argv[0]!, [...argv.slice(1)], { PATH: '/usr/sbin:/usr/bin:/bin' }, fs.readFileSync(log, 'latin1'));
  assert.equal(status, 0, said);
  return out.split('\n');
}

/** Our log in the words of Debian's release: what Postfix says otherwise since 3.8 is not the readers' to know. */
function oldWords(): string {
  const file = `${folder}/ours-old-words.log`;
  const text = fs.readFileSync(logOf('ours'), 'latin1').split('\n').map((line) => line
    .replace(/(postfix\/smtpd\[[0-9]+\]: )(?:NOQUEUE|[0-9A-F]{6,14}): (?=(?:lost connection|timeout|too many errors) after )/, '$1').replace(/ tls=[a-z:?]+,/, ''));
  fs.writeFileSync(file, text.filter((line) => !/: removed \((?:discarded|canceled)\)$/.test(line)).join('\n'), 'latin1');
  return file;
}

test('pflogsumm counts the same', needs('/usr/sbin/pflogsumm'), async () => {
  const counts = async (log: string): Promise<string[]> => (await read(['/usr/sbin/pflogsumm', '--detail', '20'], log))
    // Sizes of reports, seconds, ids, ports; what belongs to the release.
    .filter((line) => !/bytes|daemon started|file size limit|mail_stream_cleanup|^ *cleanup \(|^postfix-|^ *[0-9]+ +[0-9]+ +[0-9]+ +[0-9.]+ [smh] /.test(line))
    .map((line) => line.replace(/^ +[0-9.]+[km]? +(?=\S+@)/, '').replace(/127\.0\.0\.1:[0-9]+/, 'PORT').replace(/\b[0-9]{9,}\b/g, 'N'));
  const [ours, theirs] = [await counts(logOf('ours')), await counts(logOf('theirs'))];
  for (const line of [/^ +[0-9]+ +received$/, /^ +[0-9]+ +delivered$/, /^ +[0-9]+ +bounced$/, /^ +[0-9]+ +rejected \(/])
    assert.deepEqual(ours.filter((each) => line.test(each)), theirs.filter((each) => line.test(each)));
  assert.deepEqual(sections(ours), sections(theirs));
});

/** Headings in their order, the lines below each in any. */
function sections(lines: readonly string[]): string[][] {
  const found: string[][] = [[]];
  for (const line of lines) if (/^\S/.test(line)) found.push([line]);
    else found.at(-1)!.push(line.replace(/^ +[0-9]+ +(?=deferred|deferrals)/, ''));
  return found.map((section) => section.sort());
}

const logwatch = '/usr/share/logwatch/scripts/services/postfix';

test('logwatch knows every line that it knows of Debian\'s, and no other is unknown but those new in Postfix', needs(logwatch), async () => {
  const unmatched = async (log: string): Promise<Set<string>> => {
    const lines = await read(['/usr/bin/perl', logwatch], log);
    const start = lines.findIndex((line) => line.includes('**Unmatched Entries**'));
    return new Set(start < 0 ? [] : lines.slice(start + 1).filter((line) => / postfix\//.test(line)).map((line) => plain(line.replace(/^ *[0-9]+ +/, '')).slice(0, 120)));
  };
  const theirs = await unmatched(logOf('theirs'));
  assert.deepEqual([...await unmatched(oldWords())].filter((line) => !theirs.has(line)), []);
  for (const line of await unmatched(logOf('ours')))
    assert.ok(theirs.has(line) || asBefore(line) !== line, `unknown to logwatch: ${line}`);
});

for (const mode of ['normal', 'more', 'auth', 'rbl', 'ddos', 'extra', 'aggressive', 'errors']) {
  test(`fail2ban's filter finds the same offenders: ${mode}`, needs('/usr/bin/fail2ban-regex'), async () => {
    const found = async (log: string): Promise<string | undefined> => {
      const { out } = await runCommand('/usr/bin/fail2ban-regex', [log, `/etc/fail2ban/filter.d/postfix.conf[mode=${mode}]`], { PATH: '/usr/bin:/bin' });
      return /[0-9]+ matched/.exec(out)?.[0];
    };
    const theirs = await found(logOf('theirs'));
    assert.match(theirs ?? '', /matched/);
    assert.equal(await found(oldWords()), theirs);
  });
}

const checkMailq = '/usr/lib/nagios/plugins/check_mailq';

test('check_mailq reads mailq', needs(checkMailq), async () => {
  // The plugin knows one mailq, by its full name: in this copy it is one of ours, or Debian's.
  const answers = [];
  for (const [name, side] of sides) {
    const place = `${folder}/plugin-${name}`;
    fs.mkdirSync(place);
    const mailq = name === 'ours' ? `exec ${process.execPath} ${runner} mailq` : 'exec /usr/bin/mailq';
    fs.writeFileSync(`${place}/mailq`, `#!/bin/sh\nMAIL_CONFIG=${side.directory}/etc\nexport MAIL_CONFIG\n${mailq}\n`, { mode: 0o755 });
    fs.copyFileSync(checkMailq, `${place}/check_mailq`);
    fs.writeFileSync(`${place}/utils.pm`, fs.readFileSync('/usr/lib/nagios/plugins/utils.pm', 'latin1').replace(/PATH_TO_MAILQ *= *"[^"]*"/, `PATH_TO_MAILQ = "${place}/mailq"`), 'latin1');
    for (const limits of [['-w', '100', '-c', '200'], ['-w', '2', '-c', '200'], ['-w', '1', '-c', '2']]) {
      const { status, out } = await runCommand('/usr/bin/perl', [`${place}/check_mailq`, '-M', 'postfix', ...limits], { PATH: '/usr/bin:/bin' });
      answers.push(`${name}: ${status} ${out}`);
    }
  }
  assert.deepEqual(answers.slice(0, 3).map((each) => each.replace('ours', '')), answers.slice(3).map((each) => each.replace('theirs', '')));
  assert.match(answers[0]!, /^ours: 0 OK: /);
});

const exporter = '/usr/bin/prometheus-postfix-exporter';

test('the Prometheus exporter reads the queue and the log', needs(exporter), async () => {
  const seen = [];
  for (const [name, side] of sides) {
    const port = await freePort();
    const child = spawn(exporter, [`--web.listen-address=127.0.0.1:${port}`, `--postfix.showq_path=${side.directory}/queue/public/showq`, `--postfix.logfile_path=${logOf(name)}`], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('close', resolve));
    try {
      const text = await eventually('the exporter answers', async () => {
        const response = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
        return response?.text();
      });
      seen.push(text.split('\n').filter((line) => /^postfix_(up|showq_message_size_bytes_count)\b/.test(line)).map((line) => line.replace(/path="[^"]*"/, 'path=""')).sort());
    } finally {
      child.kill();
      await ended;
    }
  }
  assert.deepEqual(seen[0], seen[1]);
  assert.ok(seen[0]!.some((line) => /^postfix_up\{.*\} 1$/.test(line)), String(seen[0]));
  assert.ok(seen[0]!.some((line) => /queue="deferred"\} [1-9]/.test(line)), String(seen[0]));
});
