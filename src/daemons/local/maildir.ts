/** A Maildir, of a user or named in an alias or .forward file. */
import { maildirForm } from '../../delivery/content.ts';
import { deliveryKey } from '../../delivery/delivery-key.ts';
import { isTraceOnly } from '../../delivery/reports.ts';
import { copyFor } from './mailbox.ts';
import { deliveredHeader } from './settings.ts';
import { deeper, failed, sent, type Position, type User, type Work } from './work.ts';

export async function deliverMaildir(work: Work, from: Position, user: User, path: string): Promise<boolean> {
  const here = deeper(from);
  const { view, maildirs } = work.settings;
  if (isTraceOnly(work.request.flags)) return sent(work, here, { text: 'delivers to maildir' });
  const position = view.frozen_delivered_to ? here : { ...here, delivered: here.recipient.address };
  const target = { path, rights: { uid: user.uid, gid: user.gid }, sizeLimit: view.mailbox_size_limit, otherwise: '5.2.0', key: deliveryKey(work.request, here.recipient) };
  const failure = await maildirs.append(target, () => copyFor(work, position, maildirForm, deliveredHeader.file));
  return failure === undefined ? sent(work, position, { text: 'delivered to maildir' }) : failed(work, position, failure);
}
