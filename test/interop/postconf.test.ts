/** postconf(1), option by option: what ours prints, complains of, ends with and leaves in the files is what Debian's does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cardOf, parameterNames } from '../../src/parameters/parameters.ts';
import { earlier, noRealPostconf, PostconfPair, realHas, type Answer } from '../postconf-pair.ts';

const mainCf = `# first
compatibility_level = 3.6
myhostname = mail.example.org
mydestination = $myhostname,
  # inside
  localhost

# last
smtpd_banner = $myhostname  hello
mynetworks = 127.0.0.0/8
foo = bar
smtpd_baner = misprint
alias_maps = mysql:people, proxy:pgsql:q, ldap:CONFIG_DIR/ldap.cf
people_hosts = a
people_oops = b
smtpd_restriction_classes = one, two
one = permit
relay_domains = $nobody \${stress?{a}:{b}} \${foo?yes} \${{$compatibility_level} <level {3} ? {old} : {new}}
stress =
process_id = 44
header_checks = regexp:{{/#foo/ OK}}
uucp_destination_recipient_limit = 1
`;

const masterCf = `# services
smtp inet n - n - - smtpd
127.0.0.1:smtp inet n - y - 4 smtpd -o two=reject -o one=
#smtps inet n - n - - smtpd
submission inet n - n - 5 smtpd
  -o syslog_name=postfix/submission -vo mine=1
# between
  -o { smtpd_reject_footer = call us } -o smtpd_banner=$mine -o zork=$gork
uucp unix - n n - - pipe
  flags=F user=uucp argv=uux -r - { a b } $recipient
foo unix - - n - - smtp -D -v
relay unix - - n - - smtp -o smtp_helo_timeout=\${stress?5}\${stress:10}
spawny unix - n n - - spawn user=nobody argv=/bin/true
pickup fifo n - n 60? 1 pickup
`;

const pair = (): PostconfPair => new PostconfPair(mainCf, masterCf, { 'ldap.cf': 'search_base = x\nserch_base = y\n' });

const same = (title: string, argv: readonly string[], options: { readonly skip?: string | false; readonly but?: (answer: Answer) => Answer } = {}): void => {
  const skip = noRealPostconf || options.skip;
  if (skip) return void test(title, { skip });
  const place = pair();
  const later = place.theirs(...argv);
  test(title, async () => {
    const [ours, theirs] = [await place.ours(...argv), await later].map(options.but ?? earlier);
    assert.deepEqual(ours, theirs);
  });
};

/** The same option, in words that a shell would split. */
const cases = (lines: string): string[][] => lines.split('\n').map((line) => line.trim()).filter((line) => line !== '').map((line) => line.split(' '));

for (const argv of cases(`
  -n
  -nx
  -nf
  -nh
  -nxh
  -nH
  -n foo zork myorigin
  -h myhostname mydomain myorigin
  -H myorigin mydomain
  -d smtpd_banner append_dot_mydomain mydestination
  -d foo
  -x relay_domains smtpd_banner
  -hx relay_domains uucp_destination_recipient_limit uucp_time_limit foo_destination_concurrency_limit
  -f mydestination smtpd_banner proxy_interfaces
  -C user
  -C service
  -C service,USER -f
  -n -C builtin
  -p -C user
  -M -C user
  -o foo=zork -n foo
  -o myhostname=a.b -xh smtpd_banner
  -o foo -n
  -o = -n
  -o process_id=3 -n
  -l
  -M
  -Mf
  -Mx
  -Mxf
  -M smtp
  -M smtp/inet
  -M */unix
  -M nothing
  -M smtp/unix
  -M smtp/inet/x
  -M s*
  -M /inet
  -F
  -Fh
  -FH
  -Ff
  -Fx
  -F smtp
  -F smtp/inet/chroot uucp
  -F */*/command
  -F */unix/chroot -h
  -P
  -Ph
  -PH
  -Px
  -P submission
  -P submission/inet/mine
  -P */inet/syslog_name
  -P nothing/inet
  -P submission/inet/nothing
  -n -d
  -d -e
  -e -X
  -f -e a=b
  -x -X a
  -h -H
  -M -h
  -M -X
  -M -P
  -p -M
  -a -b
  -e
  -X
  -#
  -X a=b
  -e =x
  -e x
  -c
  -T run-version -n
`)) same(`postconf ${argv.join(' ')}`, argv, { but: argv.length === 1 && argv[0] === '-c' ? withoutUsage : earlier });

// The list of options grew with the releases.
function withoutUsage(answer: Answer): Answer {
  return { ...answer, stderr: answer.stderr.map((line) => line.replace(/usage: .*/, 'usage')) };
}

const since11 = !realHas(11) && 'Postfix has this since 3.11';
const since9 = !realHas(9) && 'Postfix has this since 3.9';

