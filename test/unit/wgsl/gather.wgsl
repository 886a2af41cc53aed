
struct Params {
  inf: u32,
  nan: u32,
  tag: u32,
  rows: u32,
  cols: u32,
  chunk: u32,
  chunks: u32,
  first_chunk: u32,
  all_chunks: u32,
  block: u32,
  o0: u32,
  o1: u32,
  a0: i32,
  a1: i32,
  a2: i32,
  a2s0: i32,
  x0: i32,
  x1: i32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> status: atomic<u32>;
@group(1) @binding(0) var<storage, read> b0: array<i32>;
@group(1) @binding(1) var<storage, read> b1: array<f32>;
@group(1) @binding(2) var<storage, read_write> b2: array<f32>;
fn t_check_index(index: i32, size: i32) -> i32 {
  if (index >= 0 && index < size) { return index; }
  t_fault();
  return 0;
}
fn t_fault() {
  loop {
    let result = atomicCompareExchangeWeak(&status, 0u, params.tag);
    if (result.exchanged || result.old_value != 0u) { break; }
  }
}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(num_workgroups) group_count: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let group = group_id.y * group_count.x + group_id.x;
  let row = group * 256u + local;
  if (row >= params.rows) { return; }
  let o1 = i32(row % params.o1);
  let r0 = params.a0 + o1;
  let v0 = r0;
  let oq0 = row / params.o1;
  let o0 = i32(oq0);
  let r1 = params.a1 + o0;
  let v1 = b0[r1];
  let v4 = 0i;
  let v5 = v1 < v4;
  let v3 = params.x1;
  let v6 = v1 + v3;
  let v7 = select(v1, v6, v5);
  let v8 = t_check_index(v7, v3);
  let v2 = params.x0;
  let v9 = v8 * v2;
  let v10 = v0 + v9;
  let v11 = b1[v10];
  let r2 = params.a2 + o0 * params.a2s0 + o1;
  b2[r2] = v11;
}
