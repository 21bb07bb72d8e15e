// The few lines of SMTP that `npm start` needs to send one message, and waiting for things to happen.
// Plain JavaScript for any Node from 16 on.
import { connect } from 'node:net';

/** Asks every 50 ms for a true value; rejects after 30 s. */
export async function waitFor(ask) {
  for (let turn = 0; turn < 600; turn++) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('waited in vain');
}

/** A connection, as soon as somebody listens. */
function reach(port) {
  return waitFor(() => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  }));
}

/** One reply, all its lines. */
function readReply(socket, state) {
  return new Promise((resolve, reject) => {
    const look = () => {
      const found = /^(?:[0-9]{3}-[^\n]*\n)*[0-9]{3}(?: [^\n]*)?\n/.exec(state.text);
      if (found === null) return;
      socket.off('data', more);
      state.text = state.text.slice(found[0].length);
      resolve(found[0].trimEnd());
    };
    const more = (chunk) => {
      state.text += chunk.toString('latin1');
      look();
    };
    socket.on('data', more);
    socket.once('close', () => reject(new Error('the connection was closed')));
    look();
  });
}

/** Sends one message and resolves with its queue id; rejects with the reply that refuses it. */
export async function sendMessage({ port, sender, recipient, show }) {
  const socket = await reach(port);
  socket.on('error', () => undefined);
  const state = { text: '' };
  const exchange = async (command, wanted) => {
    if (command !== undefined) {
      for (const line of command.split('\r\n')) show(`C: ${line}`);
      socket.write(`${command}\r\n`);
    }
    const reply = await readReply(socket, state);
    for (const line of reply.split(/\r?\n/)) show(`S: ${line}`);
    if (!reply.startsWith(wanted)) throw new Error(reply);
    return reply;
  };
  await exchange(undefined, '220');
  await exchange('EHLO client.example.test', '250');
  await exchange(`MAIL FROM:<${sender}>`, '250');
  await exchange(`RCPT TO:<${recipient}>`, '250');
  await exchange('DATA', '354');
  const text = `From: <${sender}>\r\nTo: <${recipient}>\r\nSubject: The first message\r\n\r\nIt came through SMTP, was queued, and was put into a Maildir.\r\n.`;
  const reply = await exchange(text, '250');
  await exchange('QUIT', '221');
  return /queued as ([0-9A-Za-z]+)/.exec(reply)?.[1] ?? '';
}
