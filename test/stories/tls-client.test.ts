/**
 * The SMTP client and TLS, told with servers whose certificates are good and bad: mail never leaves in the clear, or to a server that
 * has not shown who it is, where a level forbids it; sessions and connections are used again; what messages ask for is heeded.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { daemon } from '../../src/daemons/smtp/smtp.ts';
import { Bench } from '../../src/delivery/testing.ts';
import { requestFlag, type DeliveryRequest } from '../../src/ipc/deliver.ts';
import { sendOption } from '../../src/message/envelope-names.ts';
import type { Service } from '../../src/server/daemon.ts';
import { digestOf, makeCertificates, Peer, type PeerOptions } from '../tls-peers.ts';
import { noOpenssl } from '../tls-scene.ts';

type Agent = Parameters<Bench['deliver']>[0] & Service;

const place = mkdtempSync(`${tmpdir()}/postern-tls-story-`);
before(() => {
  if (noOpenssl) return;
  makeCertificates(place);
  writeFileSync(`${place}/both.pem`, ['ca', 'otherca'].map((name) => readFileSync(`${place}/${name}.pem`, 'latin1')).join(''));
});
after(() => rmSync(place, { recursive: true }));

interface Stage {
  readonly bench: Bench;
  readonly peer: Peer;
  /** Deliver one message; what the log says, without the queue id and the port. */
  deliver(request?: Partial<DeliveryRequest>): Promise<string[]>;
}

async function stage(main: string, options: PeerOptions, use: (stage: Stage) => Promise<void>, { program = 'smtp', clock = {} }: { program?: string; clock?: object } = {}): Promise<void> {
  const peer = await Peer.listen(place, options, '127.0.0.1');
  const common = `resolver_configuration = DIR/none\nsmtp_tls_CAfile = ${place}/ca.pem\nsmtp_tls_loglevel = 1\nsmtp_tls_fingerprint_digest = sha256\n`;
  const bench = new Bench({ row: `${program} unix - - n - - ${program}`, main: common + main.replaceAll('PLACE', place).replaceAll('NEXTHOP', `[127.0.0.1]:${peer.port}`) });
  const tools = { ...bench.tools, clock: { ...bench.tools.clock, ...clock } };
  const agent = await daemon.open(tools as never) as Agent;
  const deliver = async (request: Partial<DeliveryRequest> = {}): Promise<string[]> => {
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: `[127.0.0.1]:${peer.port}`, ...request } });
    return lines.map((line) => line.replace(/^AB[0-9]+: /, '').replaceAll(`:${peer.port}`, ':25'));
  };
  try {
    await use({ bench, peer, deliver });
  } finally {
    await agent.drain?.(true);
    await peer.close();
    bench.remove();
  }
}

/** A message that has waited long enough to go without TLS, where that is allowed at all. */
const old = { times: { incomingArrival: 1_800_000_000, activeArrival: 1_800_001_000, agentHandoff: 1_800_001_000, connectionDone: 0, deliveryDone: 0 } } as const;

const mails = (peer: Peer): string[] => peer.heard.filter((line) => / (?:MAIL|RCPT|DATA)\b/.test(line));

