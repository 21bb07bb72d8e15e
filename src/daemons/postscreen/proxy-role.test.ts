import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, describe, test } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import type { Log } from '../../log/log.ts';
import { ProxyRole } from './proxy-role.ts';

const place = mkdtempSync(`${tmpdir()}/proxy-role-`);
after(() => rmSync(place, { recursive: true }));

const level = { isUsed: true, isRequired: false, isWrapped: false, authOnly: false };
const label = '[192.0.2.1]:1025';

interface Case { readonly role: ProxyRole; readonly said: string[]; readonly log: Log }

/** With TLS in smtpd, and keys. */
function begin(text: string, required = false): Case {
  writeFileSync(`${place}/main.cf`, `compatibility_level = 3.11\nmyhostname = mx.example.test\nsmtpd_tls_security_level = may\nsmtpd_tls_cert_file = /etc/cert.pem\n${text}\n`);
  const said: string[] = [];
  const speak = (name: string): Log => ({
    info: (line: string) => said.push(`${name}: ${line}`), warning: (line: string) => said.push(`${name}: warning: ${line}`), tagged: (tag: string) => speak(tag.replace('postfix/', '')),
  } as unknown as Log);
  const log = speak('postscreen');
  return { role: new ProxyRole({ config: Configuration.load(place), log }, { ...level, isRequired: required }), said, log: log.tagged('tlsproxy') };
}

const refused = [
  `tlsproxy: CONNECT from ${label}`, 'tlsproxy: warning: TLS server role is disabled by configuration',
  'postscreen: warning: problem receiving status from private/tlsproxy service', `tlsproxy: DISCONNECT ${label}`,
];

describe('encryption turned off', () => {
  for (const [text, ...said] of [
    ['tlsproxy_tls_security_level = none'],
    ['smtpd_tls_security_level ='],
    ['tlsproxy_tls_security_level =\ntlsproxy_use_tls = no'],
    ['tlsproxy_tls_security_level = x', 'warning: Invalid TLS level "x"'],
    ['tlsproxy_tls_cert_file =', "warning: No server certs available. TLS can't be enabled"],
    ['tlsproxy_tls_cert_file = none\ntlsproxy_tls_ask_ccert = yes', 'warning: Need a server cert to request client certs', "warning: No server certs available. TLS can't be enabled"],
  ] as const) {
    test(text, () => {
      const { role, said: heard } = begin(text);
      assert.equal(role.refuses(label), true);
      assert.deepEqual(heard, [...said.map((line) => `tlsproxy: ${line}`), ...refused]);
      assert.equal(role.refuses(label), true);
      assert.deepEqual(heard.slice(said.length + refused.length), refused, 'the cause is told once');
    });
  }
});

describe('encryption left on', () => {
  for (const [text, ...said] of [
    [''],
    ['tlsproxy_tls_security_level =\ntlsproxy_use_tls = yes'],
    ['tlsproxy_tls_security_level =\ntlsproxy_enforce_tls = yes'],
    ['tlsproxy_tls_security_level = verify', 'warning: tlsproxy_tls_security_level: unsupported TLS level "verify", using "encrypt"'],
    ['tlsproxy_tls_cert_file = none'],
    ['tlsproxy_tls_cert_file =\ntlsproxy_tls_chain_files = /etc/chain.pem'],
    ['tlsproxy_tls_cert_file =\ntlsproxy_tls_eccert_file = /etc/ec.pem'],
    ['tlsproxy_tls_req_ccert = yes', "warning: Can't require client certs unless TLS is required"],
  ] as const) {
    test(text, () => {
      const { role, said: heard } = begin(text);
      assert.equal(role.refuses(label), false);
      assert.equal(role.refuses(label), false);
      assert.deepEqual(heard, said.map((line) => `tlsproxy: ${line}`));
    });
  }
});

describe('what is not the same', () => {
  for (const [text, differences, required] of [
    ['', ''],
    ['tlsproxy_tls_security_level = encrypt', ''],
    ['tlsproxy_tls_ciphers = high\ntlsproxy_tls_exclude_ciphers = x', ''],
    ['tlsproxy_tls_cert_file = /etc/a.pem', "(server) 'cert_file=/etc/a.pem' != (client) 'cert_file=/etc/cert.pem'"],
    ['tlsproxy_tls_cert_file = none\ntlsproxy_tls_key_file = /etc/a.pem', "(server) 'cert_file=' != (client) 'cert_file=/etc/cert.pem'; (server) 'key_file=/etc/a.pem' != (client) 'key_file=/etc/cert.pem'"],
    ['postscreen_tls_loglevel = 2\ntlsproxy_tls_CApath = /etc/ca', "(server) 'log_level=0' != (client) 'log_level=2'; (server) 'CApath=/etc/ca' != (client) 'CApath='"],
    ['smtpd_tls_eecdh_grade = strong\nsmtpd_tls_dh512_param_file = /x', ''],
    ['smtpd_tls_eecdh_grade = strong\npostscreen_tls_eecdh_grade = ultra\npostscreen_tls_dh512_param_file = /x',
      "(server) 'eecdh_grade=strong' != (client) 'eecdh_grade=ultra'; (server) 'dh512_param_file=' != (client) 'dh512_param_file=/x'"],
    ['tlsproxy_tls_mandatory_protocols = TLSv1.3', ''],
    ['tlsproxy_tls_security_level = encrypt\ntlsproxy_tls_mandatory_protocols = TLSv1.3', "(server) 'protocols=TLSv1.3' != (client) 'protocols=>=TLSv1'"],
    ['tlsproxy_tls_protocols = TLSv1.3', "(server) 'protocols=TLSv1.3' != (client) 'protocols=>=TLSv1'", true],
    ['tlsproxy_tls_security_level = encrypt\ntlsproxy_tls_req_ccert = yes', "(server) 'ask_ccert=1' != (client) 'ask_ccert=0'"],
    ['tlsproxy_tls_ask_ccert = yes\ntlsproxy_tls_fingerprint_digest = sha512', "(server) 'ask_ccert=1' != (client) 'ask_ccert=0'; (server) 'mdalg=sha512' != (client) 'mdalg=sha256'"],
    ['tlsproxy_tls_ccert_verifydepth = 3\ntlsproxy_tls_dh1024_param_file = /x', "(server) 'verifydepth=3' != (client) 'verifydepth=9'; (server) 'dh1024_param_file=/x' != (client) 'dh1024_param_file='"],
    ['postscreen_tls_cert_file = none\npostscreen_tls_key_file =\ntlsproxy_tls_loglevel = 1', ''],
  ] as const) {
    test(text, () => {
      const { role, said, log } = begin(text, required ?? false);
      role.compare(log);
      role.compare(log);
      const hint = 'to avoid this warning, let tlsproxy_tls_* say what postscreen_tls_* say: the latter are used';
      assert.deepEqual(said, differences === '' ? [] : ['request from tlsproxy server with unexpected settings', differences, hint].map((line) => `tlsproxy: warning: ${line}`));
    });
  }
});
