/** What layers are made of, and sorting: how it is compared with PyTorch. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import type { SampleTable } from "./driver.ts";
import { call } from "./samples.ts";

const { F } = tg;

/** Sums of products, which lose more in float32 than single operations. */
const SUMS = { rtol: 1e-4, atol: 2e-5 };

/** Normalised values, whose derivatives are small differences of large numbers. */
const NORMS = { rtol: 5e-4, atol: 5e-4 };

/** Samples made by test/generate/layers.py. */
export const LAYERS: SampleTable = {
  file: "layers.json",
  table: {
    "nn.functional.conv1d": { call: call(F.conv1d), ...SUMS },
    "nn.functional.conv2d": { call: call(F.conv2d), ...SUMS },
    "nn.functional.conv_transpose1d": { call: call(F.convTranspose1d), ...SUMS },
    "nn.functional.conv_transpose2d": { call: call(F.convTranspose2d), ...SUMS },
    "nn.functional.conv_transpose3d": { call: call(F.convTranspose3d), ...SUMS },
    "nn.functional.max_pool1d": { call: call(F.maxPool1d), ...SUMS },
    "nn.functional.max_pool2d": { call: call(F.maxPool2d), ...SUMS },
    "nn.functional.max_pool3d": { call: call(F.maxPool3d), ...SUMS },
    "nn.functional.avg_pool1d": { call: call(F.avgPool1d), ...SUMS },
    "nn.functional.avg_pool2d": { call: call(F.avgPool2d), ...SUMS },
    "nn.functional.avg_pool3d": { call: call(F.avgPool3d), ...SUMS },
    "nn.functional.adaptive_avg_pool1d": { call: call(F.adaptiveAvgPool1d), ...SUMS },
    "nn.functional.adaptive_avg_pool2d": { call: call(F.adaptiveAvgPool2d), ...SUMS },
    "nn.functional.adaptive_avg_pool3d": { call: call(F.adaptiveAvgPool3d), ...SUMS },
    "nn.functional.adaptive_max_pool1d": { call: call(F.adaptiveMaxPool1d), ...SUMS },
    "nn.functional.adaptive_max_pool2d": { call: call(F.adaptiveMaxPool2d), ...SUMS },
    "nn.functional.adaptive_max_pool3d": { call: call(F.adaptiveMaxPool3d), ...SUMS },
    "nn.functional.max_unpool1d": { call: call(F.maxUnpool1d), ...SUMS },
    "nn.functional.max_unpool2d": { call: call(F.maxUnpool2d), ...SUMS },
    "nn.functional.max_unpool3d": { call: call(F.maxUnpool3d), ...SUMS },
    "nn.functional.pad": { call: call(F.pad), ...SUMS },
    "nn.functional.interpolate": { call: call(F.interpolate), ...SUMS },
    "nn.functional.unfold": { call: call(F.unfold), ...SUMS },
    "nn.functional.pixel_shuffle": { call: ([x], o) => F.pixelShuffle(x as Tensor, o["upscaleFactor"] as number) },
    "nn.functional.pixel_unshuffle": {
      call: ([x], o) => F.pixelUnshuffle(x as Tensor, o["downscaleFactor"] as number),
    },
    "nn.functional.upsample_bilinear": {
      call: ([x], o) => F.interpolate(x as Tensor, { ...o, mode: "bilinear", alignCorners: true }),
      ...SUMS,
    },
    "nn.functional.upsample_nearest": { call: call(F.interpolate) },
    "nn.functional.batch_norm": {
      call: call(F.batchNorm),
      leaveOut: ([x]) => ((x as Tensor).dim() < 2 ? "an input without channels is an error here" : null),
      ...NORMS,
    },
    "nn.functional.group_norm": { call: call(F.groupNorm), ...NORMS },
    "nn.functional.instance_norm": { call: call(F.instanceNorm), ...NORMS },
    "nn.functional.local_response_norm": { call: call(F.localResponseNorm), ...NORMS },
    "nn.functional.normalize": { call: call(F.normalize), ...NORMS },
    "nn.functional.embedding_bag": {
      // The database's function has the weight first.
      call: ([weight, ...rest], options) => F.embeddingBag(rest[0] as Tensor, { ...options, weight: weight as Tensor }),
      ...SUMS,
    },
    argsort: {},
    bincount: {
      leaveOut: (args, o) =>
        (args[1] ?? o["weights"]) == null ? null : "integer weights give float32 here, float64 there",
    },
    bucketize: { call: call(tg.bucketize) },
    cummax: {},
    cummin: {},
    histc: {},
    kthvalue: {},
    median: {},
    mode: {},
    msort: {},
    nanmedian: {},
    searchsorted: { call: call(tg.searchsorted) },
    sort: {},
    topk: {},
    unique: {},
    unique_consecutive: {},
  },
};
