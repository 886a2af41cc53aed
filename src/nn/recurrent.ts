/** Recurrent layers: RNN, LSTM and GRU, and their cells. */

import { checkTensor } from "../ops/apply.ts";
import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { showShape } from "../graph/view.ts";
import { dropout } from "../ops/composite/dropout.ts";
import { linear } from "../ops/composite/layers.ts";
import { cat, stack } from "../ops/join.ts";
import type { Tensor } from "../tensor.ts";
import { uniform_ } from "./init.ts";
import { blank, checkCounts, type FactoryOptions } from "./linear.ts";
import { Module } from "./module.ts";
import type { Parameter } from "./parameter.ts";

/** Options of the recurrent layers. */
export interface RecurrentOptions extends FactoryOptions {
  /** Number of layers, each fed with the outputs of the one below (1). */
  numLayers?: number;
  /** Whether the gates have biases (true). */
  bias?: boolean;
  /** Whether input and output are [n, steps, features] instead of [steps, n, features] (false); states are not affected. */
  batchFirst?: boolean;
  /** Probability of dropout on the outputs of each layer but the last, in training (0). */
  dropout?: number;
  /** Whether a second direction reads the steps backwards; outputs are twice as wide (false). */
  bidirectional?: boolean;
}

type WithNonlinearity = { nonlinearity?: "tanh" | "relu" };
type CellOptions = { bias?: boolean } & FactoryOptions;
const LAYER_NAMES = ["bias", "batchFirst", "dropout", "bidirectional", "device", "dtype"] as const;
const RNN_ARGS = signature<RecurrentOptions & WithNonlinearity>()("RNN", ["numLayers", "nonlinearity", ...LAYER_NAMES]);
const LSTM_ARGS = signature<RecurrentOptions>()("LSTM", ["numLayers", ...LAYER_NAMES]);
const GRU_ARGS = signature<RecurrentOptions>()("GRU", ["numLayers", ...LAYER_NAMES]);
const RNN_CELL = signature<CellOptions & WithNonlinearity>()("RNNCell", ["bias", "nonlinearity", "device", "dtype"]);
const LSTM_CELL = signature<CellOptions>()("LSTMCell", ["bias", "device", "dtype"]);
const GRU_CELL = signature<CellOptions>()("GRUCell", ["bias", "device", "dtype"]);

/** One step: gates of the input (bias included), the state, and the recurrent weight and bias, to the new state. */
type Cell = (gates: Tensor, state: readonly Tensor[], weight: Tensor, bias: Tensor | null) => Tensor[];

function rnnCell(name: string, nonlinearity: "tanh" | "relu"): Cell {
  if (nonlinearity !== "tanh" && nonlinearity !== "relu")
    throw new ArgumentError(`${name}: nonlinearity must be "tanh" or "relu", got ${describeValue(nonlinearity)}`);
  return (gates, [h], weight, bias) => {
    const sum = gates.add(linear(h!, weight, bias));
    return [nonlinearity === "tanh" ? sum.tanh() : sum.relu()];
  };
}

const lstmCell: Cell = (gates, [h, c], weight, bias) => {
  const [i, f, g, o] = gates.add(linear(h!, weight, bias)).chunk(4, -1) as [Tensor, Tensor, Tensor, Tensor];
  const cell = f.sigmoid().mul(c!).add(i.sigmoid().mul(g.tanh()));
  return [o.sigmoid().mul(cell.tanh()), cell];
};

const gruCell: Cell = (gates, [h], weight, bias) => {
  const [ri, zi, ni] = gates.chunk(3, -1) as [Tensor, Tensor, Tensor];
  const [rh, zh, nh] = linear(h!, weight, bias).chunk(3, -1) as [Tensor, Tensor, Tensor];
  const z = zi.add(zh).sigmoid();
  const n = ni.add(ri.add(rh).sigmoid().mul(nh)).tanh();
  return [n.sub(n.mul(z)).add(z.mul(h!))];
};

