/**
 * The plot of the report: a bar per row, as long as Postern's end-to-end rate in Postfix's. Pure; plain SVG, text as text.
 */
import { ratios, type Row } from './results.ts';
import { figure } from './statistics.ts';

const width = 860;
const labelWidth = 380;
const barHeight = 16;
const rowHeight = 22;
const top = 66;
const colours = { shipped: '#2f6f9f', tuned: '#d08a2e' } as const;

interface Bar { readonly label: string; readonly ratio: number; readonly goal: number | undefined; readonly colour: string }

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function barsOf(rows: readonly Row[]): Bar[] {
  return rows.flatMap((row) => {
    const found = ratios(row);
    return found === undefined ? [] : [{ label: row.title, ratio: found.endToEnd, goal: row.goal, colour: colours[row.variant] }];
  });
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${x}" y="${y}"${more}>${escapeXml(content)}</text>`;
}

function drawBar({ label, ratio, goal, colour }: Bar, index: number, scale: number): string {
  const y = top + index * rowHeight;
  const length = Math.max(1, Math.round(ratio * scale));
  const wanted = goal === undefined ? '' : `<line x1="${labelWidth + goal * scale}" x2="${labelWidth + goal * scale}" y1="${y - 1}" y2="${y + barHeight + 1}" stroke="#000" stroke-width="2"/>`;
  return [
    text(labelWidth - 8, y + 12, label, ' text-anchor="end"'),
    `<rect x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" fill="${colour}"/>${wanted}`,
    text(labelWidth + length + 8, y + 12, figure(ratio)),
  ].join('\n');
}

function legend(): string {
  return [
    `<rect x="12" y="34" width="12" height="12" fill="${colours.shipped}"/>`, text(30, 44, 'Postfix as shipped'),
    `<rect x="170" y="34" width="12" height="12" fill="${colours.tuned}"/>`, text(188, 44, 'Postfix tuned'),
    '<line x1="310" x2="310" y1="33" y2="47" stroke="#000" stroke-width="2"/>', text(318, 44, 'wanted'),
    '<line x1="400" x2="400" y1="33" y2="47" stroke="#888" stroke-dasharray="3 3"/>', text(408, 44, 'Postfix = 1'),
  ].join('\n');
}

export function ratioPlot(rows: readonly Row[], title: string): string {
  const bars = barsOf(rows);
  const longest = Math.max(1, ...bars.map(({ ratio, goal }) => Math.max(ratio, goal ?? 0)));
  const scale = (width - labelWidth - 70) / longest;
  const height = top + bars.length * rowHeight + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="${width}" height="${height}" fill="#fff"/>
${text(12, 22, title, ' font-size="15"')}
${legend()}
<line x1="${labelWidth + scale}" x2="${labelWidth + scale}" y1="${top - 6}" y2="${height - 8}" stroke="#888" stroke-dasharray="3 3"/>
${bars.map((bar, index) => drawBar(bar, index, scale)).join('\n')}
</svg>
`;
}
