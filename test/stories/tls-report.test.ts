/** Reports of what became of TLS (RFC 8460): the datagrams that a collector gets, and the log, for domains that ask for them. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { daemon } from '../../src/daemons/smtp/smtp.ts';
import { Bench } from '../../src/delivery/testing.ts';
import { listenUnix } from '../../src/host/sockets.ts';
import type { DeliveryRequest } from '../../src/ipc/deliver.ts';
import { sendOption } from '../../src/message/envelope-names.ts';
import { fakeNameServer } from '../../src/network/testing.ts';
import type { Service } from '../../src/server/daemon.ts';
import { makeCertificates, Peer, type PeerOptions } from '../tls-peers.ts';
import { noOpenssl } from '../tls-scene.ts';

type Agent = Parameters<Bench['deliver']>[0] & Service;
type Report = { readonly d: string; readonly pr: string; readonly policies: readonly { readonly 'failure-details'?: readonly object[] }[] };

const place = mkdtempSync(`${tmpdir()}/postern-tls-report-`);
before(() => { if (!noOpenssl) makeCertificates(place); });
after(() => rmSync(place, { recursive: true }));

const record = 'v=TLSRPTv1; rua=mailto:tls@one.example';
const texts: Readonly<Record<string, readonly string[]>> = { '_smtp._tls.one.example': [record, 'something else'], '_smtp._tls.two.example': [record, record], '_smtp._tls.odd.example': ['v=TLSRPTv1'] };
const dns = await fakeNameServer(({ name, type }) => {
  if (type === 'A') return { answers: [{ name, type, class: 'IN', ttl: 0, data: '127.0.0.1' }] as never };
  const found = type === 'TXT' ? texts[name] : undefined;
  return found ? { answers: found.map((data) => ({ name, type, class: 'IN', ttl: 0, data: [data] })) as never } : { rcode: 'NXDOMAIN' };
});
after(() => dns[Symbol.asyncDispose]());

async function told(main: string, options: PeerOptions, request: Partial<DeliveryRequest> & { readonly domain?: string } = {}, times = 1): Promise<{ reports: Report[]; lines: string[] }> {
  const { domain = 'one.example', ...rest } = request;
  const peer = await Peer.listen(place, options, '127.0.0.1');
  const bench = new Bench({
    row: 'smtp unix - - n - - smtp',
    main: `resolver_configuration = DIR/resolv.conf\nsmtp_tls_CAfile = ${place}/ca.pem\nsmtp_tlsrpt_enable = yes\nsmtp_tlsrpt_socket_name = DIR/collector\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_verify_cert_match = mail.peer.test\n${main}`.replaceAll('NEXTHOP', `${domain}:${peer.port}`),
  });
  writeFileSync(`${bench.directory}/resolv.conf`, `nameserver 127.0.0.1:${dns.port}\n`);
  const collector = listenUnix(`${bench.directory}/collector`, { mode: 0o666, kind: 'dgram' });
  const agent = await daemon.open(bench.tools as never) as Agent;
  try {
    let lines: string[] = [];
    for (let count = 0; count < times; count++) ({ lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: `${domain}:${peer.port}`, ...rest } }));
    const reports: Report[] = [];
    // The socket does not wait: what was reported is there.
    for (const bytes = Buffer.alloc(65536); ;) {
      try {
        reports.push(JSON.parse(bytes.toString('latin1', 0, readSync(collector, bytes))) as Report);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        return { reports, lines };
      }
    }
  } finally {
    closeSync(collector);
    await agent.drain?.(true);
    await peer.close();
    bench.remove();
  }
}

const hello = '250-mail.peer.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS';
const where = { s: '127.0.0.1', n: 'one.example', h: hello, r: '127.0.0.1' };

describe('reports', { skip: noOpenssl }, () => {
  for (const [name, main, options, result] of [
    ['a good server', 'smtp_tls_security_level = secure', {}, { t: 0, f: 0 }],
    ['any server', 'smtp_tls_security_level = may', { certificate: 'self' }, { t: 0, f: 0 }],
    ['no STARTTLS', 'smtp_tls_security_level = encrypt', { plain: true }, { 'failure-details': [{ c: 201, ...where, h: '250-mail.peer.test\r\n250-PIPELINING\r\n250 8BITMIME' }], t: 1, f: 1 }],
    ['STARTTLS refused', 'smtp_tls_security_level = may', { startTls: '454 4.7.0 no' }, { 'failure-details': [{ c: 201, ...where }], t: 1, f: 1 }],
    ['the wrong name', 'smtp_tls_security_level = verify', { certificate: 'wrong' }, { 'failure-details': [{ c: 202, ...where }], t: 1, f: 1 }],
    ['an expired certificate', 'smtp_tls_security_level = verify', { certificate: 'expired' }, { 'failure-details': [{ c: 204, ...where }], t: 1, f: 1 }],
    ['nobody vouches', 'smtp_tls_security_level = secure', { certificate: 'self' }, { 'failure-details': [{ c: 205, ...where, f: 'self-signed_certificate' }], t: 1, f: 1 }],
    ['the handshake fails', 'smtp_tls_security_level = may', { handshake: 'close' }, { 'failure-details': [{ c: 205, ...where, f: 'tls-handshake-failure' }], t: 1, f: 1 }],
  ] as const) {
    test(name, async () => {
      const { reports, lines } = await told(`${main}\n`, options as PeerOptions);
      assert.deepEqual(reports, [{ dpv: '1', d: 'one.example', pr: record, policies: [{ 'policy-type': 9, 'policy-domain': 'one.example', ...result }] }]);
      assert.ok(lines.some((line) => line.startsWith(`TLSRPT: status=${result.f === 0 ? 'success' : 'failure'}, domain=one.example, receiving_mx=one.example[127.0.0.1]`)), lines.join('\n'));
    });
  }

  const sts = 'smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{{NEXTHOP = secure match=mail.peer.test servername=hostname policy_type=sts policy_domain=one.example policy_ttl=100 {policy_string = version: STSv1} {policy_string = mode: enforce} mx_host_pattern=*.example EXTRA}}\nsmtp_tls_enforce_sts_mx_patterns = no\n';
  test('a policy of MTA-STS', async () => {
    const { reports } = await told(sts.replace('EXTRA', ''), {});
    assert.deepEqual(reports[0]!.policies, [{ 'policy-type': 2, 'policy-domain': 'one.example', 'policy-string': ['version: STSv1', 'mode: enforce'], 'mx-host': ['*.example'], t: 0, f: 0 }]);
  });

  test('a policy of MTA-STS that is wrong itself: nothing is sent', async () => {
    const { reports, lines } = await told(sts.replace('EXTRA', 'policy_failure=sts-webpki-invalid'), {});
    assert.deepEqual(reports[0]!.policies[0]!['failure-details'], [{ c: 303, ...where }]);
    assert.ok(lines.some((line) => line.includes('external policy failure (sts-webpki-invalid)')));
    assert.match(lines.at(-1)!, /status=deferred \(Server certificate not verified\)/);
  });

  test('a server that its policy does not name is not spoken to', async () => {
    const { reports, lines } = await told(sts.replace('EXTRA', '').replace('*.example', 'mx.other.example').replace('_patterns = no', '_patterns = yes'), {});
    assert.deepEqual(reports, []);
    assert.match(lines[0]!, /^warning: MX name 'one\.example' does not match STS MX pattern for 'one\.example'$/);
    assert.match(lines.at(-1)!, /relay=none, .*status=deferred/);
  });

  test('nobody is told what nobody asked for', async () => {
    for (const [main, request] of [
      ['smtp_tls_security_level = may\n', { domain: 'two.example' }], ['smtp_tls_security_level = may\n', { domain: 'odd.example' }], ['smtp_tls_security_level = may\n', { domain: 'none.example' }],
      ['smtp_tls_security_level = may\n', { smtputf8: sendOption.requireTlsHeader }], ['smtp_tls_security_level = may\nsmtp_tlsrpt_enable = no\n', {}], ['smtp_tls_security_level = none\n', {}],
    ] as const) assert.deepEqual((await told(main, {}, request)).reports, []);
  });

  test('a session that is resumed: reported, unless smtp_tlsrpt_skip_reused_handshakes', async () => {
    const main = 'smtp_tls_security_level = may\nsmtp_tls_session_cache_database = btree:x\n';
    assert.equal((await told(main, {}, {}, 2)).reports.length, 2);
    assert.equal((await told(`${main}smtp_tlsrpt_skip_reused_handshakes = yes\n`, {}, {}, 2)).reports.length, 1);
  });

  test('a collector that is gone costs nothing but a line in the log', async () => {
    const { lines } = await told('smtp_tls_security_level = may\nsmtp_tlsrpt_socket_name = DIR/nobody\n', {});
    assert.ok(lines.includes('warning: Could not report TLS handshake result to tlsrpt library: No such file or directory (errno 2)'), lines.join('\n'));
    assert.match(lines.at(-1)!, /status=sent/);
  });
});
