/** Restrictions about who the client is: its network, its name. postconf(5), RFC 7372. */
import { chain } from '../../../text/maybe.ts';
import { noteMyNetwork } from './old-defaults.ts';
import { clientSubject, permitted } from './permitted.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { Maker, Restriction } from './state.ts';

export const permitMynetworks: Maker = (setup, _argument, { name }) => (state) =>
  chain(setup.isMyNetwork(state.client.name, state.client.address), (isMine) =>
    (isMine ? chain(noteMyNetwork(setup, state), () => permitted(setup, state, name, clientSubject(state))) : undefined));

export const permitInetInterfaces: Maker = (setup, _argument, { name }) => (state) =>
  setup.isOwnAddress(state.client.address) ? permitted(setup, state, name, clientSubject(state)) : undefined;

export const rejectUnknownClientHostname = (setup: AccessSetup): Restriction => (state) => {
  const { client } = state;
  if (client.nameStatus === 'ok') return undefined;
  const code = client.nameStatus === 'permanent' ? setup.view.unknown_client_reject_code : 450;
  return refused(setup, state, { code, status: '4.7.25', text: `Client host rejected: cannot find your hostname, [${client.address}]` });
};

export const rejectUnknownReverseClientHostname = (setup: AccessSetup): Restriction => (state) => {
  const { client } = state;
  if (client.reverseStatus === 'ok') return undefined;
  const code = client.reverseStatus === 'permanent' ? setup.view.unknown_client_reject_code : 450;
  return refused(setup, state, { code, status: '4.7.1', text: `Client host rejected: cannot find your reverse hostname, [${client.address}]` });
};
