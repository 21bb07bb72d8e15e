/**
 * What the dialogues need around the mail server: a name server with the zones of zones.ts, a policy server, and a Dovecot where clients log in.
 *
 * Our daemon is told by resolver_configuration where the name server is. Debian's Postfix reads /etc/resolv.conf: it runs in a mount
 * namespace of its own with another file there, which root can have.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { Dovecot, noDovecot } from '../dovecot.ts';
import { freePort } from '../ports.ts';
import { noNameServer, startNameServer } from '../name-server.ts';
import { startFilterServer } from './filter-server.ts';
import type { Dialogue } from './format.ts';
import type { Around } from './private-postfix.ts';
import { passwords } from './stage.ts';
import { zones } from './zones.ts';

export interface Surroundings extends Around {
  stop(): Promise<void>;
}

/** Settings with these in them ask the name service. */
const namesAsked = /rbl|rhs|dnswl|unknown|peername|_(?:a|mx|ns)_access|mx_backup/;

export const needsNames = ({ settings }: Dialogue): boolean => [...settings].some(([name, value]) => namesAsked.test(name) || namesAsked.test(value));

export const needsLogins = ({ settings }: Dialogue): boolean => settings.get('smtpd_sasl_auth_enable') === 'yes';

/** Why nobody can log in; false: users can. */
export const noLogins: string | false = noDovecot;

/** Why there are no names for this peer; false: there are. */
export function noNames(peer: 'ours' | 'postfix'): string | false {
  if (noNameServer || peer === 'ours') return noNameServer;
  try {
    execFileSync('unshare', ['--mount', '--propagation', 'slave', 'mount', '--bind', '/etc/hosts', '/etc/resolv.conf'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'no mount namespaces here, so Postfix cannot be given a name server';
  }
}

export async function surround(peer: 'ours' | 'postfix'): Promise<Surroundings> {
  const policy = await policyServer();
  const filter = await startFilterServer();
  const portOf = (server: Server): string => String((server.address() as AddressInfo).port);
  const mainCf = new Map([['policy_port', portOf(policy)], ['filter_port', portOf(filter)]]);
  const dovecot = noLogins ? undefined : await Dovecot.start({ users: passwords });
  if (dovecot !== undefined) for (const [name, value] of [['smtpd_sasl_type', 'dovecot'], ['smtpd_sasl_path', `inet:127.0.0.1:${dovecot.port}`]] as const) mainCf.set(name, value);
  const closed = (server: Server): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));
  const stopPolicy = async (): Promise<void> => void await Promise.all([dovecot?.stop(), closed(policy), closed(filter)]);
  if (noNames(peer)) return { mainCf, command: [], stop: stopPolicy };
  // The resolver of the C library knows no other port.
  const address = peer === 'ours' ? '127.0.0.1' : `127.53.${process.pid >> 8 & 255}.${process.pid & 255 || 1}`;
  const port = peer === 'ours' ? await freePort() : 53;
  const nsd = await startNameServer(address, port, zones);
  const directory = mkdtempSync(`${tmpdir()}/dialogue-names-`);
  chmodSync(directory, 0o755);
  writeFileSync(`${directory}/resolv.conf`, `nameserver ${address}${peer === 'ours' ? `:${port}` : ''}\n`);
  if (peer === 'ours') mainCf.set('resolver_configuration', `${directory}/resolv.conf`);
  const command = ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', `mount --bind ${directory}/resolv.conf /etc/resolv.conf && exec "$@"`, 'sh'];
  return {
    mainCf, command: peer === 'ours' ? [] : command,
    stop: async () => {
      await Promise.all([stopPolicy(), nsd.stop()]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Answers what policy_context says. */
async function policyServer(): Promise<Server> {
  const server = createServer((socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const attributes = new Map(text.slice(0, end).split('\n').map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
        text = text.slice(end + 2);
        const context = attributes.get('policy_context') ?? '';
        const shown = /^show (.*)$/.exec(context)?.[1];
        if (context === 'silent') continue;
        if (context === 'nothing') socket.end();
        else if (context === 'junk') socket.write('junk\n\n');
        else socket.write(shown === undefined ? `action=${context}\n\n` : `action=REJECT ${shown}=${shown === 'all' ? [...attributes.keys()].join(' ') : attributes.get(shown)}\n\n`);
      }
    });
  });
  server.unref();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return server;
}
