/**
 * Mail for a thousand recipients where only a few may be in hand at once: each gets it once, also when the queue manager is relieved
 * meanwhile, when some are refused for now, and when all is killed. What comes behind it does not wait for it.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import { masterRows } from '../master-rows.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { submit } from '../submit.ts';

const rows = (door: number): string => `127.0.0.1:${door} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace')}
smtp unix - - n - 10 smtp
${masterRows('showq error retry virtual anvil')}
`;

const domains = 8;
const many = Array.from({ length: 1000 }, (_, number) => `u${number}@d${number % domains}.test`);

/** Whoever is at the other end: takes mail, tells for whom, and is slow. */
class World {
  readonly got = new Map<string, number>();
  /** Recipients that are refused for now. */
  refuses: (recipient: string) => boolean = () => false;
  pause = 60;
  readonly #sockets = new Set<net.Socket>();
  readonly #server = net.createServer((socket) => this.#serve(socket));

  async open(t: TestContext): Promise<number> {
    this.#server.listen(0, '0.0.0.0');
    await new Promise((resolve) => this.#server.once('listening', resolve));
    t.after(() => {
      for (const socket of this.#sockets) socket.destroy();
      this.#server.close();
    });
    return (this.#server.address() as net.AddressInfo).port;
  }

  get total(): number {
    let total = 0;
    for (const count of this.got.values()) total += count;
    return total;
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    socket.write('220 world.test ESMTP\r\n');
    let input = '';
    let recipients: string[] = [];
    let inData = false;
    // Replies come in the order of what they answer.
    let isBusy = false;
    const work = (): void => {
      for (let end = this.#end(input, inData); !isBusy && end >= 0; end = this.#end(input, inData)) {
        const part = input.slice(0, end);
        input = input.slice(end + (inData ? 5 : 2));
        if (inData) {
          inData = false;
          const taken = recipients;
          recipients = [];
          isBusy = true;
          setTimeout(() => {
            isBusy = false;
            if (socket.destroyed) return;
            for (const each of taken) this.got.set(each, (this.got.get(each) ?? 0) + 1);
            socket.write('250 2.0.0 taken\r\n');
            work();
          }, this.pause);
        } else inData = this.#answer(socket, part, recipients);
      }
    };
    socket.on('data', (chunk: Buffer) => {
      input += chunk.toString('latin1');
      work();
    });
  }

  #end(input: string, inData: boolean): number {
    return input.indexOf(inData ? '\r\n.\r\n' : '\r\n');
  }

  #answer(socket: net.Socket, line: string, recipients: string[]): boolean {
    const recipient = /^RCPT TO:<([^>]*)>/i.exec(line)?.[1];
    if (recipient !== undefined && this.refuses(recipient)) socket.write('450 4.2.1 not now\r\n');
    else if (recipient !== undefined) {
      recipients.push(recipient);
      socket.write('250 2.1.5 ok\r\n');
    } else if (/^DATA/i.test(line)) {
      socket.write(recipients.length > 0 ? '354 go\r\n' : '554 5.5.1 no valid recipients\r\n');
      return recipients.length > 0;
    } else if (/^EHLO/i.test(line)) socket.write('250-world.test\r\n250 PIPELINING\r\n');
    else if (/^QUIT/i.test(line)) socket.end('221 2.0.0 bye\r\n');
    else socket.write('250 2.0.0 ok\r\n');
    return false;
  }
}

interface Scene { readonly house: Instance; readonly world: World; send(recipients: readonly string[]): Promise<string> }

async function scene(t: TestContext, mainCf = ''): Promise<Scene> {
  const world = new World();
  const port = await world.open(t);
  const door = await freePort();
  const routes = Array.from({ length: domains }, (_, number) => `{d${number}.test = smtp:[127.0.0.${number + 2}]:${port}}`);
  const house = await Instance.create({
    compiled: true, masterCf: rows(door),
    mainCf: `inet_protocols = ipv4
mydestination =
transport_maps = inline:{${routes.join(' ')} {quick.test = smtp:[127.0.0.40]:${port}}}
qmgr_message_active_limit = 40
qmgr_message_recipient_limit = 40
default_recipient_limit = 60
default_recipient_refill_limit = 20
default_recipient_refill_delay = 1s
smtp_destination_recipient_limit = 7
smtp_destination_concurrency_limit = 3
minimal_backoff_time = 2s
queue_run_delay = 1s
transport_retry_time = 2s
smtp_host_lookup = native
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
mynetworks = 127.0.0.0/8
${mainCf}`,
  });
  t.after(() => house.stop());
  await house.start();
  return { house, world, send: (recipients) => submit({ port: door, sender: 'list@home.test', recipients, text: 'Subject: to all\n\nhello\n' }) };
}

const once = (world: World, recipients: readonly string[]): void => {
  assert.deepEqual(recipients.filter((each) => world.got.get(each) !== 1).map((each) => `${each} ${world.got.get(each) ?? 0}`), []);
  assert.equal(world.got.size, recipients.length);
};

test('a thousand recipients, forty in hand: each gets it once, and single mail goes between', async (t) => {
  const { house, world, send } = await scene(t);
  const queueId = await send(many);
  await eventually('it is under way', () => world.total > 50);
  await send(['joe@quick.test']);
  await eventually('single mail is delivered', () => world.got.get('joe@quick.test') === 1);
  assert.ok(world.total < 900, `after ${world.total} of the list`);
  await eventually('the list is through', () => house.lines(new RegExp(`${queueId}: removed`)).length === 1);
  once(world, [...many, 'joe@quick.test']);
  assert.match(house.lines(new RegExp(`${queueId}: from=`))[0]!, /nrcpt=1000 \(queue active\)/);
  assert.equal(house.lines(new RegExp(`${queueId}: to=.*status=sent`)).length, 1000);
});

test('some are refused at first: they are tried again, and only they', async (t) => {
  const { house, world, send } = await scene(t);
  const refused = new Set(many.filter((_, number) => number % 9 === 0));
  world.pause = 0;
  world.refuses = (recipient) => refused.delete(recipient);
  const queueId = await send(many);
  await eventually('all are delivered', () => house.lines(new RegExp(`${queueId}: removed`)).length === 1);
  once(world, many);
});

test('the queue manager is relieved in the midst of it, twice', async (t) => {
  const { house, world, send } = await scene(t);
  const queueId = await send(many);
  for (const count of [100, 400]) {
    await eventually('some are delivered', () => world.total > count);
    house.signal('SIGHUP');
  }
  await eventually('all are delivered', () => house.lines(new RegExp(`${queueId}: removed`)).length === 1);
  once(world, many);
});

test('all is killed in the midst of it: nobody is forgotten, and few get it twice', async (t) => {
  const { house, world, send } = await scene(t);
  const queueId = await send(many);
  await eventually('some are delivered', () => world.total > 200);
  await house.killAll();
  await house.start();
  await eventually('all are delivered', () => house.lines(new RegExp(`${queueId}: removed`)).length === 1);
  assert.deepEqual(many.filter((each) => !world.got.has(each)), []);
  // Those that were taken, and not yet known to be: at most what was under way.
  assert.ok(world.total - many.length <= 10 * 7, `${world.total - many.length} too many`);
});
