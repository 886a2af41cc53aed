/**
 * Pieces of a job that threads share. A job is described by int32 words in the heap, so that every thread reads the same; `runTask` and
 * `workerMain` stand alone (they use nothing but their arguments and what every engine has), as workers are started from their text.
 */

/** Functions of a module; all numbers are int32. */
export type Entries = Readonly<Record<string, (...args: number[]) => number | void>>;

/** Int32 words, from the start of the heap, by which threads agree; each on a cache line of its own. */
export const CONTROL = {
  /** Counts jobs; workers wait for it to change. */
  epoch: 2048,
  /** The epoch of the job that may be joined, or 0. */
  open: 2064,
  /** Workers that are on the job. */
  active: 2080,
  /** Next task, and how many there are. */
  next: 2096,
  count: 2112,
  /** Which generation of workers may live; others end. */
  generation: 2128,
  /** Workers that have started. */
  ready: 2144,
  /** Not 0: a task threw. */
  failed: 2160,
  /** The job: kind, program, address and length of its module, then what the kind takes. */
  job: 2176,
} as const;

/** Words of a job before those of its kind. */
export const JOB_HEADER = 4;

/**
 * What a job's words are, after the header, and its tasks:
 * - run: a fused kernel. [parameters, rows, rows a task, lanes, lanes a task, tasks a row, scratch, bytes of scratch a thread]
 * - piece: part of a row. [phase or -1 to store, parameters, row, length, elements a task, state, bytes of state a task]
 * - part: rows of a reduction along columns. [parameters, row, length, elements a task, first column, end of columns, state, bytes of state a task]
 * - join: results of such parts. [parameters, row, parts, bytes of state a part, first column, end of columns, state]
 * - pack: panels of B. [source, across, along, columns, k, target, columns a task, bytes of an element]
 * - gemm: blocks of rows of C. [a, row stride, column stride, m, n, k, packed B, c, bytes of a row of C, accumulate, rows a task, scratch,
 *   bytes of scratch a thread]
 * - batch: whole products. [list of addresses a, b, c; row and column strides of a and of b; m, n, k, bytes of an element, rows, columns
 *   and k of a block, scratch, bytes of scratch a thread, bytes of packed A, bytes of packed B]
 *
 * Of convolutions, whose operands are given by tables of offsets (conv-code.ts), for each group of channels:
 * - box: planes of input with a margin of zeros. [source, steps of group, batch and channel, strides of the box, its sizes, target, bytes of a
 *   plane, place of the box in it, bytes of its planes and of its rows, groups, channels, planes in all, planes a task]
 * - rows: blocks of the weight. [weight, step of a group, across, along, rows, k, k of a block, target, bytes of a group, bytes of an element,
 *   blocks]
 * - conv: [input, step of a group, across, along, columns, columns a task, k, k of a block, k of a chunk, packed weight or 0, bytes of a
 *   group's, weight, step of a group, across, along, rows, rows a task, out, step of a group, bytes of a row, offsets of columns, array of
 *   partial sums, bytes of its rows, chunks, scratch, bytes of scratch a thread, bytes of packed weight in it, bytes of packed input, bytes
 *   of an element]
 * - sums: adds up the chunks. [arrays, chunks, bytes of a row, rows, columns, rows a task, out, step of a group, bytes of a row of out, offsets
 *   of columns]
 * - direct: few rows. [input, step of a group, across, along, columns, columns a task, k, weight, step of a group, step of a row, along, rows,
 *   out, step of a group, bytes of a row, offsets of columns, scratch, bytes of scratch a thread, bytes of an element]
 *
 * - sort: positions of the elements of rows in order. [first element, bytes from one to the next, length, positions wanted, out, -1 if descending,
 *   rank, rows, rows a task, scratch, bytes of scratch a thread, records, bytes of a record, of counters and of records, sizes, strides]
 * - scan: rows, or blocks of neighbouring rows. [first element, bytes from one to the next, first result, bytes from one to the next, length,
 *   neighbours, neighbours a task, blocks of them, rank, rows, rows a task, scratch, bytes of scratch a thread, bytes of an element, sizes,
 *   strides, strides of results]
 * - gemv: products of a vector and a matrix of float32. [vector, bytes from one element to the next, matrix, bytes of a row, terms, results, out,
 *   results a task, whether rows lie along the terms, scratch, bytes of scratch a thread]
 * - scatter: columns of rows that have one index each. [out, bytes from one place to the next, index, bytes from one to the next, source, bytes of
 *   a row, rows, places, columns, bytes from one to the next in out and in source, flag, columns a task]
 */
