import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test, { after } from 'node:test';
import { inetEndpoint, endpoint } from './endpoint.ts';
import { ldapHost } from './ldap-host.ts';
import { parseLdapUrl } from './ldap-url.ts';
import { mysqlHost } from './mysql-host.ts';
import { optionFile } from './mysql-options.ts';
import { pgsqlHosts } from './pgsql-host.ts';
import { readSettings } from './settings.ts';

const folder = mkdtempSync(`${tmpdir()}/settings-`);
after(() => rmSync(folder, { recursive: true }));

const context = (parameters: Record<string, string> = {}) => ({ parameter: (name: string) => new Map(Object.entries(parameters)).get(name) ?? '', warn: () => undefined });

test('a file: comments, continuation, no $name', () => {
  writeFileSync(`${folder}/a.cf`, '# comment\nquery = SELECT $x\n  FROM y\n\nnumber=7\nflag = YES\nempty =\n');
  const settings = readSettings(`${folder}/a.cf`, context());
  assert.equal(settings.text('query'), 'SELECT $x  FROM y');
  assert.deepEqual([settings.number('number', 1), settings.number('other', 1), settings.flag('flag', false), settings.flag('none', undefined)], [7, 1, true, undefined]);
  assert.deepEqual([settings.given('empty'), settings.text('empty', 'x'), settings.text('missing', 'x')], [undefined, '', 'x']);
});

test('names in main.cf', () => {
  const settings = readSettings('shop', context({ shop_user: 'joe' }));
  assert.deepEqual([settings.file, settings.text('user'), settings.text('password', 'none')], [undefined, 'joe', 'none']);
});

test('what makes no sense says where', () => {
  const file = `${folder}/b.cf`;
  writeFileSync(file, 'n = x\nb = maybe\ns =\nsmall = 0\n');
  const settings = readSettings(file, context());
  assert.throws(() => settings.number('n', 1), { message: `${file}: bad numerical configuration: n = x` });
  assert.throws(() => settings.number('small', 1, { min: 1 }), { message: `${file}: invalid small parameter value 0 < 1` });
  assert.throws(() => settings.flag('b', false), { message: `${file}: bad boolean configuration: b = maybe` });
  assert.throws(() => settings.text('s', '', 1), { message: `${file}: bad string length 0 < 1: s = ` });
  assert.throws(() => settings.required('table'), { message: `${file}: 'table' parameter not defined` });
  assert.throws(() => readSettings(`${folder}/none.cf`, context()), { message: `open ${folder}/none.cf: No such file or directory` });
  writeFileSync(file, 'no equals sign\n');
  assert.throws(() => readSettings(file, context()), /b\.cf, line 1: missing '='/);
});

for (const [label, want] of [
  ['unix:/run/x', { path: '/run/x' }],
  ['localhost', { path: '/here' }],
  ['inet:db.example.org', { path: undefined, name: 'db.example.org', port: 3306 }],
  ['192.0.2.1:3307', { path: undefined, name: '192.0.2.1', port: 3307 }],
  ['inet:[2001:db8::1]:3307', { path: undefined, name: '2001:db8::1', port: 3307 }],
] as const) {
  test(`mysql host ${label}`, () => {
    const host = mysqlHost(label, new Map([['socket', '/here']]));
    for (const [name, value] of Object.entries(want)) assert.equal(host[name as keyof typeof host], value, name);
  });
}

for (const [label, want] of [
  ['unix:/run/pg', [{ name: '/run/pg', uri: undefined, isLocal: true }]],
  ['/run/pg', [{ name: '/run/pg', isLocal: true }]],
  ['inet:db:5433', [{ name: 'db', port: 5433, prefersTls: true }]],
  ['postgresql://u@a,b/mail', [{ uri: 'postgresql://u@a/mail' }, { uri: 'postgresql://u@b/mail' }]],
  ['postgresql://a/mail?sslmode=prefer', [{ uri: 'postgresql://a/mail?', prefersTls: true }]],
  ['postgresql://a/mail?sslmode=require', [{ uri: 'postgresql://a/mail?sslmode=require&uselibpqcompat=true', prefersTls: false }]],
] as const) {
  test(`pgsql host ${label}`, () => {
    const hosts = pgsqlHosts([label]);
    assert.equal(hosts.length, want.length);
    for (const [at, each] of want.entries()) for (const [name, value] of Object.entries(each)) assert.equal(hosts[at]![name as keyof typeof hosts[0]], value, name);
  });
}

for (const [label, want] of [
  ['ldap.example.org', { scheme: 'ldap', name: 'ldap.example.org', port: 400 }],
  ['ldap.example.org:1389', { scheme: 'ldap', name: 'ldap.example.org', port: 1389 }],
  ['ldaps://x', { scheme: 'ldaps', name: 'x', port: 636 }],
  ['LDAP://[2001:db8::1]:1389/', { scheme: 'ldap', name: '2001:db8::1', port: 1389 }],
  ['ldapi://%2Frun%2Fldapi', { scheme: 'ldapi', name: '/run/ldapi', isLocal: true }],
  ['http://x', undefined],
] as const) {
  test(`ldap host ${label}`, () => {
    const host = ldapHost(label, 400);
    if (want === undefined) assert.equal(host, undefined);
    else for (const [name, value] of Object.entries(want)) assert.equal(host![name as keyof typeof host], value, name);
  });
}

for (const [text, want] of [
  ['ldap:///dc=example?mail,cn?sub?(cn=a%3fb)', { base: 'dc=example', attributes: ['mail', 'cn'], scope: 'sub', filter: '(cn=a?b)' }],
  ['ldap://host/dc=x', { base: 'dc=x', attributes: [], scope: undefined, filter: '(objectClass=*)' }],
  ['ldap://host', { base: '', attributes: [], scope: undefined, filter: '(objectClass=*)' }],
  ['ldap:///x??tree', undefined],
  ['ldap:///%zz', undefined],
  ['cn=joe', undefined],
] as const) test(`ldap URL ${text}`, () => assert.deepEqual(parseLdapUrl(text), want));

test('endpoints', () => {
  assert.deepEqual(endpoint('inet:a:25', context()).where, { host: 'a', port: 25 });
  assert.deepEqual(endpoint('unix:/x', context()).where, { path: '/x' });
  assert.deepEqual(endpoint('local:private/x', context({ queue_directory: '/q' })).where, { path: '/q/private/x' });
  assert.deepEqual(inetEndpoint('x', '9000', context()).where, { host: 'localhost', port: 9000 });
  assert.throws(() => endpoint('tcp:a:1', context()), /invalid transport name/);
  assert.throws(() => endpoint('inet:a:nosuch', context()), /bad service name/);
});

test('option files: groups, includes, quotes', () => {
  writeFileSync(`${folder}/my.cnf`, `[mysqld]\nuser=daemon\n[client]\nuser = 'joe'\nssl_ca=/ca.pem\n# x\n!include ${folder}/more.cnf\n[mail]\npassword="a b"\n`);
  writeFileSync(`${folder}/more.cnf`, `[client]\nsocket=/s\n!include ${folder}/my.cnf\n`);
  const options = optionFile(`${folder}/my.cnf`, 'mail');
  assert.deepEqual([options.get('user'), options.get('password'), options.get('ssl-ca'), options.get('socket')], ['joe', 'a b', '/ca.pem', '/s']);
  assert.throws(() => optionFile(`${folder}/none.cnf`, 'mail'), /none\.cnf: No such file/);
});
