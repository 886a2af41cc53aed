/** From a line of what the browser runs to the line of the program as it was written, by the source map beside it. */

/** A place in a file, counted from 1. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

interface SourceMap {
  readonly sources: readonly string[];
  readonly sourcesContent?: readonly (string | null)[];
  readonly mappings: string;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Numbers of a segment of a source map: each in digits of five bits, the sign in the lowest one. */
export function numbersOf(segment: string): number[] {
  const result: number[] = [];
  let value = 0;
  let shift = 0;
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if ((bits & 32) !== 0) continue;
    result.push((value & 1) === 1 ? -(value >> 1) : value >> 1);
    value = 0;
    shift = 0;
  }
  return result;
}

/** The written line of a place (counted from 1) in what was made of it; null if the map does not tell. */
export function originalOf(map: SourceMap, line: number, column: number): SourceLine | null {
  let source = 0;
  let sourceLine = 0;
  let found: SourceLine | null = null;
  for (const [i, segments] of map.mappings.split(";").slice(0, line).entries()) {
    let at = 0;
    for (const segment of segments.split(",")) {
      const [step, sourceStep, lineStep] = numbersOf(segment);
      if (step === undefined) continue;
      at += step;
      if (sourceStep === undefined || lineStep === undefined) continue;
      source += sourceStep;
      sourceLine += lineStep;
      if (i < line - 1 || at > column - 1) continue;
      const text = map.sourcesContent?.[source]?.split("\n")[sourceLine]?.trim() ?? "";
      found = { file: (map.sources[source] ?? "").split("/").at(-1)!, line: sourceLine + 1, text };
    }
  }
  return found;
}

const maps = new Map<string, Promise<SourceMap | null>>();

async function loadMap(url: string): Promise<SourceMap | null> {
  const script = await (await fetch(url)).text();
  const given = [...script.matchAll(/\/\/# sourceMappingURL=(\S+)/g)].at(-1)?.[1];
  if (given === undefined) return null;
  const response = await fetch(new URL(given, url));
  return response.ok ? ((await response.json()) as SourceMap) : null;
}

/** The written line of a frame of a stack trace, such as `step (http://localhost/models.ts:12:7)`; null where it cannot be found. */
export async function lineOfSite(site: string): Promise<SourceLine | null> {
  const [, url, line, column] = /(https?:[^\s()]+?):(\d+):(\d+)\)?$/.exec(site) ?? [];
  if (url === undefined) return null;
  let map = maps.get(url);
  if (map === undefined) {
    map = loadMap(url).catch(() => null);
    maps.set(url, map);
  }
  const loaded = await map;
  return loaded === null ? null : originalOf(loaded, Number(line), Number(column));
}
