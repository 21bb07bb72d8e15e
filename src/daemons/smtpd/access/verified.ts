/**
 * reject_unverified_sender and reject_unverified_recipient: does mail to this address get there? verify(8) knows, or finds out with a
 * probe; it is asked a few times before the client is told to come again. ADDRESS_VERIFICATION_README.
 */
import { ServiceTrouble } from '../../../ipc/service.ts';
import { probeStatus } from '../../../ipc/verify.ts';
import { addressOf, classOf, type Side } from './address.ts';
import { outside } from './names.ts';
import { deferOr } from './refuse.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Restriction } from './state.ts';

interface Found { readonly probe: number; readonly text: string }

/** What the parameters of that side say. */
function rulesOf({ view }: AccessSetup, side: Side): { deferCode: number; rejectCode: number; action: string; why: string; status: string } {
  return side === 'sender'
    ? { deferCode: view.unverified_sender_defer_code, rejectCode: view.unverified_sender_reject_code, action: view.unverified_sender_tempfail_action, why: view.unverified_sender_reject_reason, status: '4.1.7' }
    : { deferCode: view.unverified_recipient_defer_code, rejectCode: view.unverified_recipient_reject_code, action: view.unverified_recipient_tempfail_action, why: view.unverified_recipient_reject_reason, status: '4.1.1' };
}

export const rejectUnverified = (side: Side) => (setup: AccessSetup): Restriction => (state) => {
  const address = addressOf(state, side);
  return address === undefined || address === '' ? undefined : verified(setup, state, side, address);
};

async function verified(setup: AccessSetup, state: AccessState, side: Side, address: string): Promise<Decision> {
  const { deferCode, rejectCode, action, why, status } = rulesOf(setup, side);
  const text = (reason: string): string => `<${address}>: ${classOf[side]} rejected: ${reason}`;
  const found = await asked(setup, address);
  if (found === undefined) {
    setup.tools.warn(`${setup.view.address_verify_service_name} service failure`);
    return deferOr(action, state, { code: 450, status, text: text('address verification problem') }, setup.tools, setup.rules);
  }
  if (found.probe === probeStatus.ok) return undefined;
  const code = found.probe === probeStatus.bounce ? rejectCode : deferCode;
  const reason = why === '' ? found.text : why;
  if (code < 400) return undefined;
  if (code < 500) return deferOr(action, state, { code, status, text: text(`unverified address: ${reason.slice(0, 250)}`) }, setup.tools, setup.rules);
  return refused(setup, state, { code, status, text: text(`undeliverable address: ${reason}`) });
}

/** Undefined: the service is not there, or does not understand us. */
async function asked(setup: AccessSetup, address: string): Promise<Found | undefined> {
  const { verify, sleep } = outside(setup);
  const { address_verify_poll_count: polls, address_verify_poll_delay: seconds } = setup.view;
  try {
    for (let poll = 1; ; poll++) {
      const { status, recipient_status: probe, reason: text } = await verify.query({ address });
      if (status !== 0) return undefined;
      if (probe !== probeStatus.todo || poll >= polls) return { probe, text };
      await sleep(seconds * 1000);
    }
  } catch (error) {
    if (error instanceof ServiceTrouble) return undefined;
    throw error;
  }
}
