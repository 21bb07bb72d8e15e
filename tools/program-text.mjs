// The text of a program file: modules, as tsc left them in dist/, put behind one another in the order in which they need each other.
//
// Only modules written as this repository's are understood (imports one a line, exports where things are declared or in lists, circles
// of functions only); anything else ends the build with the file's name.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fail } from './install.mjs';

/** Slow to load and seldom needed: the functions that a module imports from these are fetched at their first call. */
const late = new Set(['node:child_process', 'node:crypto', 'node:timers/promises']);

const importLine = /^import (?:(\w+)(?:, )?)?(?:\* as (\w+)|\{([^}]*)\})?(?: from )?'([^']+)';$/gm;
const exportWord = /^export (?=(?:async )?(?:function\*?|class|const) (\w+))/gm;
const dynamicImport = /\bimport\('(\.[^']+)'\)/g;
const exportList = /^export \{([^}]*)\}(?: from '([^']+)')?;$/gm;

export class Program {
  #dist;
  /** Module text by path, each behind what it imports. */
  #modules = new Map();
  #underWay = new Set();

  constructor(dist) {
    this.#dist = dist;
  }

  add(file) {
    if (this.#modules.has(file)) return;
    this.#underWay.add(file);
    this.#modules.set(file, this.#wrapped(file));
    this.#underWay.delete(file);
  }

  /** What a module exports, as an expression of the program file. */
  module(file) {
    this.add(file);
    return `${nameOf(file)}()`;
  }

  /** A function of `require` and the URL of dist/, which answers an object of these expressions. The first line is a name for the text. */
  text(answer) {
    const text = this.#function(answer);
    // Every character must be one byte: that is how it is read, and the smaller half of V8's memory.
    const plain = text.replace(/[^\0-\x7f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
    return `//${createHash('sha256').update(plain).digest('hex').slice(0, 16)}\n${plain}`;
  }

  #function(answer) {
    const modules = [...this.#modules].map(([file, text]) => `const ${nameOf(file)} = $once(() => {\n${text}\n});\n`).join('');
    const parts = Object.entries(answer).map(([name, expression]) => `${name}: ${expression}`);
    return `(function (require, $base) {\n'use strict';\nconst $once = (make) => { let made; return () => (made ??= make()); };\n${modules}return { ${parts.join(', ')} };\n})\n`;
  }

  #wrapped(file) {
    const exported = [];
    const text = readFileSync(`${this.#dist}/${file}`, 'utf8')
      .replace(importLine, (_line, whole, all, names, from) => this.#imported(file, whole, all, names, from))
      .replace(exportWord, (_word, name) => { exported.push(name); return ''; })
      .replace(dynamicImport, (_call, from) => `Promise.resolve().then(${this.#module(file, from)})`)
      .replace(exportList, (_line, names, from) => this.#exported(file, names, from, exported))
      .replaceAll('import.meta.url', `new URL('${file}', $base).href`);
    const strange = /^(?:import|export)\b.*|\bimport[.(].*/m.exec(text.replace(/^\s*(?:\/\/|\/?\*).*$/gm, ''));
    if (strange) fail(`tools/program-text.mjs: ${file}: cannot read "${strange[0]}"`);
    return `${text}\nreturn { ${exported.join(', ')} };`;
  }

  #imported(file, whole, all, names, from) {
    if (whole === undefined && all === undefined && this.#isLate(file, names, from))
      return names.split(',').map((name) => lateFunction(name.trim().split(' as '), from.startsWith('.') ? `${nameOf(moduleFrom(file, from))}()` : `require('${from}')`)).join(' ');
    const source = from.startsWith('.') ? `${this.#module(file, from)}()` : `require('${from}')`;
    const wanted = [whole, all, names === undefined ? undefined : `{${names.replaceAll(' as ', ': ')}}`].filter((each) => each !== undefined);
    return wanted.map((each) => `const ${each} = ${source};`).join(' ') || `${source};`;
  }

  /** Also in a circle of modules, which is possible as long as it is of functions. */
  #isLate(file, names, from) {
    if (!this.#underWay.has(moduleFrom(file, from))) return late.has(from) && !/\b(?:[A-Z]\w*|constants|scheduler|webcrypto)\b/.test(names);
    const text = readFileSync(`${this.#dist}/${moduleFrom(file, from)}`, 'utf8');
    for (const name of names.split(',').map((each) => each.trim().split(' as ')[0]))
      if (!new RegExp(`^export (?:async )?function\\*? ${name}\\(`, 'm').test(text)) fail(`tools/program-text.mjs: ${file} takes ${name}, which is no function, from a module that needs it itself: ${from}`);
    return true;
  }

  /** Names that are exported apart from their declaration, or handed on from another module. */
  #exported(file, names, from, exported) {
    const pairs = names.split(',').map((each) => each.trim()).filter((each) => each !== '').map((each) => each.split(' as '));
    const source = from === undefined ? '' : `${this.#module(file, from)}().`;
    exported.push(...pairs.map(([name, known = name]) => (source === '' && known === name ? name : `${known}: ${source}${name}`)));
    return '';
  }

  #module(file, from) {
    const target = moduleFrom(file, from);
    if (!this.#underWay.has(target)) this.add(target);
    return nameOf(target);
  }
}

function moduleFrom(file, from) {
  return path.posix.join(path.posix.dirname(file), from);
}

function lateFunction([name, local = name], source) {
  return `const ${local} = (...words) => ${source}.${name}(...words);`;
}

function nameOf(file) {
  return `$${file.replace(/\.js$/, '').replace(/[^a-z0-9]/gi, '_')}`;
}
