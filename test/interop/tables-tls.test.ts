/** Tables on servers by way of TLS: encrypted when that is asked for, and no further than the certificate allows; and who we say we are. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { noTableServer, startMariaDb, startPostgres, startRedis, startSlapd } from '../table-servers.ts';
import { isTrouble, tableStage } from '../table-stage.ts';

const stage = tableStage();
after(() => stage.remove());

async function found(type: string, lines: string, key = 'joe'): Promise<string | undefined> {
  const table = stage.open(`${type}:${stage.write(lines)}`);
  try {
    return await table.find(key);
  } finally {
    table.close();
  }
}

test('mysql', { skip: noTableServer('mariadb') }, async (t) => {
  const [server, other] = await Promise.all([startMariaDb({ tls: true }), startMariaDb()]);
  t.after(() => Promise.all([server.remove(), other.remove()]));
  server.sql("CREATE DATABASE mail; CREATE USER 'mail'@'%' IDENTIFIED BY 'geheim' REQUIRE SSL; GRANT SELECT ON mail.* TO 'mail'@'%';");
  const login = `hosts = 127.0.0.1:${server.port}\nuser = mail\npassword = geheim\ndbname = mail\nquery = SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version' AND '%s' = 'joe'\n`;
  await isTrouble(() => found('mysql', login), /Access denied/);
  assert.match((await found('mysql', `${login}tls_CAfile = ${server.certificate}\n`))!, /^TLSv1/);
  assert.match((await found('mysql', `${login}tls_CAfile = ${server.certificate}\ntls_verify_cert = yes\n`))!, /^TLSv1/);
  await isTrouble(() => found('mysql', `${login}tls_CAfile = ${other.certificate}\ntls_verify_cert = yes\n`), /self-signed|certificate/);
  await isTrouble(() => found('mysql', `${login}tls_CAfile = /nowhere\n`), /ENOENT|No such file/);
});

test('pgsql', { skip: noTableServer('postgres') }, async (t) => {
  const [server, other] = await Promise.all([startPostgres({ tls: true }), startPostgres()]);
  t.after(() => Promise.all([server.remove(), other.remove()]));
  server.sql("CREATE ROLE joe LOGIN PASSWORD 'geheim'");
  const query = "query = SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND '%s' = 'joe'\n";
  const uri = (mode: string, certificate: string): string => `hosts = postgresql://mail@127.0.0.1:${server.port}/mail?sslmode=${mode}&sslrootcert=${certificate}\n${query}`;
  assert.match((await found('pgsql', `hosts = 127.0.0.1:${server.port}\nuser = mail\ndbname = mail\n${query}`))!, /^TLSv1/, 'where the server can');
  assert.match((await found('pgsql', uri('verify-full', server.certificate)))!, /^TLSv1/);
  await isTrouble(() => found('pgsql', uri('verify-full', other.certificate)), /self-signed|certificate/);
  assert.equal(await found('pgsql', uri('disable', server.certificate)), undefined);
  await isTrouble(() => found('pgsql', `hosts = postgresql://mail@127.0.0.1:${other.port}/mail?sslmode=require\n${query}`), /does not support SSL/);
});

test('ldap', { skip: noTableServer('slapd') }, async (t) => {
  const [server, other] = await Promise.all([startSlapd({ tls: true }), startSlapd()]);
  t.after(() => Promise.all([server.remove(), other.remove()]));
  const base = 'version = 3\nsearch_base = dc=example,dc=org\nquery_filter = (o=%s)\nresult_attribute = o\n';
  const verified = (certificate: string): string => `${base}tls_require_cert = yes\ntls_ca_cert_file = ${certificate}\n`;
  for (const lines of [`server_host = ${server.uri}\nstart_tls = yes\n`, `server_host = ${server.secureUri}\n`]) {
    assert.equal(await found('ldap', `${lines}${base}`, 'example'), 'Example');
    assert.equal(await found('ldap', `${lines}${verified(server.certificate)}`, 'example'), 'Example');
    await isTrouble(() => found('ldap', `${lines}${verified(other.certificate)}`, 'example'), /self-signed|certificate/);
  }
  await isTrouble(() => found('ldap', `server_host = ${other.uri}\nstart_tls = yes\n${base}`, 'example'), /unsupported extended operation/);
  // Who comes over the socket is who the kernel says.
  assert.equal(await found('ldap', `server_host = ldapi://${encodeURIComponent(server.socket)}\nbind = sasl\nsasl_mechs = EXTERNAL\n${base}`, 'example'), 'Example');
});

test('redis', { skip: noTableServer('redis') }, async (t) => {
  const [server, other] = await Promise.all([startRedis({ tls: true }), startRedis()]);
  t.after(() => Promise.all([server.remove(), other.remove()]));
  server.redis('SET', 'joe', 'found');
  const lines = (certificate: string): string => `hosts = localhost:${server.securePort}\npassword = secret\ntls_CAfile = ${certificate}\n`;
  assert.equal(await found('redis', lines(server.certificate)), 'found');
  await isTrouble(() => found('redis', lines(other.certificate)), /self-signed|certificate/);
  assert.equal(await found('redis', `${lines(other.certificate)}tls_verify_cert = no\n`), 'found');
});
