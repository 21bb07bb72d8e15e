/**
 * permit_mx_backup: we are a mail exchanger of the recipient's domain, and not its best. Deprecated; relay_domains says it better.
 *
 * What cannot be looked up turns a refusal that follows into a deferral. permit_mx_backup_networks limits who the best may be.
 */
import { resolveFlag } from '../../../ipc/rewrite.ts';
import type { DnsRecord } from '../../../network/dns.ts';
import type { MaybePromise } from '../../../text/maybe.ts';
import { asciiName, lookUpName, outside, troubleText } from './names.ts';
import { permitted } from './permitted.ts';
import { resolveAddress } from './resolve-address.ts';
import type { AccessSetup } from './setup.ts';
import type { AccessState, Decision, Maker } from './state.ts';

const authorized = resolveFlag.local | resolveFlag.alias | resolveFlag.virtual | resolveFlag.relay;

interface Backup { readonly setup: AccessSetup; readonly state: AccessState; readonly recipient: string }

export const permitMxBackup: Maker = (setup, _argument, { name }) => {
  setup.tools.warn(`support for restriction "${name}" will be removed from ${setup.view.mail_name}; instead, specify "relay_domains"`);
  return (state) => {
    const { recipient } = state;
    if (recipient === undefined) return undefined;
    const yes = (): MaybePromise<Decision> => permitted(setup, state, name, { name: recipient, replyClass: 'Recipient address' });
    return resolveAddress(setup, state, 'recipient', recipient, (route) => {
      if (!route.recipient.includes('@')) return yes();
      if (!setup.view.allow_untrusted_routing && route.flags & resolveFlag.routed) return undefined;
      if (route.flags & authorized) return yes();
      const domain = route.recipient.slice(route.recipient.lastIndexOf('@') + 1);
      if (domain.startsWith('[') && domain.endsWith(']')) return undefined;
      return isBackup({ setup, state, recipient }, asciiName(domain)).then((isOurs) => (isOurs ? yes() : undefined));
    });
  };
};

async function isBackup(backup: Backup, domain: string): Promise<boolean> {
  const { setup } = backup;
  const answer = await outside(setup).dns.lookup(domain, 'MX');
  if (answer.status !== 'ok') {
    if (answer.status === 'retry' || answer.status === 'policy') later(backup, `Unable to look up mail exchanger information: ${troubleText(answer)}`);
    return false;
  }
  const best = Math.min(...answer.records.map(({ preference }) => preference));
  const primaries = answer.records.filter(({ preference }) => preference === best);
  const others = answer.records.filter(({ preference }) => preference !== best);
  if (await amAmong(backup, primaries)) return false;
  if (others.length === 0 || !await amAmong(backup, others)) return false;
  return setup.view.permit_mx_backup_networks.trim() === '' || allTrusted(backup, primaries);
}

/** Names first: they cost nothing. */
async function amAmong(backup: Backup, exchangers: readonly DnsRecord[]): Promise<boolean> {
  const { isLocalDomain, native } = outside(backup.setup);
  for (const { data } of exchangers) if (await isLocalDomain(data)) return true;
  for (const { data } of exchangers) {
    const { addresses, trouble } = await native(data);
    if (trouble !== undefined) later(backup, `Unable to look up mail exchanger host ${data}: ${trouble.text}`);
    if (addresses.some((address) => backup.setup.isOwnAddress(address))) return true;
  }
  return false;
}

async function allTrusted(backup: Backup, exchangers: readonly DnsRecord[]): Promise<boolean> {
  const { dns, isBackupNetwork } = outside(backup.setup);
  for (const { data } of exchangers) {
    const answers = await Promise.all([lookUpName(dns, data, [['A']]), lookUpName(dns, data, [['AAAA']])]);
    const addresses = answers.flatMap(({ records }) => records.map((record) => record.data));
    if (addresses.length === 0) {
      later(backup, `Unable to look up host ${data} as mail exchanger: ${troubleText(answers[0])}`);
      return false;
    }
    for (const address of addresses) if (!await isBackupNetwork(data, address)) return false;
  }
  return true;
}

function later({ state, recipient }: Backup, why: string): void {
  state.deferIfReject ??= { code: 450, status: '4.4.4', text: `<${recipient}>: Recipient address rejected: ${why}` };
}
