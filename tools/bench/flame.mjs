// Draws V8 profiles (--cpu-prof) of several processes as one flame graph: `node tools/bench/flame.mjs OUT.svg TITLE=FILE...`
// Width is time that the process was not idle; a box is a function with those that it called below it. Boxes narrower than
// a two hundredth are left out.
import { readFileSync, writeFileSync } from 'node:fs';

const width = 1200;
const row = 15;
const least = 1 / 200;
const deepest = 26;

/** Samples merged by the names of the functions on the stack. */
function merged(file) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const root = { name: 'all', time: 0, children: new Map() };
  for (const [at, sample] of samples.entries()) {
    const stack = [];
    for (let id = sample; id !== undefined; id = parents.get(id)) stack.push(nameOf(byId.get(id).callFrame));
    if (stack[0] === '(idle)') continue;
    let box = root;
    box.time += timeDeltas[at];
    for (const name of stack.reverse().slice(1)) {
      if (!box.children.has(name)) box.children.set(name, { name, time: 0, children: new Map() });
      box = box.children.get(name);
      box.time += timeDeltas[at];
    }
  }
  return root;
}

function nameOf({ functionName, url }) {
  const where = url.startsWith('node:') ? url.slice(5) : url.replace(/^.*\/dist\//, '').replace(/\.js$/, '');
  return where === '' ? functionName : `${functionName || '(anonymous)'} ${where}`;
}

const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

function color(name) {
  if (name.startsWith('(')) return '#c9c9c9';
  if (/^(internal\/|net|events|buffer|fs|timers)/.test(name.split(' ')[1] ?? '')) return '#b7d3ea';
  return name.includes(' ') ? '#f3c78a' : '#e39a9a';
}

function boxes(box, x, y, scale, depth, out) {
  const span = box.time * scale;
  if (span < width * least || depth > deepest) return depth - 1;
  const shown = box.name.slice(0, Math.floor(span / 6.2));
  out.push(`<g><title>${escaped(box.name)} ${(box.time * scale / width * 100).toFixed(1)} %</title><rect x="${x.toFixed(1)}" y="${y + depth * row}" width="${span.toFixed(1)}" height="${row - 1}" fill="${color(box.name)}"/>`
    + (shown.length > 2 ? `<text x="${(x + 3).toFixed(1)}" y="${y + depth * row + 11}">${escaped(shown)}</text>` : '') + '</g>');
  let deep = depth;
  let left = x;
  for (const child of [...box.children.values()].sort((a, b) => b.time - a.time)) {
    deep = Math.max(deep, boxes(child, left, y, scale, depth + 1, out));
    left += child.time * scale;
  }
  return deep;
}

const [target, ...profiles] = process.argv.slice(2);
if (target === undefined || profiles.length === 0) {
  console.error('usage: node tools/bench/flame.mjs OUT.svg TITLE=FILE...');
  process.exit(2);
}
const out = [];
let y = 10;
for (const profile of profiles) {
  const at = profile.indexOf('=');
  const root = merged(profile.slice(at + 1));
  out.push(`<text x="3" y="${y + 12}" font-weight="bold">${escaped(profile.slice(0, at))}</text>`);
  y += 18;
  y += (boxes(root, 0, y, width / root.time, 0, out) + 1) * row + 16;
}
writeFileSync(target, `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" font-family="monospace" font-size="10">\n<rect width="100%" height="100%" fill="white"/>\n${out.join('\n')}\n</svg>\n`);
