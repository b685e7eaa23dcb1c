import { posix } from 'node:path';
import { findCircles } from './find-circles.ts';
import {
  bannedFileNames,
  bannedWords,
  decidingFiles,
  decidingRooms,
  doors,
  longFiles,
  maxLines,
  rooms,
  synchronousRooms,
  waiting,
  type Door,
  type Room,
} from './house-rules.ts';
import { readSource, type Import, type Source } from './read-source.ts';

/** All that breaks the house rules, one sentence each: `path: what`. Keys of `files` are paths relative to src. */
export function findViolations(files: ReadonlyMap<string, string>): string[] {
  const sources = [...files].map(([path, text]) => readSource(path, text));
  return [
    ...sources.flatMap((source) => [
      ...source.imports.flatMap((found) => checkImport(source, found)),
      ...doors.flatMap((door) => checkDoor(source, door)),
      ...checkManners(source),
      ...checkWaiting(source),
    ]),
    ...checkOncePerRoom(sources),
    ...checkDeciding(sources),
    ...findCircles(sources),
  ];
}

const roomOf = (path: string): string =>
  path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, '');
const roomNamed = (name: string): Room | undefined =>
  Object.hasOwn(rooms, name) ? rooms[name as keyof typeof rooms] : undefined;

/** Path relative to src, or undefined for a package. */
const targetOf = (path: string, specifier: string): string | undefined =>
  specifier.startsWith('.') || specifier.startsWith('/') ? posix.join(posix.dirname(path), specifier) : undefined;

const matches = (pattern: string, specifier: string): boolean =>
  pattern.endsWith('*')
    ? specifier.startsWith(pattern.slice(0, -1))
    : specifier === pattern || specifier.startsWith(`${pattern}/`);

function checkImport({ path }: Source, { specifier, typeOnly }: Import): string[] {
  const name = roomOf(path);
  const room = roomNamed(name);
  if (!room) return [`${path}: there is no room ${name}`];
  if (specifier === '') return [`${path}: imports something computed`];
  const target = targetOf(path, specifier);
  if (target === undefined) {
    if (room.packages.some((allowed) => matches(allowed, specifier))) return [];
    const asType = room.typesOnly?.some((allowed) => matches(allowed, specifier)) ?? false;
    if (asType && typeOnly) return [];
    return [`${path}: ${name} may not import ${specifier}${asType ? ' (only its types)' : ''}`];
  }
  if (target.startsWith('../') || specifier.startsWith('/'))
    return [`${path}: imports ${specifier}, which is not in src`];
  if (!target.endsWith('.ts')) return [`${path}: imports ${specifier}, which does not end in .ts`];
  if (roomOf(target) === name) return [];
  if (room.rooms.some((allowed) => allowed === target || allowed === roomOf(target))) return [];
  return [`${path}: ${name} may not import ${target}`];
}

function checkDoor({ path, code, imports }: Source, { thing, packages, code: pattern, files }: Door): string[] {
  if (files.test(path)) return [];
  const imported = imports
    .filter(({ specifier, typeOnly }) => !typeOnly && packages?.some((name) => matches(name, specifier)))
    .map(({ specifier }) => `${path}: imports ${specifier}, but ${thing} has one door: ${files.source}`);
  const used = pattern?.exec(code);
  return used
    ? [...imported, `${path}:${lineOf(code, used.index)}: ${used[0].trim()}: ${thing} has one door: ${files.source}`]
    : imported;
}

function checkOncePerRoom(sources: readonly Source[]): string[] {
  return doors
    .filter((door) => door.oncePerRoom)
    .flatMap(({ thing, packages = [] }) => {
      const through = sources.filter(({ imports }) =>
        imports.some(({ specifier, typeOnly }) => !typeOnly && packages.some((name) => matches(name, specifier))),
      );
      return through
        .filter(({ path }, index) => through.slice(0, index).some((earlier) => roomOf(earlier.path) === roomOf(path)))
        .map(({ path }) => `${path}: another file of ${roomOf(path)} is the door to ${thing} already`);
    });
}

function checkWaiting({ path, code }: Source): string[] {
  if (!synchronousRooms.includes(roomOf(path))) return [];
  const found = waiting.exec(code);
  return found ? [`${path}:${lineOf(code, found.index)}: ${found[0].trim()}: nothing waits in ${roomOf(path)}`] : [];
}

/** What a deciding file reaches by value, through other files of the controller too. */
function checkDeciding(sources: readonly Source[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  return sources
    .filter(({ path }) => decidingFiles.test(path))
    .flatMap(({ path: start }) => {
      const reached = new Set([start]);
      const violations: string[] = [];
      for (const path of reached) {
        if (roomOf(path) !== 'controller') continue;
        for (const { specifier, typeOnly } of byPath.get(path)?.imports ?? []) {
          if (typeOnly) continue;
          const target = targetOf(path, specifier);
          if (target !== undefined && decidingRooms.includes(roomOf(target))) reached.add(target);
          else
            violations.push(
              `${start}: decides, but reaches ${target ?? specifier}${path === start ? '' : ` through ${path}`}`,
            );
        }
      }
      return violations;
    });
}

const kebab = /^[a-z0-9]+(-[a-z0-9]+)*$/;
/** `readHTTPInfo` → read, http, info */
const wordsOf = (name: string): string[] =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.toLowerCase());
const bannedIn = (name: string): string | undefined =>
  wordsOf(name).find((word) => bannedWords.some((banned) => word === banned || word === `${banned}s`));

function checkManners({ path, text, code, imports, exports }: Source): string[] {
  const violations: string[] = [];
  const parts = path.replace(/\.ts$/, '').split('/');
  for (const part of parts) {
    if (!kebab.test(part)) violations.push(`${path}: ${part} is not kebab-case`);
    if (bannedFileNames.includes(part)) violations.push(`${path}: a file is not called ${part}`);
    const word = bannedIn(part);
    if (word !== undefined) violations.push(`${path}: ${word} says nothing in a file’s name`);
  }
  for (const name of exports) {
    const word = bannedIn(name);
    if (word !== undefined) violations.push(`${path}: ${word} says nothing in the name ${name}`);
  }
  if (/(?<![.\w$])export\s+default\b|\bas\s+default\b/.test(code)) violations.push(`${path}: has a default export`);
  if (imports.some(({ reexport, specifier }) => reexport && specifier.startsWith('.'))) {
    violations.push(`${path}: exports again what another file exports`);
  }
  if (/(?<![.\w$])enum\s+\w+\s*\{/.test(code)) violations.push(`${path}: has an enum`);
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  if (lines > maxLines && !longFiles.includes(path))
    violations.push(`${path}: has ${lines} lines, more than ${maxLines}`);
  return violations;
}

const lineOf = (code: string, index: number): number => code.slice(0, index).split('\n').length;
