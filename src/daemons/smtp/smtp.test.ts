import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { Bench } from '../../delivery/testing.ts';
import { requestFlag } from '../../ipc/deliver.ts';
import type { DeliveryRequest } from '../../ipc/deliver.ts';
import { fakeNameServer } from '../../network/testing.ts';
import type { Service } from '../../server/daemon.ts';
import { FakeServer } from './fake-server.ts';
import type { Script } from './fake-server.ts';
import { daemon } from './smtp.ts';

type Agent = Parameters<Bench['deliver']>[0] & Service;

const a = (name: string, data: string): object => ({ name, type: 'A', class: 'IN', ttl: 0, data });
const zone: Record<string, object[]> = {
  'MX two.example': [['10', 'mx1.example'], ['20', 'mx2.example']].map(([preference, exchange]) => ({ name: 'two.example', type: 'MX', ttl: 0, data: { preference: Number(preference), exchange } })),
  'MX null.example': [{ name: 'null.example', type: 'MX', ttl: 0, data: { preference: 0, exchange: '.' } }],
  'A mx1.example': [a('mx1.example', '127.0.0.1')], 'A mx2.example': [a('mx2.example', '127.0.0.2')],
  'A one.example': [a('one.example', '127.0.0.1')],
};
const dns = await fakeNameServer(({ name, type }) => {
  const answers = zone[`${type} ${name}`];
  const known = Object.keys(zone).some((key) => key.endsWith(` ${name}`));
  return answers ? { answers: answers as never } : { rcode: known ? 'NOERROR' : 'NXDOMAIN' };
});
const rows = { smtp: 'smtp unix - - n - - smtp', lmtp: 'lmtp unix - - n - - lmtp' };

async function stage(use: (stage: { bench: Bench; agent: Agent }) => Promise<void>, main = '', row = rows.smtp): Promise<void> {
  const bench = new Bench({ row, main: `resolver_configuration = DIR/resolv.conf\nresolver_hosts_file = DIR/hosts\nsmtp_tls_security_level = none\n${main}` });
  writeFileSync(`${bench.directory}/resolv.conf`, `nameserver 127.0.0.1:${dns.port}\n`);
  const agent = await daemon.open(bench.tools as never) as Agent;
  try {
    await use({ bench, agent });
  } finally {
    await agent.drain?.(true);
    bench.remove();
  }
}

async function server(script: Script, use: (server: FakeServer) => Promise<void>, where?: { host: string; port: number } | { path: string }): Promise<void> {
  const fake = await FakeServer.listen(script, where);
  try {
    await use(fake);
  } finally {
    await fake.close();
  }
}

after(() => dns[Symbol.asyncDispose]());

/** Log lines without queue id and port. */
const plain = (lines: readonly string[], port: number): string[] => lines.map((line) => line.replace(/^AB\d+: /, '').replaceAll(`:${port}`, ':25'));

test('a message goes to the address in the nexthop', async () => {
  await server({}, (fake) => stage(async ({ bench, agent }) => {
    const { reply, lines, left } = await bench.deliver(agent, ['joe@example.org'], { content: 'Subject: x\n\n.dot\nend\n', request: { nexthop: `[127.0.0.1]:${fake.port}` } });
    assert.deepEqual([reply.status, reply.hop.status, left], [0, '', []]);
    assert.deepEqual(plain(lines, fake.port), ['to=<joe@example.org>, relay=127.0.0.1[127.0.0.1]:25, delay=12, delays=0.5/1/11/0, tls=none, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)']);
    assert.deepEqual(fake.messages, ['Subject: x\r\n\r\n..dot\r\nend\r\n']);
    assert.deepEqual(fake.commands, ['EHLO host.example.org', 'MAIL FROM:<sender@example.com> SIZE=25', 'RCPT TO:<joe@example.org>', 'DATA', 'QUIT']);
  }));
});

