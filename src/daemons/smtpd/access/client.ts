/** Restrictions about who the client is: its network, its name. postconf(5), RFC 7372. */
import { isPending, type MaybePromise } from '../../../text/maybe.ts';
import { noteMyNetwork } from './old-defaults.ts';
import { clientSubject, permitted } from './permitted.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Maker, Restriction } from './state.ts';

export const permitMynetworks: Maker = (setup, _argument, { name }) => {
  const answered = (isMine: boolean, state: AccessState): MaybePromise<Decision> => {
    if (!isMine) return undefined;
    const noted = noteMyNetwork(setup, state);
    return isPending(noted) ? noted.then(() => permitted(setup, state, name, clientSubject(state))) : permitted(setup, state, name, clientSubject(state));
  };
  return (state) => {
    const isMine = setup.isMyNetwork(state.client.name, state.client.address);
    return isPending(isMine) ? isMine.then((late) => answered(late, state)) : answered(isMine, state);
  };
};

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
