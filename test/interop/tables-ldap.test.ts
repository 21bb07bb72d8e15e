/** ldap_table(5) with a real OpenLDAP, and with Debian's postmap on the same settings. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { entries } from '../../src/tables/suite-cases.ts';
import { noTableServer, startSlapd } from '../table-servers.ts';
import { comparePostmap, debianHas, isTrouble, playCases, playHostileKeys, tableStage } from '../table-stage.ts';

const stage = tableStage();
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

describe('ldap', { skip: noTableServer('slapd') }, () => {
  let server: Awaited<ReturnType<typeof startSlapd>>;

  before(async () => {
    server = await startSlapd();
    const person = (name: string, lines: string): string => `dn: cn=${name},dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: mailUser\nsn: x\ncn: ${name}\n${lines}\n`;
    server.add([
      ...entries.map(([key, value], at) => person(`entry${at}`, `mailacceptinggeneralid:: ${base64(key)}\nmaildrop:: ${base64(value)}\n`)),
      person('joe', 'mailacceptinggeneralid: joe@example.com\nmaildrop: joe\nmail: joe@mail.example\nuserPassword: geheim\n'),
      person('ann', 'mailacceptinggeneralid: ann@example.com\nmaildrop: ann1\nmaildrop: ann2\nmail: ann@mail.example\n'),
      person('team', 'mailacceptinggeneralid: team@example.com\nmail: team@mail.example\nmember: cn=joe,dc=example,dc=org\nmember: cn=ann,dc=example,dc=org\nmember: cn=gone,dc=example,dc=org\n'),
      person('urls', 'mailacceptinggeneralid: urls@example.com\nmemberurl: ldap:///dc=example,dc=org?mail?sub?(cn=joe)\n'),
      person('loop', 'mailacceptinggeneralid: loop@example.com\nmember: cn=loop,dc=example,dc=org\n'),
      'dn: dc=sub,dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Sub\ndc: sub\n\n',
      'dn: cn=inner,dc=sub,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: mailUser\nsn: x\ncn: inner\nmailacceptinggeneralid: inner@sub.example.org\nmaildrop: inner\n\n',
    ].join('\n'));
  }, { timeout: 60_000 });

  after(async () => {
    await server?.remove();
    stage.remove();
  });

  const at = (): string => `server_host = ${server.uri}\nversion = 3\nsearch_base = dc=example,dc=org\n`;

  test('every case of every table, over TCP and over a socket', async () => {
    const uri = `ldapi://${encodeURIComponent(server.socket)}`;
    for (const host of [at(), at().replace(server.uri, uri)]) {
      const table = stage.open(`ldap:${stage.write(`${host}query_filter = (mailacceptinggeneralid=%s)\n`)}`);
      await playCases(table);
      await playHostileKeys(table);
      table.close();
    }
  });

  const settings: readonly (readonly [why: string, lines: string, keys: readonly string[]])[] = [
    ['defaults', '', ['joe@example.com', 'ann@example.com', 'none']],
    ['a filter of several parts', 'query_filter = (&(objectClass=mailUser)(|(mail=%s)(mailacceptinggeneralid=%u@%d)))\nresult_attribute = mail\n', ['joe@example.com', 'ann@mail.example', 'none', 'x@none']],
    ['several attributes', 'result_attribute = mail, maildrop\n', ['joe@example.com', 'ann@example.com']],
    ['result_format', 'result_attribute = mail\nresult_format = %u at %d for %S\n', ['joe@example.com']],
    ['the old result_filter', 'result_attribute = mail\nresult_filter = <%s>\n', ['joe@example.com']],
    ['members', 'result_attribute = mail\nspecial_result_attribute = member\n', ['team@example.com', 'joe@example.com']],
    ['members, leaves only', 'result_attribute =\nleaf_result_attribute = mail\nspecial_result_attribute = member\n', ['team@example.com', 'joe@example.com']],
    ['a terminal attribute', 'terminal_result_attribute = mail\nresult_attribute = maildrop\nspecial_result_attribute = member\n', ['team@example.com', 'ann@example.com']],
    ['URLs', 'result_attribute = mail, maildrop\nspecial_result_attribute = memberurl\n', ['urls@example.com']],
    ['a circle', 'result_attribute = mail\nspecial_result_attribute = member\nrecursion_limit = 5\n', ['loop@example.com']],
    ['expansion_limit', 'expansion_limit = 1\n', ['ann@example.com', 'joe@example.com']],
    ['size_limit', 'query_filter = (|(mailacceptinggeneralid=%s)(cn=*))\nsize_limit = 2\n', ['joe@example.com']],
    ['a base made of the key', 'search_base = dc=%3,dc=%2,dc=%1\n', ['inner@sub.example.org', 'inner@none.example.org', 'inner@example.org']],
    ['a base that is not there', 'search_base = dc=none\n', ['joe@example.com']],
    ['scope one', 'scope = one\n', ['joe@example.com', 'inner@sub.example.org']],
    ['scope base', 'scope = base\nsearch_base = cn=joe,dc=example,dc=org\n', ['joe@example.com', 'ann@example.com']],
    ['domain', 'domain = example.com\n', ['joe@example.com', 'inner@sub.example.org']],
    ['bound', 'bind = yes\nbind_dn = cn=joe,dc=example,dc=org\nbind_pw = geheim\n', ['joe@example.com']],
    ['not bound', 'bind = no\n', ['joe@example.com']],
    ['a wrong password', 'bind_dn = cn=joe,dc=example,dc=org\nbind_pw = falsch\n', ['joe@example.com']],
    ['a bad filter', 'query_filter = (mailacceptinggeneralid=%s\n', ['joe@example.com']],
    ['several servers', 'server_host = ldap://127.0.0.1:1 SERVER\n', ['joe@example.com']],
    ['a name and a port', 'server_host = 127.0.0.1\nserver_port = PORT\n', ['joe@example.com']],
  ];
  describe("settings, as Debian's Postfix has them", { concurrency: 6, skip: debianHas('ldap') ? false : 'postfix-ldap is not installed' }, () => {
    for (const [why, lines, keys] of settings) {
      test(why, async () => {
        const own = lines.replace('SERVER', server.uri).replace('PORT', String(server.port));
        const file = stage.write(at().split('\n').filter((line) => !own.includes(`${line.split(' =')[0]} =`)).join('\n') + own);
        await comparePostmap(stage, `ldap:${file}`, keys);
      });
    }
  });

  test('PLAIN and EXTERNAL are what we know of SASL', async () => {
    await isTrouble(() => stage.open(`ldap:${stage.write(`${at()}bind = sasl\nsasl_mechs = GSSAPI\n`)}`).find('x'), /only PLAIN and EXTERNAL are supported/);
  });

  test('a server that is down is trouble, and asked again when it is back', async () => {
    const table = stage.open(`ldap:${stage.write(at())}`);
    assert.equal(await table.find('joe@example.com'), 'joe');
    await server.end();
    await isTrouble(() => table.find('joe@example.com'), /ECONNREFUSED|contact|closed/);
    await server.start();
    assert.equal(await table.find('joe@example.com'), 'joe');
    table.close();
  });
});