export const KIND = {
  run: 0,
  piece: 1,
  pack: 2,
  gemm: 3,
  batch: 4,
  box: 5,
  rows: 6,
  conv: 7,
  sums: 8,
  direct: 9,
  sort: 10,
  scan: 11,
  gemv: 12,
  scatter: 13,
  part: 14,
  join: 15,
} as const;

/** Runs task `t` of the job whose own words start at `at`; `heap` is all of the memory, `thread` numbers who runs it. */
export function runTask(kind: number, heap: Int32Array, at: number, entries: Entries, t: number, thread: number): void {
  const w = (i: number): number => heap[at + i]!;
  if (kind === 0) {
    const perRow = w(5);
    const row = Math.floor(t / perRow) * w(2);
    const lane = (t % perRow) * w(4);
    const scratch = w(6) + thread * w(7);
    entries["run"]!(w(0), row, Math.min(row + w(2), w(1)), lane, Math.min(lane + w(4), w(3)), scratch);
  } else if (kind === 1) {
    const start = t * w(4);
    const end = Math.min(start + w(4), w(3));
    if (w(0) < 0) entries["store"]!(w(1), w(2), start, end);
    else entries["reduce" + w(0)]!(w(1), w(2), start, end, w(5) + t * w(6));
  } else if (kind === 2) {
    const column = t * w(6);
    const source = w(0) + column * w(1);
    const target = w(5) + column * w(4) * w(7);
    entries["packColumns"]!(source, w(1), w(2), Math.min(w(6), w(3) - column), w(4), target);
  } else if (kind === 3) {
    const row = t * w(10);
    const rows = Math.min(w(10), w(3) - row);
    const scratch = w(11) + thread * w(12);
    entries["packRows"]!(w(0) + row * w(1), w(1), w(2), rows, w(5), scratch + 512);
    entries["multiply"]!(scratch + 512, w(6), w(7) + row * w(8), w(8), rows, w(4), w(5), w(9), scratch);
  } else if (kind === 5) {
    const [groups, channels] = [w(15), w(16)];
    const end = Math.min((t + 1) * w(18), w(17));
    heap.fill(0, (w(10) + t * w(18) * w(11)) >>> 2, (w(10) + end * w(11)) >>> 2);
    for (let plane = t * w(18); plane < end; plane++) {
      const rest = Math.floor(plane / channels);
      const [batch, group, channel] = [Math.floor(rest / groups), rest % groups, plane % channels];
      const source = w(0) + group * w(1) + batch * w(2) + channel * w(3);
      const target = w(10) + plane * w(11) + w(12);
      entries["copyBox"]!(source, w(4), w(5), w(6), w(7), w(8), w(9), target, w(13), w(14));
    }
  } else if (kind === 6) {
    const group = Math.floor(t / w(10));
    const start = (t % w(10)) * w(6);
    const panels = Math.ceil(w(4) / 6) * 6;
    const target = w(7) + group * w(8) + start * panels * w(9);
    const depth = Math.min(w(6), w(5) - start);
    entries["gatherRows"]!(w(0) + group * w(1), w(2), w(3) + 4 * start, w(4), depth, target);
  } else if (kind === 7) {
    const [columns, rows, chunks, item] = [w(4), w(15), w(23), w(28)];
    const blocks = Math.ceil(columns / w(5));
    const rowBlocks = Math.ceil(rows / w(16));
    const column = (t % blocks) * w(5);
    let rest = Math.floor(t / blocks);
    const row = (rest % rowBlocks) * w(16);
    rest = Math.floor(rest / rowBlocks);
    const chunk = rest % chunks;
    const group = Math.floor(rest / chunks);
    const width = Math.min(w(5), columns - column);
    const height = Math.min(w(16), rows - row);
    const scratch = w(24) + thread * w(25);
    const packedA = scratch + 512;
    const packedB = packedA + w(26);
    const to = w(20) + 4 * column;
    const out = w(17) + group * w(18) + row * w(19);
    // Straight to where they belong if columns lie side by side there.
    const first = heap[to >>> 2]!;
    const isDense = chunks === 1 && heap[(to >>> 2) + width - 1]! - first === (width - 1) * item;
    let [target, stride] = [packedB + w(27), w(5) * item];
    if (isDense) [target, stride] = [out + first, w(19)];
    else if (chunks > 1) {
      stride = w(22);
      target = w(21) + ((group * chunks + chunk) * rows + row) * stride + column * item;
    }
    const begin = chunk * w(8);
    const end = Math.min(begin + w(8), w(6));
    const panels = Math.ceil(rows / 6) * 6;
    for (let p = begin; p < end; p += w(7)) {
      const depth = Math.min(w(7), end - p);
      entries["gatherColumns"]!(w(0) + group * w(1), w(2) + 4 * column, w(3) + 4 * p, width, depth, packedB);
      let left = w(9) + group * w(10) + (p * panels + row * depth) * item;
      if (w(9) === 0) {
        left = packedA;
        entries["gatherRows"]!(w(11) + group * w(12), w(13) + 4 * row, w(14) + 4 * p, height, depth, left);
      }
      for (let i = 0; i < height; i += 192) {
        const some = Math.min(192, height - i);
        const at = target + i * stride;
        entries["multiply"]!(
          left + i * depth * item,
          packedB,
          at,
          stride,
          some,
          width,
          depth,
          p > begin ? 1 : 0,
          scratch,
        );
      }
    }
    if (chunks === 1 && !isDense) entries["finish"]!(target, 1, 0, stride, height, width, out, w(19), to);
  } else if (kind === 8) {
    const blocks = Math.ceil(w(3) / w(5));
    const group = Math.floor(t / blocks);
    const row = (t % blocks) * w(5);
    const step = w(3) * w(2);
    const parts = w(0) + group * w(1) * step + row * w(2);
    const out = w(6) + group * w(7) + row * w(8);
    entries["finish"]!(parts, w(1), step, w(2), Math.min(w(5), w(3) - row), w(4), out, w(8), w(9));
  } else if (kind === 9) {
    const [columns, item] = [w(4), w(18)];
    const blocks = Math.ceil(columns / w(5));
    const group = Math.floor(t / blocks);
    const column = (t % blocks) * w(5);
    const width = Math.min(w(5), columns - column);
    const scratch = w(16) + thread * w(17);
    const to = w(15) + 4 * column;
    const first = heap[to >>> 2]!;
    const lanes = 64 / item;
    const isDense = width % lanes === 0 && heap[(to >>> 2) + width - 1]! - first === (width - 1) * item;
    for (let row = 0; row < w(11); row++) {
      const out = w(12) + group * w(13) + row * w(14);
      const weight = w(7) + group * w(8) + row * w(9);
      const target = isDense ? out + first : scratch;
      entries["direct"]!(w(0) + group * w(1), w(2) + 4 * column, w(3), weight, w(10), width, w(6), target);
      if (!isDense) entries["finish"]!(scratch, 1, 0, 0, 1, width, out, 0, to);
    }
  } else if (kind === 10) {
    const [step, length, wanted, flip, rank, capacity, record] = [w(1), w(2), w(3), w(5), w(6), w(11), w(12)];
    const scratch = w(9) + thread * w(10);
    const counters = scratch + 64;
    const records = counters + w(13);
    const other = records + w(14);
    const end = Math.min((t + 1) * w(8), w(7));
    for (let row = t * w(8); row < end; row++) {
      let source = w(0);
      for (let d = rank - 1, rest = row; d >= 0; d--) {
        source += (rest % w(15 + d)) * w(15 + rank + d);
        rest = Math.floor(rest / w(15 + d));
      }
      // The records so far are in order at `from`; behind the last one wanted no element of the rest can come.
      let from = records;
      let position = capacity;
      entries["load"]!(source, step, capacity, flip, from);
      from = entries["order"]!(from, other, capacity, counters) as number;
      while (position < length) {
        const to = from + wanted * record;
        const limit = from + capacity * record;
        position = entries["pick"]!(source, step, position, length, flip, to - record, to, limit, scratch) as number;
        const count = ((heap[scratch >>> 2]! - from) | 0) / record;
        from = entries["order"]!(from, from === records ? other : records, count, counters) as number;
      }
      entries["place"]!(from, wanted, w(4) + 4 * row * wanted);
    }
  } else if (kind === 11) {
    const [width, blocks, rank] = [w(5), w(7), w(8)];
    const start = Math.floor(t / blocks) * w(10);
    const first = (t % blocks) * w(6);
    const end = Math.min(start + w(10), w(9));
    for (let row = start; row < end; row++) {
      let source = w(0) + first * w(13);
      let out = w(2) + first * w(13);
      for (let d = rank - 1, rest = row; d >= 0; d--) {
        const coordinate = rest % w(14 + d);
        source += coordinate * w(14 + rank + d);
        out += coordinate * w(14 + 2 * rank + d);
        rest = Math.floor(rest / w(14 + d));
      }
      if (width === 1) entries["row"]!(source, w(1), out, w(3), w(4));
      else {
        const scratch = w(11) + thread * w(12);
        entries["across"]!(source, w(1), out, w(3), w(4), Math.min(w(6), width - first), scratch);
      }
    }
  } else if (kind === 12) {
    const first = t * w(7);
    const count = Math.min(w(7), w(5) - first);
    const out = w(6) + 4 * first;
    if (w(8) !== 0) entries["along"]!(w(0), w(2) + first * w(3), w(3), w(4), count, out);
    else entries["across"]!(w(0), w(1), w(2) + 4 * first, w(3), w(4), count, out, w(9) + thread * w(10));
  } else if (kind === 13) {
    const first = t * w(12);
    const width = Math.min(w(12), w(8) - first);
    const [out, source] = [w(0) + first * w(9), w(4) + first * w(10)];
    entries["rows"]!(out, w(1), w(2), w(3), source, w(5), w(6), w(7), width, w(9), w(10), w(11));
  } else if (kind === 14) {
    const start = t * w(3);
    entries["part"]!(w(0), w(1), start, Math.min(start + w(3), w(2)), w(4), w(5), w(6) + t * w(7));
  } else if (kind === 15) {
    entries["join"]!(w(0), w(1), w(2), w(3), w(4), w(5), w(6));
  } else {
    const list = (w(0) >>> 2) + 3 * t;
    const [a, b, c] = [heap[list]!, heap[list + 1]!, heap[list + 2]!];
    const [m, n, k, item] = [w(5), w(6), w(7), w(8)];
    const scratch = w(12) + thread * w(13);
    const packedA = scratch + 512;
    const packedB = packedA + w(14);
    for (let j = 0; j < n; j += w(10)) {
      const columns = Math.min(n - j, w(10));
      for (let q = 0; q < k; q += w(11)) {
        const depth = Math.min(k - q, w(11));
        entries["packColumns"]!(b + j * w(4) + q * w(3), w(4), w(3), columns, depth, packedB);
        for (let i = 0; i < m; i += w(9)) {
          const rows = Math.min(m - i, w(9));
          entries["packRows"]!(a + i * w(1) + q * w(2), w(1), w(2), rows, depth, packedA);
          const out = c + (i * n + j) * item;
          entries["multiply"]!(packedA, packedB, out, n * item, rows, columns, depth, q > 0 ? 1 : 0, scratch);
        }
      }
    }
  }
}

