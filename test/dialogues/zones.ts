/** What the name server of the dialogues knows: who the clients are, domains of all kinds, and lists. */
const listed = (names: readonly string[], answer: string): string => names.map((name) => `${name} A ${answer}\n`).join('');

export const zones: Readonly<Record<string, string>> = {
  // 127.0.0.2 has a name that leads back, .3 one that does not, .4 none; .5 one that leads nowhere.
  '127.in-addr.arpa': '2.0.0 PTR friend.names.test.\n3.0.0 PTR liar.names.test.\n5.0.0 PTR nowhere.names.test.\n',
  'names.test': `
friend A 127.0.0.2
liar A 192.0.2.99
host A 192.0.2.10
exchanged MX 10 mx.exchanged
mx.exchanged A 192.0.2.20
listed MX 10 bad.exchanger
bad.exchanger A 192.0.2.66
nomail MX 0 .
nomail A 192.0.2.11
text TXT "no address at all"
ns1.hosting A 192.0.2.53
ns2.hosting A 192.0.2.54
backup MX 10 primary
backup MX 20 mx.dialog.test.
primary A 192.0.2.30
refused TXT "v=spf1 -all"
allowed TXT "v=spf1 ip4:127.0.0.2 -all"
`,
  'served.test': '@ NS ns1.hosting.names.test.\n@ NS ns2.hosting.names.test.\nwww A 192.0.2.12\n',
  'dialog.test': 'mx A 127.0.0.1\n',
  // What it has to say of 127.0.0.2 has reasons, of .3 none.
  'list.test': `${listed(['2.0.0.127', '3.0.0.127'], '127.0.0.2')}${listed(['4.0.0.127'], '127.0.0.9')}2.0.0.127 TXT "listed for a reason"\n2.0.0.127 TXT "and another"\n`,
  'domains.test': `${listed(['friend.names.test', 'nowhere.names.test', 'bad.test', 'client.test', 'elsewhere.test'], '127.0.0.2')}`,
  'white.test': listed(['2.0.0.127', 'friend.names.test'], '127.0.1.1'),
  // Dead lists answer for everything.
  'dead.test': '* A 127.0.0.2\n',
};
