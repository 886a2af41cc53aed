/** The models in PyTorch, trained by its own process. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HostArray } from "../support/random.ts";
import type { Server } from "../subjects/torch.ts";
import { ADAMW, type Model, type Trainer } from "./model.ts";

/** Starts training in a server. */
export async function startTorchTraining(
  server: Server,
  model: Model,
  start: readonly Float32Array[],
): Promise<Trainer> {
  const put = (name: string, data: HostArray): string => {
    const file = join(server.folder, name);
    writeFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return file;
  };
  const { kind, gpt, batch, xShape, parameters } = model;
  await server.ask({
    do: "start",
    model: { kind, gpt, batch, xShape, parameters },
    files: start.map((data, i) => put(`p${i}`, data)),
    adamw: ADAMW,
  });
  return {
    train: (batches) =>
      server.ask({ do: "train", batches: batches.map(({ x, y }, i) => [put(`x${i}`, x), put(`y${i}`, y)]) }),
    close() {},
  };
}
