/** From outcomes to what people read. */

import type { Measured, Outcome } from "./measure.ts";
import type { Ceiling } from "./support/ceiling.ts";
import { geometricMean, type Summary } from "./support/statistics.ts";
import { digits, percent, ratio, table, time } from "./support/table.ts";
import type { Subject } from "./subjects/subject.ts";
import type { Workload } from "./workloads/workload.ts";

/** Figures of one row. */
export interface RowResult {
  readonly id: string;
  readonly title: string;
  readonly bound: Workload["bound"];
  readonly flops: number;
  readonly bytes: number;
  readonly outcomes: readonly Outcome[];
  /** Seconds in which the machine copied a byte while this row was measured; null or missing where it was not asked. */
  readonly copy?: Summary | null;
}

/** How ours stands beside the best peer on a row; null where one of the two has no figure. */
export interface Comparison {
  readonly id: string;
  readonly ours: number | null;
  /** Which of ours it is: as it stands, or in `compile`. */
  readonly oursBy: string | null;
  /** The ratio without `compile`. */
  readonly eagerRatio: number | null;
  readonly best: { readonly subject: string; readonly seconds: number } | null;
  /** Time of the best peer over ours: more than 1 is faster. */
  readonly ratio: number | null;
  /** The same of the fastest samples. */
  readonly leastRatio: number | null;
  /** Time of the native ceiling over ours. */
  readonly toCeiling: number | null;
}

/** What a row needs at least on this machine. */
export function leastSeconds(row: Pick<RowResult, "flops" | "bytes" | "copy">, ceiling: Ceiling): number {
  return Math.max(row.flops / ceiling.flops, row.bytes * (row.copy?.median ?? 1 / ceiling.copy));
}

/** Ours against the best of the peers, and against native code. */
export function compare(row: RowResult, subjects: readonly Subject[]): Comparison {
  const by = (
    accept: (s: Subject) => boolean,
    figure: "median" | "least" = "median",
  ): { subject: string; seconds: number } | null => {
    let best: { subject: string; seconds: number } | null = null;
    for (const outcome of row.outcomes) {
      const subject = subjects.find((s) => s.name === outcome.subject);
      if (outcome.kind !== "measured" || subject === undefined || !accept(subject)) continue;
      const seconds = outcome.throughput[figure];
      if (best === null || seconds < best.seconds) best = { subject: outcome.subject, seconds };
    }
    return best;
  };
  const isOurs = (s: Subject): boolean => s.library === "tapegrad";
  const isPeer = (s: Subject): boolean => !isOurs(s) && s.isCeiling !== true;
  const ours = by(isOurs);
  const best = by(isPeer);
  const eager = by((s) => s.name === "tapegrad");
  const ceiling = by((s) => s.isCeiling === true);
  return {
    id: row.id,
    ours: ours?.seconds ?? null,
    oursBy: ours?.subject ?? null,
    eagerRatio: eager === null || best === null ? null : best.seconds / eager.seconds,
    best,
    ratio: ours === null || best === null ? null : best.seconds / ours.seconds,
    leastRatio: ours === null || best === null ? null : by(isPeer, "least")!.seconds / by(isOurs, "least")!.seconds,
    toCeiling: ours === null || ceiling === null ? null : ceiling.seconds / ours.seconds,
  };
}

function rate(row: RowResult, m: Measured): string {
  const seconds = m.throughput.median;
  if (row.bound === "compute") return `${digits(row.flops / seconds / 1e9)} GFLOP/s`;
  if (row.bound === "memory") return `${digits(row.bytes / seconds / 1e9)} GB/s`;
  return "";
}

/** A row as a table of its subjects, fastest first; those without figures say why. */
export function showRow(row: RowResult, subjects: readonly Subject[], ceiling: Ceiling): string {
  const { ours } = compare(row, subjects);
  const least = leastSeconds(row, ceiling);
  const order = [...row.outcomes].sort(
    (a, b) =>
      (a.kind === "measured" ? a.throughput.median : Infinity) -
      (b.kind === "measured" ? b.throughput.median : Infinity),
  );
  const gpu = order.some((o) => o.kind === "measured" && o.gpu !== null);
  const lines = order.map((o): string[] => {
    const subject = subjects.find((s) => s.name === o.subject);
    const threads = subject?.device === "cpu" ? String(subject.threads) : "";
    if (o.kind !== "measured") return [o.subject, threads, "-", "-", "-", ...(gpu ? [""] : []), "-", "", "", "", "0"];
    const { median, p10, p90, samples } = o.throughput;
    return [
      o.subject,
      threads,
      time(median),
      `${time(p10)} .. ${time(p90)}`,
      time(o.latency.median),
      ...(gpu ? [o.gpu === null ? "" : time(o.gpu.median)] : []),
      time(o.first),
      rate(row, o),
      row.bound === "overhead" ? "" : percent(least / median),
      ours === null ? "" : ratio(median / ours),
      `${samples}${o.repeat > 1 ? ` of ${o.repeat}` : ""}`,
    ];
  });
  const headers = [
    "subject",
    ">threads",
    ">time",
    "p10 .. p90",
    ">latency",
    ...(gpu ? [">GPU"] : []),
    ">first",
    ">rate",
    ">roof",
    ">/ ours",
    ">samples",
  ];
  const reasons = order.flatMap((o) => (o.kind === "measured" ? [] : [`  ${o.subject} ${o.kind}: ${o.reason}`]));
  const copy = row.copy == null ? [] : [`  a copy meanwhile: ${digits(1e-9 / row.copy.median)} GB/s`];
  return [`${row.id}: ${row.title}`, table(headers, lines), ...copy, ...reasons, ""].join("\n");
}

/** Ratios of all rows, worst first, and their geometric mean. */
export function showSummary(rows: readonly RowResult[], subjects: readonly Subject[], heading: string): string {
  const comparisons = rows.map((row) => compare(row, subjects));
  const known = comparisons.filter((c) => c.ratio !== null).sort((a, b) => a.ratio! - b.ratio!);
  const unknown = comparisons.filter((c) => c.ratio === null);
  const lines = known.map((c) => [
    c.id,
    `${time(c.ours!)}${c.oursBy === "tapegrad" ? "" : ` (${c.oursBy})`}`,
    `${time(c.best!.seconds)} (${c.best!.subject})`,
    ratio(c.ratio!),
    ratio(c.leastRatio!),
    c.toCeiling === null ? "" : ratio(c.toCeiling),
    c.ratio! < 1 ? "behind" : "",
  ]);
  const mean = geometricMean(known.map((c) => c.ratio!));
  const behind = known.filter((c) => c.ratio! < 1).length;
  const parts = [
    `${heading}\n`,
    table(["row", ">ours", "best peer", ">peer / ours", ">of the fastest samples", ">native / ours", ""], lines),
    `geometric mean of peer / ours: ${ratio(mean)} over ${known.length} rows, ${behind} of them behind the best peer ` +
      `(of the fastest samples: ${ratio(geometricMean(known.map((c) => c.leastRatio!)))})`,
  ];
  if (known.some((c) => c.oursBy !== "tapegrad"))
    parts.push(`without compile: ${ratio(geometricMean(known.flatMap((c) => c.eagerRatio ?? [])))}`);
  if (unknown.length > 0) parts.push(`without a comparison: ${unknown.map((c) => c.id).join(", ")}`);
  return `${parts.join("\n")}\n`;
}
