/** Plain tables and figures for people. */

/** Rows of cells as aligned text; columns whose header starts with ">" are aligned to the right. */
export function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = headers.map((h) => h.startsWith(">"));
  const names = headers.map((h) => h.replace(/^>/, ""));
  const widths = names.map((name, c) => Math.max(name.length, ...rows.map((row) => (row[c] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, c) => (right[c] === true ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)))
      .join("  ")
      .trimEnd();
  return [line(names), line(widths.map((w) => "-".repeat(w))), ...rows.map((row) => line(row))].join("\n");
}

/** Three significant digits. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value === 0) return "0";
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(places, 6));
}

/** Seconds in a fitting unit. */
export function time(seconds: number): string {
  if (!Number.isFinite(seconds)) return "-";
  if (seconds >= 1) return `${digits(seconds)} s`;
  if (seconds >= 1e-3) return `${digits(seconds * 1e3)} ms`;
  return `${digits(seconds * 1e6)} us`;
}

/** Bytes in a fitting unit. */
export function bytes(count: number): string {
  if (!Number.isFinite(count)) return "-";
  if (Math.abs(count) >= 2 ** 30) return `${digits(count / 2 ** 30)} GiB`;
  if (Math.abs(count) >= 2 ** 20) return `${digits(count / 2 ** 20)} MiB`;
  if (Math.abs(count) >= 2 ** 10) return `${digits(count / 2 ** 10)} KiB`;
  return `${Math.round(count)} B`;
}

/** A share as a percentage. */
export function percent(share: number): string {
  return Number.isFinite(share) ? `${Math.round(share * 100)}%` : "-";
}

/** A ratio: 1.25x. */
export function ratio(value: number): string {
  return Number.isFinite(value) ? `${value >= 100 ? value.toFixed(0) : value.toFixed(2)}x` : "-";
}
