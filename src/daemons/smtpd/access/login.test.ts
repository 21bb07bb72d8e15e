import assert from 'node:assert/strict';
import test from 'node:test';
import {
  checkCcertAccess, permitSaslAuthenticated, permitTlsClientcerts, rejectAuthenticatedSenderLoginMismatch, rejectKnownSenderLoginMismatch, rejectUnauthenticatedSenderLoginMismatch,
} from './login.ts';
import { permit, type Maker, type SaslLogin, type TlsSession } from './state.ts';
import { checkSaslAccess } from './table.ts';
import { bench } from './testing.ts';

const about = { name: 'joe@example.org', replyClass: 'Recipient address' } as const;
const place = { name: 'this', defaultTable: '' };
const ann: SaslLogin = { username: 'Ann', method: 'PLAIN', sender: undefined };
const bob: SaslLogin = { username: 'bob', method: 'PLAIN', sender: undefined };
const notOwned = (user: string): object => ({ kind: 'refuse', reply: { code: 553, status: '5.7.1', text: `<ann@example.org>: Sender address rejected: not owned by user ${user}` } });
const notLoggedIn = { kind: 'refuse', reply: { code: 553, status: '5.7.1', text: '<ann@example.org>: Sender address rejected: not logged in' } };

for (const [name, make, sasl, owners, want] of [
  ['authenticated: the owner', rejectAuthenticatedSenderLoginMismatch, ann, 'joe, ann', undefined],
  ['authenticated: another', rejectAuthenticatedSenderLoginMismatch, bob, 'joe, ann', notOwned('bob')],
  ['authenticated: nobody owns it', rejectAuthenticatedSenderLoginMismatch, bob, undefined, notOwned('bob')],
  ['authenticated: not logged in', rejectAuthenticatedSenderLoginMismatch, undefined, 'ann', undefined],
  ['known: nobody owns it', rejectKnownSenderLoginMismatch, bob, undefined, undefined],
  ['known: another', rejectKnownSenderLoginMismatch, bob, 'ann', notOwned('bob')],
  ['known: not logged in', rejectKnownSenderLoginMismatch, undefined, 'ann', notLoggedIn],
  ['unauthenticated: logged in', rejectUnauthenticatedSenderLoginMismatch, bob, 'ann', undefined],
  ['unauthenticated: not logged in', rejectUnauthenticatedSenderLoginMismatch, undefined, 'ann', notLoggedIn],
  ['unauthenticated: nobody owns it', rejectUnauthenticatedSenderLoginMismatch, undefined, undefined, undefined],
] as const) {
  test(`sender login mismatch, ${name}`, async () => {
    const tables: Record<string, Record<string, string>> = { 'test:owners': owners === undefined ? {} : { 'ann@example.org': owners } };
    const { setup, state } = bench({ view: { smtpd_sasl_auth_enable: true, smtpd_sender_login_maps: 'test:owners' }, tables, state: { sasl } });
    assert.deepEqual(await make(setup, '', place)(state, about), want);
  });
}

test('sender login restrictions without SASL are ignored, and say so', async () => {
  const { setup, state, warnings } = bench({ view: { smtpd_sasl_auth_enable: false, smtpd_sender_login_maps: '' } });
  assert.equal(await rejectKnownSenderLoginMismatch(setup, '', { name: 'reject_known_sender_login_mismatch', defaultTable: '' })(state, about), undefined);
  assert.deepEqual(warnings, ["restriction `reject_known_sender_login_mismatch' ignored: no SASL support"]);
});

test('permit_sasl_authenticated', async () => {
  const { setup, state } = bench();
  assert.equal(await permitSaslAuthenticated(setup, '', place)(state, about), undefined);
  assert.equal(await permitSaslAuthenticated(setup, '', place)({ ...state, sasl: bob }, about), permit);
  assert.equal(await permitSaslAuthenticated(setup, '', place)({ ...state, sasl: { ...bob, method: 'Anonymous' } }, about), undefined);
});

test('check_sasl_access looks for the login name', async () => {
  const { setup, state } = bench({ view: { smtpd_sasl_auth_enable: true }, tables: { 'test:users': { 'b\nb': 'REJECT no' } }, state: { sasl: { ...bob, username: 'b\nb' } } });
  assert.deepEqual(await checkSaslAccess(setup, 'test:users', place)(state, about), { kind: 'refuse', reply: { code: 554, status: '5.7.1', text: '<b_b>: SASL login name rejected: no' } });
});

const tls: TlsSession = { protocol: 'TLSv1.3', cipher: 'X', bits: 256, clientCertFingerprint: 'CE', clientPubkeyFingerprint: 'BE', clientTrusted: false, subject: 'host.example', issuer: 'CA', sni: '' };
const bare: TlsSession = { ...tls, clientCertFingerprint: '', clientPubkeyFingerprint: '' };

for (const [name, make, session, listed, want, warned] of [
  ['plaintext', permitTlsClientcerts(false), undefined, 'CE', undefined, false],
  ['no certificate', permitTlsClientcerts(false), bare, 'CE', undefined, true],
  ['a certificate that is listed', permitTlsClientcerts(false), tls, 'CE', permit, false],
  ['a key that is listed', permitTlsClientcerts(false), tls, 'BE', permit, false],
  ['a certificate that is not listed', permitTlsClientcerts(false), tls, 'AA', undefined, false],
  ['any that is trusted', permitTlsClientcerts(true), { ...tls, clientTrusted: true }, 'AA', permit, false],
  ['trusted, but not listed', permitTlsClientcerts(false), { ...tls, clientTrusted: true }, 'AA', undefined, false],
] as const satisfies readonly (readonly [string, Maker, TlsSession | undefined, string, unknown, boolean])[]) {
  test(`client certificates: ${name}`, async () => {
    const { setup, state, warnings } = bench({ view: { relay_clientcerts: 'test:certs', smtpd_tls_ask_ccert: false }, tables: { 'test:certs': { [listed]: 'x' } }, state: { tls: session } });
    assert.equal(await make(setup, '', place)(state, about), want);
    assert.equal(warnings.length > 0, warned);
  });
}

for (const [name, argument, entries, want] of [
  ['the certificate first', 'test:acl', { CE: 'OK', BE: 'REJECT' }, permit],
  ['the key first', '{ test:acl, { search_order = pubkey_fingerprint, cert_fingerprint } }', { CE: 'OK', BE: 'REJECT' },
    { kind: 'refuse', reply: { code: 554, status: '5.7.1', text: '<host.example>: Client certificate rejected: Access denied' } }],
  ['an order that makes no sense', '{ test:acl, search_order=nonsense }', { CE: 'OK' }, { kind: 'refuse', reply: { code: 451, status: '4.3.5', text: 'Server configuration error' } }],
  ['not there', 'test:acl', { AA: 'REJECT' }, undefined],
] as const) {
  test(`check_ccert_access: ${name}`, async () => {
    const { setup, state } = bench({ tables: { 'test:acl': entries as Record<string, string> }, state: { tls } });
    assert.deepEqual(await checkCcertAccess(setup, argument, place)(state, about), want);
  });
}