for (const [name, script, request, want, hop] of [
  ['recipient refused', { replies: { 'RCPT TO:<joe': '550 5.1.1 no joe' } }, {}, 'dsn=5.1.1, status=bounced (host one.example[127.0.0.1] said: 550 5.1.1 no joe (in reply to RCPT TO command))', ''],
  ['sender refused', { replies: { MAIL: '450 4.7.1 later' } }, {}, 'dsn=4.7.1, status=deferred (host one.example[127.0.0.1] said: 450 4.7.1 later (in reply to MAIL FROM command))', ''],
  ['greeting', { greeting: '554 no' }, {}, 'dsn=4.0.0, status=deferred (host one.example[127.0.0.1] refused to talk to me: 554 no)', '4.0.0'],
  ['hung up at DATA', { replies: { DATA: 'CLOSE' } }, {}, 'dsn=4.4.2, status=deferred (lost connection with one.example[127.0.0.1] while sending DATA command)', '4.4.2'],
  ['content refused', { dots: ['552 5.3.4 big\r\n'.trim()] }, {}, 'dsn=5.3.4, status=bounced (host one.example[127.0.0.1] said: 552 5.3.4 big (in reply to end of DATA command))', ''],
] as const) test(`a failure at the only server: ${name}`, async () => {
  await server(script as Script, (fake) => stage(async ({ bench, agent }) => {
    const { reply, lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: `one.example:${fake.port}`, ...request } });
    assert.equal(reply.hop.status, hop);
    assert.match(plain(lines, fake.port).at(-1)!, new RegExp(`relay=one\\.example\\[127\\.0\\.0\\.1\\]:25, .*${want.replace(/[.*+?()[\]]/g, '\\$&')}$`));
  }));
});

test('nobody listens: deferred, and the destination is not to be tried for a while', async () => {
  await server({}, async (fake) => {
    const { port } = fake;
    await fake.close();
    await stage(async ({ bench, agent }) => {
      const { reply, lines, left } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: `one.example:${port}` } });
      assert.deepEqual([reply.status, reply.hop.status, left], [-1, '4.4.1', ['joe@example.org']]);
      assert.deepEqual(plain(lines, port), [
        'connect to one.example[127.0.0.1]:25: Connection refused',
        'to=<joe@example.org>, relay=none, delay=12, delays=0.5/1/11/0, tls=none?, dsn=4.4.1, status=deferred (connect to one.example[127.0.0.1]:25: Connection refused)',
      ]);
    });
  });
});

for (const [name, nexthop, want] of [
  ['no such domain', 'none.example', 'dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for name=none.example type=A: Host not found)'],
  ['null MX', 'null.example', 'dsn=5.1.0, status=bounced (Domain null.example does not accept mail (nullMX))'],
  ['bad nexthop', 'one.example:nosuch', 'dsn=4.3.5, status=deferred (mail system configuration error)'],
] as const) test(`no way there: ${name}`, async () => {
  await stage(async ({ bench, agent }) => {
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop } });
    assert.ok(lines.at(-1)!.includes(`relay=none, delay=12, delays=0.5/1/11/0, ${want}`), lines.at(-1));
  });
});

test('a relayhost that cannot be found is the operator\'s mistake: nothing bounces', async () => {
  await stage(async ({ bench, agent }) => {
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: 'none.example' } });
    assert.equal(lines[0], 'warning: relayhost configuration problem');
    assert.match(lines[1]!, /dsn=4\.3\.5, status=deferred/);
  }, 'relayhost = none.example\n');
});

test('MX hosts in turn: what the first refuses for now, the second may take; hard refusals stand', async () => {
  await server({ replies: { 'RCPT TO:<later': '450 4.2.0 busy', 'RCPT TO:<never': '550 5.1.1 no' } }, (first) => server({}, (second) => stage(async ({ bench, agent }) => {
    const { reply, lines, left } = await bench.deliver(agent, ['now@example.org', 'later@example.org', 'never@example.org'], { request: { nexthop: `two.example:${first.port}` } });
    assert.deepEqual([reply.status, left], [0, []]);
    assert.deepEqual(plain(lines, first.port).map((line) => line.replace(/delay=.*tls/, 'tls')), [
      'host mx1.example[127.0.0.1] said: 450 4.2.0 busy (in reply to RCPT TO command)',
      'to=<never@example.org>, relay=mx1.example[127.0.0.1]:25, tls=none, dsn=5.1.1, status=bounced (host mx1.example[127.0.0.1] said: 550 5.1.1 no (in reply to RCPT TO command))',
      'to=<now@example.org>, relay=mx1.example[127.0.0.1]:25, tls=none, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)',
      'to=<later@example.org>, relay=mx2.example[127.0.0.2]:25, tls=none, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)',
    ]);
    assert.deepEqual(second.commands.filter((line) => line.startsWith('RCPT')), ['RCPT TO:<later@example.org>']);
  }), { host: '127.0.0.2', port: first.port }));
});