/** Most layers of a recurrent network. */
const MOST_LAYERS = 1000;

/** What RNN, LSTM and GRU share. */
abstract class Recurrent extends Module {
  /** Features of one step of the input. */
  readonly inputSize: number;
  /** Features of the hidden state. */
  readonly hiddenSize: number;
  /** Number of layers, each fed with the outputs of the one below. */
  readonly numLayers: number;
  /** Whether the gates have biases. */
  readonly hasBias: boolean;
  /** Whether input and output are [n, steps, features] instead of [steps, n, features]. */
  readonly batchFirst: boolean;
  /** Probability of dropout on the outputs of each layer but the last, in training. */
  readonly dropout: number;
  /** Whether a second direction reads the steps backwards. */
  readonly bidirectional: boolean;

  constructor(gates: number, inputSize: number, hiddenSize: number, options: RecurrentOptions) {
    super();
    const { numLayers = 1, bias = true, batchFirst = false, dropout: p = 0, bidirectional = false } = options;
    checkCounts(this.constructor.name, { inputSize, hiddenSize, numLayers });
    if (numLayers < 1 || numLayers > MOST_LAYERS)
      throw new ArgumentError(`${this.constructor.name}: numLayers must be from 1 to ${MOST_LAYERS}, got ${numLayers}`);
    if (typeof p !== "number" || !(p >= 0 && p <= 1))
      throw new ArgumentError(`${this.constructor.name}: dropout must be from 0 to 1, got ${describeValue(p)}`);
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.numLayers = numLayers;
    this.hasBias = bias;
    this.batchFirst = batchFirst;
    this.dropout = p;
    this.bidirectional = bidirectional;
    const directions = bidirectional ? 2 : 1;
    const bound = 1 / Math.sqrt(hiddenSize);
    for (let layer = 0; layer < numLayers; layer++)
      for (let d = 0; d < directions; d++) {
        const inputs = layer === 0 ? inputSize : hiddenSize * directions;
        const set = (name: string, shape: number[]): void => {
          const parameter = blank(shape, options);
          uniform_(parameter, -bound, bound);
          this.registerParameter(`${name}${suffix(layer, d)}`, parameter);
        };
        set("weightIh", [gates * hiddenSize, inputs]);
        set("weightHh", [gates * hiddenSize, hiddenSize]);
        if (bias) {
          set("biasIh", [gates * hiddenSize]);
          set("biasHh", [gates * hiddenSize]);
        }
      }
  }

