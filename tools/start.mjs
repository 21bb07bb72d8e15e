// `npm start`: a private mail system in ./instance, one message through it, and then it stays up for more.
// `npm start -- --once` ends after the delivery. Plain JavaScript for any Node from 16 on.
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { instanceAccounts } from './accounts.mjs';
import { build } from './build.mjs';
import { fail, root } from './install.mjs';
import { privateSendmail } from './native.mjs';
import { sendMessage, waitFor } from './smtp-client.mjs';

const once = process.argv.includes('--once');
/** Its true place once it exists: daemons cannot walk through a directory that they may not enter, link or not. */
let instance = `${root}/instance`;
const domain = 'example.test';
const recipient = `joe@${domain}`;

/** May this account walk down to the directory? As root the mail system works as an account of lower rank. */
function canReach(path, { uid, gid }) {
  for (let at = path; ; at = dirname(at)) {
    const { mode, uid: owner, gid: group } = statSync(at);
    const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === '/') return true;
  }
}

function makeDirectory(accounts) {
  if (existsSync(instance)) return;
  rmSync(instance, { force: true }); // a link to a place that is gone
  if (canReach(root, accounts)) {
    mkdirSync(instance, { mode: 0o755 });
    return;
  }
  const place = `${tmpdir()}/postern-instance-${process.pid}`;
  console.log(`postern: ${accounts.owner} cannot enter ${root}, so ./instance is a link to ${place}`);
  mkdirSync(place, { mode: 0o755 });
  symlinkSync(place, instance);
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer().on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

async function choosePort() {
  for (let port = 2525; port < 2625; port++) if (await isFree(port)) return port;
  return fail('no free port between 2525 and 2624 on 127.0.0.1');
}

function mainCf({ owner, group, uid, gid }, sendmail) {
  return `# A private mail system: everything below ${instance}, nothing outside.
compatibility_level = 3.12
queue_directory = ${instance}/queue
data_directory = ${instance}/data
command_directory = ${root}/bin
daemon_directory = ${root}/libexec
mail_owner = ${owner}
setgid_group = ${group}

# Tables of the types hash and btree are cdb files: that needs no library.
default_database_type = cdb

# The log is a file here; without these two lines it is the system's log.
maillog_file = ${instance}/maillog
maillog_file_prefixes = ${instance}

# Listen on this machine only, and accept mail for one domain whose users need no account.
myhostname = mail.${domain}
inet_interfaces = loopback-only
mynetworks_style = host
mydestination =
alias_maps =
alias_database =
virtual_mailbox_domains = ${domain}
virtual_mailbox_maps = texthash:${instance}/etc/mailboxes
virtual_mailbox_base = ${instance}/mail
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = ${Math.max(1, Math.min(uid, 100))}
${sendmail === undefined ? '' : `
# Where this instance's compiled sendmail finds it.
${sendmail.setting}
`}`;
}

function masterCf(port) {
  const stock = readFileSync(`${root}/conf/master.cf`, 'latin1');
  const row = `127.0.0.1:${port}      inet  n       -       n       -       -       smtpd`;
  const changed = stock.replace(/^smtp[ \t]+inet[ \t].*$/m, row);
  return changed === stock ? fail('conf/master.cf has no "smtp inet" row') : changed;
}

function writeOnce(path, text) {
  if (!existsSync(path)) writeFileSync(path, text, { mode: 0o644, encoding: 'latin1' });
}

async function makeInstance() {
  const accounts = instanceAccounts();
  makeDirectory(accounts);
  instance = realpathSync(instance);
  for (const name of ['etc', 'mail']) {
    if (existsSync(`${instance}/${name}`)) continue;
    mkdirSync(`${instance}/${name}`);
    chmodSync(`${instance}/${name}`, 0o755);
    if (name === 'mail' && process.getuid() === 0) chownSync(`${instance}/mail`, accounts.uid, accounts.gid);
  }
  const sendmail = privateSendmail(`${instance}/sendmail`, `${instance}/etc`);
  writeOnce(`${instance}/etc/main.cf`, mainCf(accounts, sendmail));
  if (!existsSync(`${instance}/etc/master.cf`)) writeOnce(`${instance}/etc/master.cf`, masterCf(await choosePort()));
  writeOnce(`${instance}/etc/mailboxes`, `# address, and below ${instance}/mail its Maildir (the slash at the end makes it one)\n${recipient}     joe/\nanna@${domain}    anna/\n`);
  const port = /^127\.0\.0\.1:([0-9]+)[ \t]+inet\b/m.exec(readFileSync(`${instance}/etc/master.cf`, 'latin1'))?.[1];
  return port === undefined ? fail(`${instance}/etc/master.cf has no row "127.0.0.1:PORT inet"; remove ${instance} to begin anew`) : Number(port);
}

function startMail() {
  const mail = spawn(`${root}/bin/postfix`, ['-c', `${instance}/etc`, 'start-fg'], { stdio: ['ignore', 'inherit', 'inherit'] });
  mail.on('error', (error) => fail(`cannot start ${root}/bin/postfix: ${error.message}`));
  return mail;
}

/** Copies the log to the screen from where it is now. */
function followLog() {
  const path = `${instance}/maillog`;
  let seen = existsSync(path) ? statSync(path).size : 0;
  setInterval(() => {
    if (!existsSync(path) || statSync(path).size === seen) return;
    const bytes = readFileSync(path);
    if (bytes.length < seen) seen = 0;
    process.stdout.write(bytes.subarray(seen));
    seen = bytes.length;
  }, 200);
}

function newFiles(before) {
  return mailFiles().filter((file) => !before.includes(file));
}

function mailFiles() {
  const directory = `${instance}/mail/joe/new`;
  return existsSync(directory) ? readdirSync(directory).map((name) => `${directory}/${name}`) : [];
}

function indent(text) {
  return text.replace(/\r?\n$/, '').split(/\r?\n/).map((line) => `    ${line}`).join('\n');
}

function compiledSendmail() {
  return `${instance}/sendmail/native/build/sendmail`;
}

function howToGoOn(port) {
  console.log(`
The mail system is up. Send it more:

    swaks --server 127.0.0.1:${port} --to ${recipient}
    echo hello | ${root}/bin/sendmail -C ${instance}/etc -f me@${domain} anna@${domain}
${existsSync(compiledSendmail()) ? `    echo hello | ${compiledSendmail()} -f me@${domain} anna@${domain}
` : ''}    node -e "require('nodemailer').createTransport({port:${port},host:'127.0.0.1',ignoreTLS:true}).sendMail({from:'me@${domain}',to:'${recipient}',subject:'hello',text:'hello'})"

Look at it:

    ${root}/bin/postqueue -c ${instance}/etc -p
    ${root}/bin/postconf -c ${instance}/etc -n
    less ${instance}/maillog

Change ${instance}/etc/main.cf or master.cf, then: ${root}/bin/postfix -c ${instance}/etc reload
Stop: Ctrl-C here, or ${root}/bin/postfix -c ${instance}/etc stop

The log from here on:
`);
}

async function main() {
  build();
  const port = await makeInstance();
  if (!(await isFree(port))) fail(`port ${port} on 127.0.0.1 is in use: is the mail system running already? (${root}/bin/postfix -c ${instance}/etc status)`);
  const mail = startMail();
  let stopping = false;
  let delivered = false;
  const ended = new Promise((resolve) => mail.on('exit', (status) => resolve(status)));
  ended.then((status) => {
    if (stopping) return;
    if (!delivered || status !== 0) fail(`the mail system ended (status ${status}); see above and ${instance}/maillog`);
    console.log('postern: the mail system was stopped');
    process.exit(0);
  });
  const stop = () => {
    stopping = true;
    mail.kill('SIGTERM');
    return ended;
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop().then(() => process.exit(0)));

  const before = mailFiles();
  console.log(`\npostern: a message from me@${domain} to ${recipient}, through port ${port}:\n`);
  const queueId = await sendMessage({ port, sender: `me@${domain}`, recipient, show: (line) => console.log(`    ${line}`) })
    .catch(async (error) => { await stop(); fail(`the message was not accepted: ${error.message}`); });
  const [file] = await waitFor(() => { const files = newFiles(before); return files.length > 0 && files; })
    .catch(async () => { await stop(); fail(`the message did not arrive below ${instance}/mail; see ${instance}/maillog`); });
  const logged = () => readFileSync(`${instance}/maillog`, 'latin1').split('\n').filter((line) => line.includes(queueId));
  await waitFor(() => logged().some((line) => line.endsWith(': removed'))).catch(() => undefined);
  console.log(`\npostern: delivered to ${file}\n\n${indent(readFileSync(file, 'latin1'))}\n\npostern: what the log says of it\n\n${indent(logged().join('\n'))}`);
  delivered = true;
  if (once) {
    await stop();
    process.exit(0);
  }
  howToGoOn(port);
  followLog();
}

main().catch((error) => fail(error.stack ?? String(error)));