test('the limit of sessions per request', async () => {
  await server({ replies: { RCPT: '450 4.2.0 busy' } }, (first) => server({}, (second) => stage(async ({ bench, agent }) => {
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: `two.example:${first.port}` } });
    assert.equal(second.connections, 0);
    assert.match(lines[0]!, /relay=mx1.example.*status=deferred/);
  }, 'smtp_mx_session_limit = 1\n'), { host: '127.0.0.2', port: first.port }));
});

test('the fallback relay takes what cannot be delivered', async () => {
  await server({}, (fake) => stage(async ({ bench, agent }) => {
    const { reply, lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: 'none.example' } });
    assert.equal(reply.status, 0);
    assert.match(lines[0]!, /relay=127\.0\.0\.1\[127\.0\.0\.1\].*status=sent/);
  }, `smtp_fallback_relay = [127.0.0.1]:${fake.port}\n`));
});

const keeping = { flags: requestFlag.success | requestFlag.connectionLoad | requestFlag.connectionStore } as const satisfies Partial<DeliveryRequest>;

test('connections are kept on demand and used again', async () => {
  await server({}, (fake) => stage(async ({ bench, agent }) => {
    const nexthop = `one.example:${fake.port}`;
    for (let count = 1; count <= 3; count++) {
      const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop, ...keeping } });
      assert.equal(lines[0]!.includes(`, conn_use=${count},`), count > 1, lines[0]);
    }
    assert.equal(fake.connections, 1);
    assert.deepEqual(fake.commands.filter((line) => line === 'RSET').length, 2);
    await bench.deliver(agent, ['joe@example.org'], { request: { nexthop } });
    assert.equal(fake.connections, 2);
  }));
});

test('a kept connection that the server has given up costs nothing', async () => {
  await server({ replies: { RSET: 'CLOSE' } }, (fake) => stage(async ({ bench, agent }) => {
    const nexthop = `one.example:${fake.port}`;
    for (let count = 1; count <= 3; count++) {
      const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop, ...keeping } });
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0]!, /status=sent/);
    }
    assert.equal(fake.connections, 3);
  }));
});

test('requests for one destination follow each other over its connections; what a server breaks off goes on elsewhere, once', async () => {
  for (const [dots, left, connections] of [
    [['250 2.0.0 warm', '250 2.0.0 ok'], [], 1],
    [['250 2.0.0 warm', '451 4.3.0 later', '250 2.0.0 ok'], [0], 1],
    [['250 2.0.0 warm', '250 2.0.0 ok', 'CLOSE', '250 2.0.0 ok'], [1], 3],
    [['250 2.0.0 warm', 'CLOSE', '250 2.0.0 ok'], [0], 4],
  ] as const) {
    await server({ dots }, (fake) => stage(async ({ bench, agent }) => {
      const nexthop = `one.example:${fake.port}`;
      const send = (content: string): ReturnType<Bench['deliver']> => bench.deliver(agent, ['joe@example.org'], { content, request: { nexthop, ...keeping } });
      await send('warm\n');
      const sent = await Promise.all(['0\n', '1\n', '2\n', '3\n'].map(send));
      assert.deepEqual(sent.flatMap((each, number) => (each.reply.status === 0 ? [] : [number])), left);
      assert.deepEqual(fake.messages.toSorted(), ['0\r\n', '1\r\n', '2\r\n', '3\r\n', 'warm\r\n']);
      assert.equal(fake.connections, connections, dots.join());
    }));
  }
});