  #own(name: string): Parameter {
    return (this as unknown as Record<string, Parameter>)[name]!;
  }

  /** Runs all layers; states are lists of [layers * directions, n, hidden]. */
  protected run(
    cell: Cell,
    states: number,
    input: Tensor,
    given: readonly Tensor[] | null,
  ): {
    /** Hidden states of the last layer at all steps. */
    output: Tensor;
    /** States after the last step: [layers * directions, n, hidden] each. */
    last: Tensor[];
  } {
    const { name } = this.constructor;
    checkTensor(name, "input", input);
    if ((input.dim() !== 2 && input.dim() !== 3) || input.shape[input.dim() - 1] !== this.inputSize)
      throw new ShapeError(
        `${name}: expected an input of 2 or 3 dimensions and width ${this.inputSize}, got shape ${showShape(input.shape)}`,
      );
    const batched = input.dim() === 3;
    let x = !batched ? input.unsqueeze(1) : this.batchFirst ? input.transpose(0, 1) : input;
    const [steps, n] = x.shape as [number, number];
    const directions = this.bidirectional ? 2 : 1;
    const shape = [this.numLayers * directions, n, this.hiddenSize];
    if (given !== null && given.length !== states)
      throw new ArgumentError(`${name}: expected ${states} initial states, got ${given.length}`);
    const initial = Array.from({ length: states }, (_, s) => {
      if (given === null) return input.detach().newZeros(shape);
      const state = batched ? given[s]! : given[s]!.unsqueeze(1);
      if (state.shape.join() !== shape.join())
        throw new ShapeError(`${name}: expected hidden size ${showShape(shape)}, got ${showShape(state.shape)}`);
      return state;
    });
    const last: Tensor[][] = Array.from({ length: states }, () => []);
    for (let layer = 0; layer < this.numLayers; layer++) {
      const outputs: Tensor[] = [];
      for (let d = 0; d < directions; d++) {
        const end = suffix(layer, d);
        const bias = (which: string): Tensor | null => (this.hasBias ? this.#own(`${which}${end}`) : null);
        // The input's part of all steps is one product.
        const gates = linear(x, this.#own(`weightIh${end}`), bias("biasIh")).unbind(0);
        let state = initial.map((s) => s.select(0, layer * directions + d));
        const hidden: Tensor[] = new Array<Tensor>(steps);
        for (let t = 0; t < steps; t++) {
          const at = d === 0 ? t : steps - 1 - t;
          state = cell(gates[at]!, state, this.#own(`weightHh${end}`), bias("biasHh"));
          hidden[at] = state[0]!;
        }
        outputs.push(stack(hidden));
        state.forEach((s, i) => last[i]!.push(s));
      }
      x = outputs.length === 1 ? outputs[0]! : cat(outputs, -1);
      if (this.dropout > 0 && layer < this.numLayers - 1) x = dropout(x, this.dropout, this.training);
    }
    const output = !batched ? x.squeeze(1) : this.batchFirst ? x.transpose(0, 1) : x;
    return { output, last: last.map((list) => (batched ? stack(list) : stack(list).squeeze(1))) };
  }

  override extraRepr(): string {
    const parts = [`${this.inputSize}, ${this.hiddenSize}`];
    if (this.numLayers !== 1) parts.push(`num_layers=${this.numLayers}`);
    if (!this.hasBias) parts.push("bias=False");
    if (this.batchFirst) parts.push("batch_first=True");
    if (this.dropout !== 0) parts.push(`dropout=${this.dropout}`);
    if (this.bidirectional) parts.push("bidirectional=True");
    return parts.join(", ");
  }
}

function suffix(layer: number, direction: number): string {
  return `L${layer}${direction === 1 ? "Reverse" : ""}`;
}

/** The plain recurrent network: `h = tanh(W x + U h)`. Gives `[output, lastHidden]`. */
export class RNN extends Recurrent {
  readonly #cell: Cell;
  constructor(inputSize: number, hiddenSize: number, ...args: ArgsOf<typeof RNN_ARGS>) {
    const { nonlinearity = "tanh", ...rest } = parse(RNN_ARGS, args);
    super(1, inputSize, hiddenSize, rest);
    this.#cell = rnnCell("RNN", nonlinearity);
  }
  override forward(input: Tensor, hidden: Tensor | null = null): [Tensor, Tensor] {
    const { output, last } = this.run(this.#cell, 1, input, hidden === null ? null : [hidden]);
    return [output, last[0]!];
  }
}

/** Long short-term memory. Gives `[output, [lastHidden, lastCell]]`. */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, ...args: ArgsOf<typeof LSTM_ARGS>) {
    super(4, inputSize, hiddenSize, parse(LSTM_ARGS, args));
  }
  override forward(input: Tensor, state: readonly [Tensor, Tensor] | null = null): [Tensor, [Tensor, Tensor]] {
    const { output, last } = this.run(lstmCell, 2, input, state);
    return [output, [last[0]!, last[1]!]];
  }
}

/** The gated recurrent unit. Gives `[output, lastHidden]`. */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, ...args: ArgsOf<typeof GRU_ARGS>) {
    super(3, inputSize, hiddenSize, parse(GRU_ARGS, args));
  }
  override forward(input: Tensor, hidden: Tensor | null = null): [Tensor, Tensor] {
    const { output, last } = this.run(gruCell, 1, input, hidden === null ? null : [hidden]);
    return [output, last[0]!];
  }
}

