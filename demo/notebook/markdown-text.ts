/** The notebook's Markdown as plain lines, for a terminal. */

/** Lines of at most `width` columns; formulas without their dollar signs, links by their text and address. */
export function markdownLines(markdown: string, width = 100): string[] {
  return markdown.split("\n").flatMap((line) => wrapLine(inlineText(line), width));
}

function inlineText(line: string): string {
  return line
    .replaceAll(/\[\*?(.*?)\*?\]\((.*?)\)/g, "$1 ($2)")
    .replaceAll(/\*\*(.*?)\*\*/g, "$1")
    .replaceAll("`", "")
    .replaceAll(/\$(.*?)\$/g, (_, tex: string) => plainTex(tex));
}

/** The few things of TeX that stand within the notebook's lines. */
function plainTex(tex: string): string {
  return tex
    .replaceAll(/\\(sin|cos|log)\b/g, "$1")
    .replaceAll("\\cdot", "·")
    .replaceAll(/\^\{?(-?\w)\}?/g, (_, power: string) => power.replaceAll(/./g, (c) => RAISED[c] ?? `^${c}`));
}

const RAISED: Readonly<Record<string, string>> = { "-": "⁻", "1": "¹", "2": "²", "3": "³", T: "ᵀ" };

/** A line broken at spaces; what follows a list's dash or a line's indentation is indented alike. */
function wrapLine(line: string, width: number): string[] {
  const [start] = /^\s*(?:- )?/.exec(line)!;
  const lines: string[] = [];
  let current = start;
  for (const word of line.slice(start.length).split(" ")) {
    const isFirst = current === start || current.trim() === "";
    if (!isFirst && current.length + 1 + word.length > width) {
      lines.push(current);
      current = " ".repeat(start.length) + word;
    } else current += (isFirst ? "" : " ") + word;
  }
  return [...lines, current.trimEnd()];
}