describe('mail goes nowhere that its level forbids', { skip: noOpenssl }, () => {
  const servers: Readonly<Record<string, PeerOptions>> = {
    good: {}, self: { certificate: 'self' }, stranger: { certificate: 'stranger' }, wrong: { certificate: 'wrong' }, expired: { certificate: 'expired' }, future: { certificate: 'future' },
    purpose: { certificate: 'purpose' }, plain: { plain: true }, refusing: { startTls: '454 4.7.0 no' }, final: { startTls: '554 5.7.0 never' }, hanging: { handshake: 'close' }, garbage: { handshake: 'garbage' },
    injected: { injected: '250-evil\r\n250 PIPELINING\r\n250 2.1.0 Ok' },
  };
  /** Who gets mail, and how. */
  const levels: readonly (readonly [main: string, secure: readonly string[], clear: readonly string[]])[] = [
    ['smtp_tls_security_level = encrypt', ['good', 'self', 'stranger', 'wrong', 'expired', 'future', 'purpose', 'injected'], []],
    ['smtp_tls_security_level = verify\nsmtp_tls_verify_cert_match = mail.peer.test', ['good', 'injected'], []],
    ['smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test', ['good', 'injected'], []],
    ['smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = .', [], []],
    ['smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_trust_anchor_file = PLACE/otherca.pem', ['stranger'], []],
    ['smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_CAfile = PLACE/nothing.pem', [], []],
    ['smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_CAfile =', [], []],
    ['smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_cert_file = PLACE/nothing.pem', [], []],
    ['smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_CAfile = PLACE/both.pem', ['good', 'stranger', 'injected'], []],
    ['smtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_cert_match = SELF', ['self'], []],
    ['smtp_tls_security_level = fingerprint', [], []],
    ['smtp_tls_security_level = dane-only', [], []],
    ['smtp_tls_security_level = may\nsmtp_tls_policy_maps = fail:x', [], []],
    ['smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{{NEXTHOP = secure match=mail.peer.test}}', ['good', 'injected'], []],
    ['smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{{NEXTHOP = secure match=mail.peer.test policy_type=sts policy_failure=sts-policy-invalid}}', [], []],
    ['smtp_tls_security_level = may\nsmtp_tls_per_site = inline:{{NEXTHOP = MUST}}\nsmtp_tls_verify_cert_match = mail.peer.test', ['good', 'injected'], []],
    ['smtp_tls_security_level = may\nsmtp_tls_per_site = inline:{{NEXTHOP = MUST_NOPEERMATCH}}', ['good', 'self', 'stranger', 'wrong', 'expired', 'future', 'purpose', 'injected'], []],
    ['smtp_tls_security_level = may\nsmtp_tls_per_site = inline:{{NEXTHOP = NONE}}', [], ['good', 'self', 'stranger', 'wrong', 'expired', 'future', 'purpose', 'plain', 'refusing', 'final', 'hanging', 'garbage', 'injected']],
    ['smtp_tls_security_level =\nsmtp_enforce_tls = yes\nsmtp_tls_verify_cert_match = mail.peer.test', ['good', 'injected'], []],
    ['smtp_tls_security_level =\nsmtp_enforce_tls = yes\nsmtp_tls_enforce_peername = no', ['good', 'self', 'stranger', 'wrong', 'expired', 'future', 'purpose', 'injected'], []],
    ['smtp_tls_security_level = none\nsmtp_tls_wrappermode = yes', [], []],
  ];
  for (const [main, secure, clear] of levels) {
    test(main.replaceAll('\n', '; '), async () => {
      for (const [name, options] of Object.entries(servers)) {
        await stage(`${main.replace('SELF', digestOf(place, 'self', 'key'))}\n`, options, async ({ peer, deliver }) => {
          const lines = await deliver(old);
          const way = secure.includes(name) ? 'tls' : clear.includes(name) ? 'plain' : 'nowhere';
          assert.deepEqual([...new Set(mails(peer).map((line) => line.split(' ')[0]))], way === 'nowhere' ? [] : [way], `${name}: ${lines.join('\n')}`);
          assert.match(lines.at(-1)!, way !== 'nowhere' ? /status=sent/ : name === 'final' ? /status=(?:deferred|bounced)/ : /status=deferred/, name);
        });
      }
    });
  }

  test('a server that promises TLS and cannot gets nothing in the clear while TLS is required by the message', async () => {
    const main = 'smtp_tls_security_level = may\nsmtp_requiretls_policy = opportunistic+starttls\n';
    await stage(main, { handshake: 'garbage' }, async ({ peer, deliver }) => {
      const lines = await deliver({ ...old, smtputf8: sendOption.requireTlsEsmtp });
      assert.deepEqual(mails(peer), []);
      assert.match(lines.at(-1)!, /tls=may\/requiretls\?|tls=may\?\/requiretls\?, dsn=4\.7\.5, status=deferred/);
    });
  });
});

