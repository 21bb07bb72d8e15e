import assert from 'node:assert/strict';
import test from 'node:test';
import { parseMasterCf } from '../../config/master-cf.ts';
import { knownDaemon } from '../daemons.ts';
import { place, share, type PlacementSettings } from './placement.ts';

const usual: PlacementSettings = {
  groups: ['network-in', 'queue', 'network-out', 'delivery'], processes: 1, defaultProcessLimit: 100, serviceClientLimit: 10_000,
};

const stock = `
smtp      inet  n       -       n       -       -       smtpd
587       inet  n       -       n       -       5       smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
`;

function placed(text: string, settings = usual, mark: { oneClient?: string; apart?: string } = {}): string[] {
  const { rows, troubles } = parseMasterCf(text, 'master.cf');
  assert.deepEqual(troubles, []);
  const candidates = rows.map((row) => ({
    row, daemon: knownDaemon(row.program)!, oneClient: row.service === mark.oneClient, apart: row.service === mark.apart,
  }));
  return place(candidates, settings).map(({ title, rows: together, processes, oneClient, resident }) => {
    const names = together.map(({ row, limit }) => `${row.service}=${limit}`).join(' ');
    return `${title}: ${names} x${processes}${oneClient ? ' one' : ''}${resident ? ' resident' : ''}`;
  });
}

for (const [name, text, settings, mark, want] of [
  ['the stock rows make four groups', stock, usual, {}, [
    'network-in: smtp=10000 587=5 x1',
    'queue: pickup=100 cleanup=0 qmgr=1 x1 resident',
    'network-out: smtp=100 relay=100 x1',
    'delivery: local=100 virtual=100 x1',
  ]],
  ['no groups: a process per row', 'a unix - - n - 0 cleanup\nb unix - - n - 3 cleanup', { ...usual, groups: [] }, {}, [
    'cleanup -n a -t unix -u: a=0 x1', 'cleanup -n b -t unix -u: b=3 x1',
  ]],
  ['chroot and user are walls', 'a unix - - n - 0 cleanup\nb unix - - y - 0 cleanup\nc unix - n n - 0 cleanup\nd unix - - y - 0 bounce', usual, {}, [
    'queue: a=0 x1', 'queue: b=0 d=0 x1', 'queue: c=0 x1',
  ]],
  ['one client per process: as many processes as maxproc says', '25 inet n - n - 7 smtpd\n587 inet n - n - - smtpd', usual, { oneClient: '25' }, [
    'smtpd -n 25 -t inet -u: 25=1 x7 one', 'network-in: 587=10000 x1',
  ]],
  ['one client per process, no limit', '25 inet n - n - 0 smtpd', usual, { oneClient: '25' }, ['smtpd -n 25 -t inet -u: 25=1 x0 one']],
  ['a row that failed in its group stands alone', 'a unix - - n - 0 cleanup\nb unix - - n - 0 bounce', usual, { apart: 'b' }, [
    'queue: a=0 x1', 'bounce -n b -t unix -u: b=0 x1',
  ]],
  ['several processes for strangers, not for the queue', '25 inet n - n - - smtpd\na unix - - n - 0 cleanup', { ...usual, processes: 4 }, {}, [
    'network-in: 25=10000 x4', 'queue: a=0 x1',
  ]],
  ['never more processes than clients', '25 inet n - n - 1 smtpd\n26 inet n - n - 2 smtpd', { ...usual, processes: 4 }, {}, [
    'network-in: 25=1 26=2 x2',
  ]],
] as const) {
  test(`placement: ${name}`, () => assert.deepEqual(placed(text, settings, mark), want));
}

for (const [limit, count, want] of [
  [0, 4, [0, 0, 0, 0]],
  [10, 1, [10]],
  [10, 4, [3, 3, 2, 2]],
  [1, 3, [1, undefined, undefined]],
  [2, 3, [1, 1, undefined]],
] as const) {
  test(`a limit of ${limit} over ${count} processes`, () => {
    assert.deepEqual(Array.from({ length: count }, (_, index) => share(limit, index, count)), want);
  });
}

test('postscreen is one process of several, and serves as many clients as may come', () => {
  const text = 'smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n';
  const { rows } = parseMasterCf(text, 'master.cf');
  const [together] = place(rows.map((row) => ({ row, daemon: knownDaemon(row.program)!, oneClient: false, apart: false })), { ...usual, processes: 2 });
  assert.deepEqual(together!.rows.map(({ limit, alone = false }) => [0, 1].map((index) => share(limit, index, together!.processes, alone))), [[10_000, undefined], [5000, 5000], [0, 0]]);
});