for (const argv of cases('-nj\n-jx relay_domains smtpd_banner\n-Mj\n-Mxj\n-Fj\n-Pj\n-Pxj\n-j -f\n-jh\n-jH')) same(`postconf ${argv.join(' ')}`, argv, { skip: since11 });
for (const argv of cases('-nq\n-q -M')) same(`postconf ${argv.join(' ')}`, argv, { skip: since9 });
for (const argv of cases('-PP submission/inet/mine\n-PPx */*/process_name\n-PPh */*/service_name\n-PP foo/unix/foo')) same(`postconf ${argv.join(' ')}`, argv, { skip: !realHas(12) && 'Postfix has this since 3.12' });

for (const argv of [
  ['-e', 'a=3'], ['-e', 'x=1', 'b = 2  ', 'foo=3'], ['x=1'], ['-e', ' x = 1'], ['-e', 'mydestination='], ['-e', 'mydestination'], ['-e', 'a=b\nc'], ['-e', '#x=1'], ['-e', '=1'],
  ['-e', 'x=1', 'x=2', 'x=2'], ['-e', 'x=$y{z}'], ['-e', 'smtpd_banner=  a   b '], ['-p', 'x=1'], ['-X', 'foo'], ['-X', 'foo', 'nothing'], ['-X', ''], ['-X', '#a'],
  ['-#', 'foo'], ['-#', 'mydestination'], ['-#', 'nothing'], ['-#', 'a=1'],
  ['-M', 'smtp/inet=smtp inet n - n - 9 smtpd -o x=y'], ['-M', 'smtp/inet=other inet n - n - 9 smtpd'], ['-M', 'new/unix=smtp inet n - n - 9 smtpd'],
  ['-M', 'new/unix=new unix - - n - - local', 'n2/unix = n2 unix - - - - - local a b { c d } -o'], ['-M', '*/inet=x inet n - n - - y'], ['-M', 'smtp=smtp inet n - n - - x'],
  ['-M', 'smtp/inet=smtp inet n - n'], ['-M', 'smtp/inet=smtp inet n - n - - smtpd -o { a = b c } -o {x=y}'], ['-M', 'smtp/inet=smtp inet q - n - - smtpd'],
  ['-M', 'smtp/inet=smtp inet n - n - -5 smtpd'], ['-M', 'smtp/inet=smtp tcp n - n - - smtpd'], ['-M', 'smtp/inet=smtp inet n - n - - smtpd\n -o a=b'], ['-M', '#smtp/inet=smtp inet n - n - - smtpd'],
  ['-MX', 'smtp/inet'], ['-MX', '*/*'], ['-MX', 'submission/inet', 'uucp/unix'], ['-MX', 'nothing/inet'], ['-MX', 'smtp/inet=x'], ['-M#', 'submission/inet'], ['-M#', '*/unix'], ['-MX', 'smtp'],
  ['-F', 'uucp/unix/chroot=y'], ['-F', '*/unix/chroot=y', '*/unix/private=-'], ['-F', 'smtp/inet/chroot=x'], ['-F', 'smtp/inet/chroot=y n'], ['-F', 'smtp/inet/*=y'], ['-F', 'smtp/inet=y'],
  ['-F', 'smtp/inet/foo=y'], ['-F', 'nothing/inet/chroot=y'], ['-F', 'foo/unix/type=zz'], ['-F', 'foo/unix/service=zz'], ['-F', 'foo/unix/command=smtp -o a=b c'], ['-FX', 'smtp/inet/chroot'],
  ['-P', 'submission/inet/mine=2'], ['-P', 'submission/inet/new=2', 'submission/inet/new2=3'], ['-P', '*/unix/x=y'], ['-P', 'smtp/inet/x=a b'], ['-P', 'smtp/inet/*=y'], ['-P', 'smtp/inet=y'],
  ['-PX', 'submission/inet/mine'], ['-PX', 'submission/inet/mine', 'submission/inet/syslog_name'], ['-PX', 'submission/inet/nothing'], ['-PX', 'nothing/inet/mine'], ['-P#', 'submission/inet/mine'],
]) same(`postconf ${JSON.stringify(argv)}`, argv, { skip: argv.filter((word) => word.includes('=')).length > 1 && argv[0] === '-e' && since9 });

/** All four, so that nothing built in is compared: its words are our own. */
const templates = `# templates of an administrator
failure_template = <<END_1
Charset: utf-8
From: Post <post@example.org>
Subject: Not delivered
Postmaster-Subject: Copy: not delivered

Gr\xc3\xbc\xc3\x9fe, $myhostname ($mail_name) $$1 \${nothing:x}

END_1
delay_template = <<END
Waiting for $delay_warning_time_hours h, until $maximal_queue_lifetime_days d.
END

success_template = Arrived.
verify_template = <<END
Charset: us-ascii
Subject: Report
Foo: unusable

text
END
verify_template = <<END
Subject: Report

Here it is: $mydomain.
END
`;