describe('TLS on the way', { skip: noOpenssl }, () => {
  test('what a stranger says before the handshake is not heard behind it', async () => {
    await stage('smtp_tls_security_level = encrypt\n', { injected: '250-evil\r\n250 SMTPUTF8\r\n250 2.1.0 evil' }, async ({ peer, deliver }) => {
      assert.match((await deliver()).at(-1)!, /tls=encrypt, dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as PEER\)/);
      assert.deepEqual(peer.heard.map((line) => line.replace(/ (?:FROM|TO|host).*| SIZE.*/, '')), ['plain EHLO', 'plain STARTTLS', 'tls EHLO', 'tls MAIL', 'tls RCPT', 'tls DATA', 'tls QUIT']);
    });
  });

  test('a server that says nothing in the handshake is given up', async () => {
    const clock = { after: (milliseconds: number, fire: () => void) => {
      if (milliseconds === 7000) setImmediate(fire);
      return { cancel: () => {} };
    } };
    await stage('smtp_tls_security_level = encrypt\nsmtp_starttls_timeout = 7s\n', { handshake: 'silence' }, async ({ deliver }) => {
      const lines = await deliver();
      assert.equal(lines[0], 'SSL_connect error to 127.0.0.1[127.0.0.1]:25: Connection timed out');
      assert.match(lines[1]!, /tls=encrypt\?, dsn=4\.7\.5, status=deferred \(Cannot start TLS: handshake failure\)/);
    }, { clock });
  });

  test('a server that goes away behind the handshake: old mail goes without TLS, where that is allowed', async () => {
    for (const [main, age, want] of [['smtp_tls_security_level = may\n', old, 'sent'], ['smtp_tls_security_level = may\n', {}, 'deferred'], ['smtp_tls_security_level = encrypt\n', old, 'deferred']] as const) {
      for (const closeAt of ['EHLO', 'MAIL', 'DATA']) {
        await stage(main, { closeAt }, async ({ peer, deliver }) => {
          const lines = await deliver(age);
          assert.match(lines.at(-1)!, new RegExp(`tls=${want === 'sent' ? 'may:none' : '(?:may|encrypt)'}, dsn=.*status=${want}`));
          assert.equal(lines.some((line) => line.startsWith('lost connection with ')), want === 'sent', lines.join('\n'));
          assert.equal(mails(peer).filter((line) => line.startsWith('plain ')).length, want === 'sent' ? 3 : 0);
        });
      }
    }
  });

  test('TLS before the greeting', async () => {
    await stage('smtp_tls_security_level = encrypt\nsmtp_tls_wrappermode = yes\n', { wrapped: true }, async ({ peer, deliver }) => {
      const lines = await deliver();
      assert.match(lines[0]!, /^Untrusted TLS connection established|^Trusted TLS connection established/);
      assert.match(lines[1]!, /tls=encrypt, dsn=2\.0\.0, status=sent/);
      assert.deepEqual(peer.heard.slice(0, 2).map((line) => line.split(' ').slice(0, 2).join(' ')), ['tls EHLO', 'tls MAIL']);
    });
    await stage('smtp_tls_security_level = may\nsmtp_tls_wrappermode = yes\n', { wrapped: true }, async ({ peer, deliver }) => {
      const lines = await deliver();
      assert.equal(lines[0], 'warning: smtp_tls_wrappermode requires "smtp_tls_security_level = encrypt" (or stronger)');
      assert.equal(peer.connections, 0);
    });
  });

  test('a session is resumed, with what was thought of its certificate', async () => {
    for (const [certificate, want, versions] of [['good', /^Verified TLS/, ['TLSv1.3', 'TLSv1.2']], ['wrong', /^Trusted TLS/, ['TLSv1.2']]] as const) {
      for (const maxVersion of versions) {
        const main = 'smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_session_cache_database = btree:x\nsmtp_tls_loglevel = routine,cache\n';
        await stage(main, { certificate, maxVersion }, async ({ peer, deliver }) => {
          const first = await deliver();
          assert.ok(first.some((line) => /^looking for session smtp&/.test(line)));
          const second = await deliver();
          assert.ok(second.some((line) => line.endsWith(': Reusing old session')), second.join('\n'));
          assert.match(second.find((line) => line.includes('TLS connection'))!, want);
          assert.match(second.at(-1)!, certificate === 'good' ? /status=sent/ : /status=deferred \(Server certificate not verified\)/);
          assert.equal(mails(peer).length > 0, certificate === 'good');
        });
      }
    }
  });

  const keeping = { flags: requestFlag.success | requestFlag.connectionLoad | requestFlag.connectionStore } as const;
  for (const [reuse, connections] of [['yes', 1], ['no', 2]] as const) {
    test(`an encrypted connection for two messages: smtp_tls_connection_reuse = ${reuse}`, async () => {
      await stage(`smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_connection_reuse = ${reuse}\n`, {}, async ({ peer, deliver }) => {
        await deliver(keeping);
        const second = await deliver(keeping);
        assert.equal(peer.connections, connections);
        assert.match(second[0]!, new RegExp(`^Verified TLS connection ${reuse === 'yes' ? 'reused' : 'established'} to 127\\.0\\.0\\.1`));
        assert.match(second.at(-1)!, /status=sent/);
      });
    });
  }

  test('connections are not shared between messages that ask for different protection', async () => {
    const main = 'smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\nsmtp_tls_connection_reuse = yes\n';
    await stage(main, { certificate: 'wrong' }, async ({ peer, deliver }) => {
      assert.match((await deliver({ ...keeping, smtputf8: sendOption.requireTlsHeader })).at(-1)!, /tls=may, dsn=2\.0\.0, status=sent/);
      assert.match((await deliver(keeping)).at(-1)!, /tls=!secure, dsn=4\.7\.5, status=deferred/);
      assert.equal(peer.connections, 2);
    });
  });
});