/** What the cells share: one step of [n, inputSize] (or [inputSize]). */
abstract class RecurrentCell extends Module {
  /** Features of the input. */
  readonly inputSize: number;
  /** Features of the hidden state. */
  readonly hiddenSize: number;
  /** Learnable weights from the input to the gates: [gates * hiddenSize, inputSize]; RNN has 1 gate, LSTM 4, GRU 3. */
  weightIh: Parameter;
  /** Learnable weights from the hidden state to the gates: [gates * hiddenSize, hiddenSize]. */
  weightHh: Parameter;
  /** Learnable shift of the input's part of the gates: [gates * hiddenSize]; null if there is none. */
  biasIh: Parameter | null;
  /** Learnable shift of the hidden state's part of the gates: [gates * hiddenSize]; null if there is none. */
  biasHh: Parameter | null;

  constructor(gates: number, inputSize: number, hiddenSize: number, options: CellOptions) {
    super();
    checkCounts(this.constructor.name, { inputSize, hiddenSize });
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    const bias = options.bias ?? true;
    this.weightIh = blank([gates * hiddenSize, inputSize], options);
    this.weightHh = blank([gates * hiddenSize, hiddenSize], options);
    this.biasIh = bias ? blank([gates * hiddenSize], options) : null;
    this.biasHh = bias ? blank([gates * hiddenSize], options) : null;
    const bound = 1 / Math.sqrt(hiddenSize);
    for (const p of this.parameters()) uniform_(p, -bound, bound);
  }

  /** Runs `cell` once; states that are null are zeros. */
  protected step(cell: Cell, input: Tensor, state: readonly (Tensor | null)[]): Tensor[] {
    checkTensor(this.constructor.name, "input", input);
    const zeros = (): Tensor => input.detach().newZeros([...input.shape.slice(0, -1), this.hiddenSize]);
    const gates = linear(input, this.weightIh, this.biasIh);
    return cell(
      gates,
      state.map((s) => s ?? zeros()),
      this.weightHh,
      this.biasHh,
    );
  }

  override extraRepr(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.biasIh === null ? ", bias=False" : ""}`;
  }
}

/** One step of an RNN. */
export class RNNCell extends RecurrentCell {
  readonly #cell: Cell;
  constructor(inputSize: number, hiddenSize: number, ...args: ArgsOf<typeof RNN_CELL>) {
    const { nonlinearity = "tanh", ...rest } = parse(RNN_CELL, args);
    super(1, inputSize, hiddenSize, rest);
    this.#cell = rnnCell("RNNCell", nonlinearity);
  }
  override forward(input: Tensor, hidden: Tensor | null = null): Tensor {
    return this.step(this.#cell, input, [hidden])[0]!;
  }
}

/** One step of an LSTM: gives `[hidden, cell]`. */
export class LSTMCell extends RecurrentCell {
  constructor(inputSize: number, hiddenSize: number, ...args: ArgsOf<typeof LSTM_CELL>) {
    super(4, inputSize, hiddenSize, parse(LSTM_CELL, args));
  }
  override forward(input: Tensor, state: readonly [Tensor, Tensor] | null = null): [Tensor, Tensor] {
    const [h, c] = this.step(lstmCell, input, state ?? [null, null]);
    return [h!, c!];
  }
}

/** One step of a GRU. */
export class GRUCell extends RecurrentCell {
  constructor(inputSize: number, hiddenSize: number, ...args: ArgsOf<typeof GRU_CELL>) {
    super(3, inputSize, hiddenSize, parse(GRU_CELL, args));
  }
  override forward(input: Tensor, hidden: Tensor | null = null): Tensor {
    return this.step(gruCell, input, [hidden])[0]!;
  }
}
