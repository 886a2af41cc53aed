/** `tg.data`: datasets and batches. */

export { ConcatDataset, Dataset, randomSplit, Subset, TensorDataset } from "./dataset.ts";
export {
  BatchSampler,
  DataLoader,
  defaultCollate,
  RandomSampler,
  SequentialSampler,
  SubsetRandomSampler,
  WeightedRandomSampler,
  type DataLoaderOptions,
  type Sampler,
} from "./loader.ts";
export { loadCsv, loadIdx, TextDataset } from "./files.ts";