test('LMTP over a UNIX-domain socket: one outcome per recipient', async () => {
  await stage(async ({ bench, agent }) => {
    await server({ perRecipient: true, dots: ['250 2.1.5 one', '452 4.2.2 full'], greeting: '220 lmtp' }, async (fake) => {
      const { reply, lines, left } = await bench.deliver(agent, ['a@example.org', 'b@example.org'], { request: { nexthop: `unix:${bench.directory}/s` } });
      assert.deepEqual([reply.status, left], [-1, ['b@example.org']]);
      assert.match(lines[0]!, /to=<a@example.org>, relay=host\.example\.org\[\/.*\/s\], .*dsn=2\.1\.5, status=sent \(250 2\.1\.5 one\)$/);
      assert.match(lines[1]!, /to=<b@example.org>, .*dsn=4\.2\.2, status=deferred \(host host\.example\.org\[.*\/s\] said: 452 4\.2\.2 full \(in reply to end of DATA command\)\)$/);
      assert.deepEqual(fake.messages, ['Return-Path: <sender@example.com>\r\nSubject: test\r\n\r\nhello\r\n']);
    }, { path: `${bench.directory}/s` });
    const { lines } = await bench.deliver(agent, ['a@example.org'], { request: { nexthop: 'unix:/nonexistent/s' } });
    assert.match(lines.at(-1)!, /relay=none, .*dsn=4\.4\.1, status=deferred \(connect to host\.example\.org\[\/nonexistent\/s\]: No such file or directory\)$/);
  }, '', 'lmtp unix - - n - - lmtp flags=R');
});

test('a large message is not held in memory, and arrives whole', async () => {
  await server({}, (fake) => stage(async ({ bench, agent }) => {
    const content = `Subject: x\n\n${'0123456789abcdef'.repeat(60)}\n`.repeat(2000);
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { content, request: { nexthop: `one.example:${fake.port}` } });
    assert.match(lines[0]!, /status=sent/);
    assert.equal(fake.messages[0], content.replaceAll('\n', '\r\n'));
  }));
});

test('a server that says no in the middle of a large message is heard', async () => {
  await server({ hangUp: { after: 100_000, say: '552 5.3.4 too much' } }, (fake) => stage(async ({ bench, agent }) => {
    const content = `${'x'.repeat(900)}\n`.repeat(20_000);
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { content, request: { nexthop: `one.example:${fake.port}` } });
    assert.match(lines.at(-1)!, /552 5\.3\.4 too much \(in reply to end of DATA command\)|lost connection with one\.example\[127\.0\.0\.1\] while sending message body/);
  }));
});

test('long lines are broken, and the log says so', async () => {
  await server({}, (fake) => stage(async ({ bench, agent }) => {
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { content: `${'x'.repeat(1200)}\n`, request: { nexthop: `one.example:${fake.port}` } });
    assert.ok(plain(lines, 0).includes('breaking line > 998 bytes with <CR><LF>SPACE'));
    assert.equal(fake.messages[0], `${'x'.repeat(998)}\r\n ${'x'.repeat(202)}\r\n`);
  }));
});

test('flags=D: a Delivered-To of the recipient means a loop; several recipients are a mistake', async () => {
  await server({}, (fake) => stage(async ({ bench, agent }) => {
    const nexthop = `one.example:${fake.port}`;
    const loop = await bench.deliver(agent, ['joe@example.org'], { content: 'Delivered-To: joe@example.org\n\nx\n', request: { nexthop } });
    assert.match(loop.lines[0]!, /dsn=5\.4\.6, status=bounced \(mail forwarding loop for joe@example\.org\)$/);
    const many = await bench.deliver(agent, ['joe@example.org', 'ann@example.org'], { request: { nexthop } });
    assert.equal(many.lines[0], "warning: flag `D' requires smtp_destination_recipient_limit = 1");
    await bench.deliver(agent, ['ann@example.org'], { request: { nexthop } });
    assert.match(fake.messages[0]!, /^Delivered-To: ann@example\.org\r\nSubject/);
  }, '', 'smtp unix - - n - - smtp flags=D'));
});