/** What a worker is started with. */
export interface WorkerStart {
  readonly memory: WebAssembly.Memory;
  /** Number of the thread, from 1 on; the main one is 0. */
  readonly thread: number;
  readonly generation: number;
  readonly control: typeof CONTROL;
  readonly header: number;
}

/** A worker's life: waits for a job, joins it, runs tasks until none is left, waits again. */
export function workerMain(run: typeof runTask, start: WorkerStart): void {
  const { memory, thread, generation, control, header } = start;
  const programs = new Map<number, Entries>();
  let heap = new Int32Array(memory.buffer);
  const load = (program: number, address: number, length: number): Entries => {
    let entries = programs.get(program);
    if (entries === undefined) {
      const bytes = new Uint8Array(memory.buffer).slice(address >>> 0, (address >>> 0) + length);
      const compiled = new WebAssembly.Module(bytes);
      const imports: Record<string, WebAssembly.ImportValue> = { memory };
      const own: Record<string, (...args: number[]) => number> = {
        exp2: (x) => 2 ** x,
        fmod: (x, y) => x % y,
      };
      for (const { name, kind } of WebAssembly.Module.imports(compiled))
        if (kind === "function") imports[name] = own[name] ?? (Math as unknown as typeof own)[name]!;
      entries = new WebAssembly.Instance(compiled, { m: imports }).exports as Entries;
      programs.set(program, entries);
    }
    return entries;
  };
  let seen = 0;
  Atomics.add(heap, control.ready, 1);
  for (;;) {
    Atomics.wait(heap, control.epoch, seen);
    if (Atomics.load(heap, control.generation) !== generation) return;
    const epoch = Atomics.load(heap, control.epoch);
    if (epoch === seen) continue;
    seen = epoch;
    Atomics.add(heap, control.active, 1);
    let entries: Entries | null = null;
    let lives = true;
    if (Atomics.load(heap, control.open) === epoch && Atomics.load(heap, control.generation) === generation) {
      // The memory may have grown since the last job.
      if (heap.buffer !== memory.buffer) heap = new Int32Array(memory.buffer);
      const j = control.job;
      try {
        entries = load(heap[j + 1]!, heap[j + 2]!, heap[j + 3]!);
      } catch {
        // It took no task yet: the others do them all, without this worker from now on.
        lives = false;
      }
      try {
        const count = heap[control.count]!;
        if (entries !== null)
          for (let t = Atomics.add(heap, control.next, 1); t < count; t = Atomics.add(heap, control.next, 1))
            run(heap[j]!, heap, j + header, entries, t, thread);
      } catch {
        Atomics.store(heap, control.failed, 1);
      }
    }
    if (!lives) Atomics.sub(heap, control.ready, 1);
    if (Atomics.sub(heap, control.active, 1) === 1) Atomics.notify(heap, control.active);
    if (!lives) return;
  }
}
