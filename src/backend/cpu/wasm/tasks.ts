/**
 * Pieces of a job that threads share. A job is described by int32 words in the heap, so that every thread reads the same; `runTask` and
 * `workerMain` stand alone (they use nothing but their arguments and what every engine has), as workers are started from their text.
 */

/** Functions of a module; all numbers are int32. */
export type Entries = Readonly<Record<string, (...args: number[]) => void>>;

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
 * - pack: panels of B. [source, across, along, columns, k, target, columns a task, bytes of an element]
 * - gemm: blocks of rows of C. [a, row stride, column stride, m, n, k, packed B, c, bytes of a row of C, accumulate, rows a task, scratch,
 *   bytes of scratch a thread]
 * - batch: whole products. [list of addresses a, b, c; row and column strides of a and of b; m, n, k, bytes of an element, rows, columns
 *   and k of a block, scratch, bytes of scratch a thread, bytes of packed A, bytes of packed B]
 */
export const KIND = { run: 0, piece: 1, pack: 2, gemm: 3, batch: 4 } as const;

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
