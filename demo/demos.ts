/** The demos of the gallery. A new one is a folder with an index.html, and an entry here. */

/** A demo of the gallery. */
export interface Demo {
  /** Its folder, in which there is an index.html. */
  readonly folder: string;
  readonly title: string;
  /** What it does, in a sentence or two. */
  readonly summary: string;
  /** What of the library it uses. */
  readonly uses: readonly string[];
}

/** The demos, in the order in which the gallery shows them. */
export const demos: readonly Demo[] = [
  {
    folder: "notebook",
    title: "Getting familiar with torch.autograd",
    summary:
      "The autograd notebook, cell by cell: gradients of scalars and vectors, control flow, vector-Jacobian products, and its exercises with plots and a dependency graph.",
    uses: ["backward", "gradient argument", "views and copy_", "tg.graph", "printing"],
  },
  {
    folder: "spirals",
    title: "Telling spirals apart",
    summary:
      "A network of two hidden layers is trained on generated points, live, with the regions that it gives to each arm drawn as they form.",
    uses: ["F.linear", "F.crossEntropy", "optim.Adam", "noGrad", "softmax"],
  },
  {
    folder: "curve",
    title: "Fitting a curve by gradient descent",
    summary:
      "Four parameters of a wave find their values by walking the tape backwards, with every gradient shown and the tape of the loss drawn.",
    uses: ["backward", "optim.SGD", "F.mseLoss", "tg.graph", "readAll"],
  },
  {
    folder: "derivatives",
    title: "Derivatives of derivatives",
    summary:
      "A function and its derivatives up to the fourth, each the gradient of the one before it, with the length of its tape.",
    uses: ["autograd.grad", "createGraph", "tg.graph", "F.gelu"],
  },
  {
    folder: "memory",
    title: "Where the memory goes",
    summary:
      "The life of every buffer of a training step, a lane a buffer, over its kernels: what it was for, which line made it, which kernels read it.",
    uses: ["memoryTimeline", "setDebugMode", "utils.checkpoint", "nn", "optim.AdamW"],
  },
  {
    folder: "bench",
    title: "Benchmark",
    summary:
      "Operations measured in this browser, beside TensorFlow.js and jax-js where they are installed, each result checked against float64.",
    uses: ["matmul", "softmax", "F.layerNorm", "init"],
  },
];
