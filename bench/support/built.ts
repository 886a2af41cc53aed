/** What the bundled benchmark carries with it, since it stands alone; null where it runs from the repository. */

/** Facts that were known when the bundle was made. */
export interface Built {
  readonly version: string;
  readonly commit: string;
  readonly date: string;
  /** Versions of the peers that are inside. */
  readonly peers: Readonly<Record<string, string>>;
  /** The scripts of the PyTorch subject by name. */
  readonly python: Readonly<Record<string, string>>;
}

/** Set by the first line of the bundle. */
export const built: Built | null = (globalThis as { tapegradBench?: Built }).tapegradBench ?? null;