for (const option of ['-b', '-t']) {
  test(`postconf ${option} FILE`, { skip: noRealPostconf }, async () => {
    const daemons = process.env['POSTFIX_DAEMONS'] === undefined ? '' : `daemon_directory = ${process.env['POSTFIX_DAEMONS']}\n`;
    const place = new PostconfPair(`${daemons}compatibility_level = 3.6\nmyhostname = mail.example.org\ndelay_warning_time = 4h\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n`, '', { templates });
    const [ours, theirs] = [await place.ours(option, 'CONFIG_DIR/templates'), await place.theirs(option, 'CONFIG_DIR/templates')];
    assert.deepEqual([ours.status, ours.stdout], [theirs.status, theirs.stdout]);
    assert.match(ours.stdout, option === '-b' ? /Waiting for 4 h, until 5 d/ : /Waiting for \$delay/);
  });
}

/** Where ours is not as the real one, on purpose. */
for (const [title, argv, ours, theirs] of [
  ['comments behind a row stay behind it', ['-F', '127.0.0.1:smtp/inet/chroot=n'], /chroot|- +n +- +4 +smtpd[^]*#smtps/, /#smtps[^]*- +n +- +4 +smtpd/],
  ['an argument with a blank keeps its braces when the command changes', ['-F', 'foo/unix/command=pipe -o a=b { b c }'], /\{b c\}/, /[^{]b c[^}]/],
  ['an argument whose braces are wrong is refused', ['-M', 'foo/unix=foo unix - - n - - smtp {a'], /foo unix - - n - - smtp -D -v/, /foo +unix .* smtp a\n/],
  ['an empty column is refused', ['-F', 'foo/unix/process_limit='], /foo unix - - n - - smtp -D -v/, /foo +unix +- +- +n +- +smtp -D/],
] as const) test(title, { skip: noRealPostconf }, async () => {
  const place = pair();
  assert.match((await place.ours(...argv)).masterCf, ours);
  assert.match((await place.theirs(...argv)).masterCf, theirs);
});

/** What differs between the defaults of Debian's 3.7 and ours: the path of a distribution, a later release of Postfix, or a choice of ours. */
const changes: ReadonlyMap<string, string> = new Map([
  ...['daemon_directory', 'html_directory', 'manpage_directory', 'readme_directory', 'shlib_directory'].map((name) => [name, 'a path of Debian'] as const),
  ...['mail_version', 'mail_release_date', 'process_id'].map((name) => [name, 'who we are'] as const),
  ...['default_database_type', 'default_cache_db_type', 'address_verify_map', 'alias_database', 'alias_maps', 'postscreen_cache_map'].map((name) => [name, 'Postfix 3.11: no type of table is presumed'] as const),
  ...['smtp_tls_dane_insecure_mx_policy', 'smtp_tls_security_level', 'milter_default_action', 'import_environment', 'proxy_read_maps'].map((name) => [name, 'Postfix 3.8 to 3.12'] as const),
  ...['smtpd_forbid_bare_newline', 'smtpd_forbid_unauth_pipelining'].map((name) => [name, 'Postfix 3.9'] as const),
  ...['tls_eecdh_auto_curves', 'tls_export_cipherlist', 'tls_high_cipherlist', 'tls_low_cipherlist', 'tls_medium_cipherlist', 'tls_null_cipherlist'].map((name) => [name, 'Postfix 3.8 and 3.9'] as const),
  ...['tlsproxy_client_policy_maps', 'tlsproxy_client_security_level'].map((name) => [name, 'Postfix 3.11: the same, in braces'] as const),
]);

const removed = ['tls_legacy_public_key_fingerprints', 'tlsproxy_client_loglevel_parameter'];

test('all names and defaults, as -d prints them', { skip: noRealPostconf }, async () => {
  const place = new PostconfPair('compatibility_level = 3.6\n', masterCf);
  const [ours, theirs] = [values((await place.ours('-d')).stdout), values((await place.theirs('-d')).stdout)];
  const missing = [...theirs.keys()].filter((name) => !ours.has(name));
  assert.deepEqual(missing.filter((name) => !removed.includes(name)), []);
  const different = [...theirs].filter(([name, value]) => ours.has(name) && ours.get(name) !== value && !changes.has(name));
  assert.deepEqual(different, []);
  const added = [...ours.keys()].filter((name) => !theirs.has(name) && !cardOf(name)?.ours && !realHas(12));
  assert.deepEqual(added.filter((name) => Number((cardOf(name)?.since ?? '0').slice(2)) < 8), []);
});

function values(text: string): ReadonlyMap<string, string> {
  return new Map(text.split('\n').slice(0, -1).map((line) => [line.slice(0, line.indexOf(' =')), line.slice(line.indexOf(' =') + 2)] as const));
}

test('every parameter is a word of -d', async () => {
  const { stdout } = await new PostconfPair('').ours('-d');
  const printed = values(stdout);
  assert.deepEqual(parameterNames().filter((name) => !printed.has(name)), []);
});