test('an address probe asks and does not deliver', async () => {
  await server({ replies: { 'RCPT TO:<bad': '550 5.1.1 no' } }, (fake) => stage(async ({ bench, agent }) => {
    const { lines } = await bench.deliver(agent, ['good@example.org', 'bad@example.org'], { request: { nexthop: `one.example:${fake.port}`, flags: requestFlag.success | requestFlag.mtaVerify } });
    assert.deepEqual(fake.messages, []);
    assert.ok(lines.some((line) => line.includes('status=deliverable')) && lines.some((line) => line.includes('status=undeliverable')), lines.join('\n'));
  }));
});


const offersTls = { EHLO: '250-server.example\r\n250-STARTTLS\r\n250 PIPELINING' };
for (const [level, script, want] of [
  ['may', { replies: { ...offersTls, STARTTLS: '220 go' } }, /tls=may, dsn=2\.0\.0, status=sent/],
  ['encrypt', { replies: { ...offersTls, STARTTLS: '220 go' } }, /tls=encrypt, dsn=2\.0\.0, status=sent/],
  ['may', { replies: { ...offersTls, STARTTLS: '454 4.7.0 not now' } }, /tls=may:none, dsn=2\.0\.0, status=sent/],
  ['may', {}, /tls=may:none, dsn=2\.0\.0, status=sent/],
  ['encrypt', { replies: { ...offersTls, STARTTLS: '454 4.7.0 not now' } }, /dsn=4\.7\.0, status=deferred \(TLS is required, but host one\.example\[127\.0\.0\.1\] refused to start TLS: 454 4\.7\.0 not now\)/],
  ['encrypt', {}, /dsn=4\.7\.4, status=deferred \(TLS is required, but was not offered by host one\.example\[127\.0\.0\.1\]\)/],
] as const) test(`TLS level ${level}: ${want.source}`, async () => {
  await server(script as Script, (fake) => stage(async ({ bench, agent }) => {
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: `one.example:${fake.port}` } });
    assert.match(lines.at(-1)!, want);
  }, `smtp_tls_security_level = ${level}\n`));
});

test('a server that promises TLS and cannot: an old message goes without, a new one waits', async () => {
  const broken = { brokenTls: true, replies: { ...offersTls, STARTTLS: '220 go' } };
  for (const [age, want] of [[10, /dsn=4\.7\.5, status=deferred \(Cannot start TLS: handshake failure\)/], [400, /tls=may:none, dsn=2\.0\.0, status=sent/]] as const) {
    await server(broken, (fake) => stage(async ({ bench, agent }) => {
      const times = { incomingArrival: 1_800_000_000 - age, activeArrival: 1_800_000_000, agentHandoff: 0, connectionDone: 0, deliveryDone: 0 };
      const { lines, reply } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: `one.example:${fake.port}`, times } });
      assert.match(lines.at(-1)!, want);
      assert.equal(reply.hop.status, '');
    }, 'smtp_tls_security_level = may\n'));
  }
});

test('a level that means nothing is not quietly replaced by one that does', async () => {
  await stage(async ({ bench, agent }) => {
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: 'one.example' } });
    assert.match(lines[0]!, /parameter smtp_tls_security_level: Invalid TLS level "daring"/);
    assert.match(lines[1]!, /dsn=4\.3\.5, status=deferred/);
  }, 'smtp_tls_security_level = daring\n');
});

test('8-bit mail for a server without 8BITMIME becomes quoted-printable', async () => {
  await server({ replies: { EHLO: '250-server.example\r\n250-SIZE 1000\r\n250 PIPELINING' } }, (fake) => stage(async ({ bench, agent }) => {
    const content = 'Content-Transfer-Encoding: 8bit\n\ncaf\xe9\n';
    await bench.deliver(agent, ['joe@example.org'], { content, request: { nexthop: `one.example:${fake.port}`, encoding: '8bit' } });
    assert.deepEqual(fake.messages, ['Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n']);
    assert.equal(fake.commands[1], 'MAIL FROM:<sender@example.com>');
  }));
});
