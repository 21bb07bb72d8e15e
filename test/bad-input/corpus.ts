/**
 * Byte strings that clients have sent to break some SMTP server: kept, and played in every test run, whole and cut anywhere. What a
 * fuzzer finds is added here. The comments say which weakness is meant, with its CVE id where it has one.
 */
const open = 'EHLO a\r\n';
const mail = `${open}MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n`;
const data = `${mail}DATA\r\n`;
const end = '\r\n.\r\n';
const many = (text: string, count: number): string => text.repeat(count);

export const corpus: ReadonlyMap<string, string> = new Map([
  // Boundaries of messages: see also smuggling.test.ts, which tries every pair of line ends.
  ['LF . LF', `${data}a\n.\nMAIL FROM:<e@f.test>\r\n${end}QUIT\r\n`],
  ['dots only', `${data}.\n..\n...\r\n.\r.${end}NOOP\r\n`],
  ['content without a line end', `${data}${many('x', 5000)}${end}NOOP\r\n`],
  ['content that ends at once', `${data}.\r\nNOOP\r\n`],
  ['NUL everywhere', `${data}\0\0Subject:\0x\r\n\0${end}NO\0OP\r\n`],
  ['a header cut by NUL and CR', `${data}X: a\rX-Evil: b\0c\r\n\r\n${end}`],
  // Chunks: CVE-2017-16943, CVE-2017-16944, CVE-2026-45185.
  ['a chunk after nobody was accepted', `${open}BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n`],
  ['a chunk of commands', `${mail}BDAT 12 LAST\r\nQUIT\r\nQUIT\r\nNOOP\r\n`],
  ['a chunk of dots', `${mail}BDAT 10\r\n.\r\n.\r\n\r\n.\r\nBDAT 0 LAST\r\nNOOP\r\n`],
  ['a chunk shorter than it says', `${mail}BDAT 100 LAST\r\nQUIT\r\n`],
  ['a chunk of more than there is', `${mail}BDAT 99999999999999999999 LAST\r\nx`],
  ['a chunk of 2^31', `${mail}BDAT 2147483648 LAST\r\nNOOP\r\n`],
  ['a chunk of 2^63', `${mail}BDAT 9223372036854775808 LAST\r\nNOOP\r\n`],
  ['a chunk of less than nothing', `${mail}BDAT -1 LAST\r\nBDAT 0\r\nBDAT 0x10\r\nBDAT 1e3\r\nBDAT +5\r\nNOOP\r\n`],
  ['no chunk at all', `${mail}BDAT\r\nBDAT LAST\r\nBDAT 5 LAST LAST\r\nhello`],
  ['a chunk, then DATA', `${mail}BDAT 3\r\nabcDATA\r\nx${end}`],
  ['a chunk, then MAIL', `${mail}BDAT 3\r\nabcMAIL FROM:<>\r\nRSET\r\nNOOP\r\n`],
  ['chunks of one byte', `${mail}${many('BDAT 1\r\n.', 50)}BDAT 0 LAST\r\n`],
  // Encryption: CVE-2011-0411.
  ['commands behind STARTTLS', `${open}STARTTLS\r\nRSET\r\nMAIL FROM:<e@f.test>\r\n`],
  ['STARTTLS with words', `${open}STARTTLS x\r\nSTARTTLS\0\r\nSTARTTLS`],
  ['a hello of TLS to a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  // Paths: CVE-2003-0540, CVE-2019-10149, CVE-2020-7247.
  ['.!', `${open}MAIL FROM:<.!@b.test>\r\nMAIL FROM:<.!>\r\nRCPT TO:<.!.!.!>\r\n`],
  ['routes without end', `${open}MAIL FROM:<${many('@a,', 600)}@b:c@d.test>\r\n`],
  ['quotes without end', `${open}MAIL FROM:<"${many('\\"', 900)}@b.test>\r\n`],
  ['brackets', `${open}MAIL FROM:${many('<', 1900)}\r\nMAIL FROM:<${many('(', 900)}a@b.test>\r\n`],
  ['at signs', `${open}MAIL FROM:<${many('@', 1900)}>\r\n`],
  ['commands of a shell', `${open}MAIL FROM:<;touch x;>\r\nRSET\r\nMAIL FROM:<\${run{x}}@b.test>\r\nRCPT TO:<$(id)@d.test>\r\nRCPT TO:<|id@d.test>\r\nRCPT TO:<-oQ/tmp@d.test>\r\n`],
  ['a path without its bracket', `${open}MAIL FROM:<a@b.test\r\nMAIL FROM:a@b.test>\r\nMAIL FROM:\r\nMAIL FROM\r\nMAIL\r\n`],
  ['literals', `${open}MAIL FROM:<a@[127.0.0.1]>\r\nRCPT TO:<a@[IPv6:fe80::1%lo]>\r\nRCPT TO:<a@[IPv6:::ffff:127.0.0.1]>\r\nRCPT TO:<a@[999.1.1.1]>\r\nRCPT TO:<a@[>\r\n`],
  ['8-bit', `${open}MAIL FROM:<\xe4@b.test>\r\nMAIL FROM:<\xc3\xa4@b.test> SMTPUTF8\r\nRCPT TO:<\xc3\x28@d.test>\r\n`],
  ['names of properties', `EHLO __proto__\r\nMAIL FROM:<constructor@__proto__> __proto__=1\r\ntoString\r\nMAIL FROM:<>\r\nRCPT TO:<toString@d.test> constructor=x\r\n`],
  // Parameters.
  ['line ends in xtext', `${open}MAIL FROM:<> ENVID=a+0D+0Ab\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test> ORCPT=rfc822;a+0D+0AX-Evil:1\r\n`],
  ['xtext that is none', `${open}MAIL FROM:<> ENVID=a+0\r\nMAIL FROM:<> ENVID=+\r\nMAIL FROM:<> ENVID=+zz\r\nMAIL FROM:<> ENVID=\r\n`],
  ['sizes', `${open}MAIL FROM:<> SIZE=-1\r\nMAIL FROM:<> SIZE=99999999999999999999\r\nMAIL FROM:<> SIZE=1e3\r\nMAIL FROM:<> SIZE=\r\n`],
  ['a hundred parameters', `${open}MAIL FROM:<>${many(' X=1', 400)}\r\n`],
  // Lines.
  ['a line without end', `${open}NOOP ${many('x', 200_000)}`],
  ['a line of exactly the limit', `${open}NOOP ${many('x', 2041)}\r\nNOOP ${many('x', 2042)}\r\nNOOP ${many('x', 2043)}\r\nNOOP\r\n`],
  ['line ends only', many('\r\n', 500)],
  ['bare CR', `EHLO a\rMAIL FROM:<>\rQUIT\r\n`],
  ['bare LF', `EHLO a\nMAIL FROM:<>\nRCPT TO:<c@d.test>\nDATA\nx\n.\nQUIT\n`],
  ['control bytes in a reply', `EHLO a\r\nVRFY <a\r\r\nMAIL FROM:<> \x16\x03\x01\r\nMAIL FROM:<> BODY=7\x0eBIT\r\n`],
  ['escape sequences', `HELO x\x1b[2J\r\nMAIL FROM:<\x1b]0;x\x07@b.test>\r\n%s%n%x\r\n`],
  // Other protocols (ALPACA, cross-protocol scripting).
  ['HTTP', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nEHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\n'],
  ['a header as a command', `${open}Subject: x\r\nMAIL FROM:<>\r\n`],
  ['PROXY', 'PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO a\r\n'],
  ['PROXY in bytes', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x01\0\x19EHLO a\r\n'],
  // Who may not.
  ['XCLIENT and XFORWARD by strangers', `${open}XCLIENT ADDR=1.2.3.4%0d%0a NAME=[UNAVAILABLE]\r\nXFORWARD NAME=x ADDR=192.0.2.1\r\nXCLIENT${many(' ADDR=::1', 200)}\r\n`],
  ['AUTH where there is none', `${open}AUTH PLAIN AGEAYg==\r\nAUTH CRAM-MD5\r\n*\r\nAUTH LOGIN ${many('A', 1900)}\r\n`],
  ['many mistakes', many('X\r\n', 50)],
  ['much that is of no use', `${open}${many('RSET\r\n', 300)}`],
  ['many recipients', `${open}MAIL FROM:<>\r\n${many('RCPT TO:<c@d.test>\r\n', 2500)}RSET\r\n`],
]);