describe('REQUIRETLS, and TLS-Required: no', { skip: noOpenssl }, () => {
  const verified = 'smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mail.peer.test\n';
  for (const [name, main, options, send, want] of [
    ['TLS-Required: no, a server without TLS', verified, { plain: true }, sendOption.requireTlsHeader, /tls=may:none, dsn=2\.0\.0, status=sent/],
    ['TLS-Required: no, not heeded', `${verified}tls_required_enable = no\n`, { plain: true }, sendOption.requireTlsHeader, /tls=!secure, dsn=4\.7\.4, status=deferred/],
    ['both: REQUIRETLS counts', `${verified}smtp_requiretls_policy = enforce\n`, { plain: true }, sendOption.requireTlsHeader | sendOption.requireTlsEsmtp, /dsn=5\.7\.30, status=bounced/],
    ['a server that knows it', `${verified}smtp_requiretls_policy = enforce\n`, { extensions: ['REQUIRETLS'] }, sendOption.requireTlsEsmtp, /tls=secure\/requiretls, dsn=2\.0\.0, status=sent/],
    ['a server that does not', `${verified}smtp_requiretls_policy = enforce\n`, {}, sendOption.requireTlsEsmtp, /tls=secure\/!requiretls:none, dsn=5\.7\.30, status=bounced \(Sender requested REQUIRETLS, but no server was found that supports REQUIRETLS\. The last attempted server was 127\.0\.0\.1\[127\.0\.0\.1\]\)/],
    ['a server without TLS', `${verified}smtp_requiretls_policy = enforce\n`, { plain: true }, sendOption.requireTlsEsmtp, /tls=!secure\/!requiretls:nostarttls, dsn=5\.7\.30, status=bounced \(Sender requested REQUIRETLS, but TLS service was not offered by host/],
    ['a server that refuses TLS', `${verified}smtp_requiretls_policy = enforce\n`, { startTls: '454 4.7.0 no' }, sendOption.requireTlsEsmtp, /dsn=5\.7\.10, status=bounced \(Sender requested REQUIRETLS, but host 127\.0\.0\.1\[127\.0\.0\.1\] refused to start TLS: 454 4\.7\.0 no\)/],
    ['the wrong certificate', `${verified}smtp_requiretls_policy = enforce\n`, { certificate: 'wrong', extensions: ['REQUIRETLS'] }, sendOption.requireTlsEsmtp, /tls=!secure\/!requiretls:nocertmatch, dsn=5\.7\.10, status=bounced \(Sender requested REQUIRETLS, but no matching server certificate was found/],
    ['a level that does not verify', 'smtp_tls_security_level = may\nsmtp_requiretls_policy = enforce\n', {}, sendOption.requireTlsEsmtp, /tls=may\?\/!requiretls:nocertmatch, dsn=5\.7\.10, status=bounced \(Sender requested REQUIRETLS, but my configured TLS security level 'may' disables certificate matching/],
    ['as far as the server can', 'smtp_tls_security_level = may\nsmtp_requiretls_policy = opportunistic\n', { plain: true }, sendOption.requireTlsEsmtp, /tls=may:none\/requiretls:none, dsn=2\.0\.0, status=sent/],
    ['encryption at least, had', 'smtp_tls_security_level = may\nsmtp_requiretls_policy = opportunistic+starttls\n', {}, sendOption.requireTlsEsmtp, /tls=may\/requiretls:none, dsn=2\.0\.0, status=sent/],
    ['encryption at least, not had', 'smtp_tls_security_level = may\nsmtp_requiretls_policy = opportunistic+starttls\n', { plain: true }, sendOption.requireTlsEsmtp, /tls=may\?\/!requiretls:nostarttls, dsn=5\.7\.30, status=bounced/],
    ['a policy by address: the default', `${verified}`, { plain: true, certificate: 'wrong' }, sendOption.requireTlsEsmtp, /dsn=4\.7\.4, status=deferred/],
    ['a policy that means nothing', `${verified}smtp_requiretls_policy = perhaps\n`, {}, sendOption.requireTlsEsmtp, /dsn=4\.7\.10, status=deferred/],
    ['a table out of reach', `${verified}smtp_requiretls_policy = fail:x\n`, {}, sendOption.requireTlsEsmtp, /dsn=4\.7\.10, status=deferred/],
    ['not enabled', 'smtp_tls_security_level = may\nrequiretls_enable = no\nsmtp_requiretls_policy = enforce\n', { plain: true }, sendOption.requireTlsEsmtp, /tls=may:none, dsn=2\.0\.0, status=sent/],
  ] as const) {
    test(name, async () => {
      await stage(main, options as PeerOptions, async ({ peer, deliver }) => {
        assert.match((await deliver({ smtputf8: send })).at(-1)!, want);
        const isSent = want.source.includes('status=sent');
        assert.equal(mails(peer).length > 0, isSent);
        if (isSent) assert.equal(mails(peer)[0]!.endsWith(' REQUIRETLS'), 'extensions' in options);
      });
    });
  }

  test('reports about a message show no content behind a server that does not know REQUIRETLS', async () => {
    await stage('smtp_tls_security_level = may\nsmtp_requiretls_policy = opportunistic\n', { extensions: ['DSN'] }, async ({ peer, deliver }) => {
      await deliver({ smtputf8: sendOption.requireTlsEsmtp, dsnRet: 1 });
      assert.match(mails(peer)[0]!, / RET=HDRS$/);
    });
  });
});

test('lmtp has names of its own', { skip: noOpenssl }, async () => {
  await stage('lmtp_tls_security_level = verify\nlmtp_tls_verify_cert_match = mail.peer.test\nlmtp_tls_CAfile = PLACE/ca.pem\nsmtp_tls_security_level = none\n', {}, async ({ peer, deliver }) => {
    assert.match((await deliver()).at(-1)!, /tls=verify, dsn=2\.0\.0, status=sent/);
    assert.equal(mails(peer)[0]!.split(' ')[0], 'tls');
  }, { program: 'lmtp' });
});
