/** Restrictions about who the client is: its network, its name. postconf(5), RFC 7372. */
import { chain } from '../../../text/maybe.ts';
import { refused, type AccessSetup } from './setup.ts';
import { permit, type Restriction } from './state.ts';

export const permitMynetworks = (setup: AccessSetup): Restriction => ({ client }) =>
  chain(setup.isMyNetwork(client.name, client.address), (isMine) => (isMine ? permit : undefined));

export const permitInetInterfaces = (setup: AccessSetup): Restriction => ({ client }) =>
  setup.isOwnAddress(client.address) ? permit : undefined;

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
