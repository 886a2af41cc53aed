
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
  a0s0: i32,
  a1: i32,
  a1s1: i32,
  a2: i32,
  a2s0: i32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> b0: array<f32>;
@group(1) @binding(1) var<storage, read> b1: array<f32>;
@group(1) @binding(2) var<storage, read_write> b2: array<f32>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(num_workgroups) group_count: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let group = group_id.y * group_count.x + group_id.x;
  let row = group * 256u + local;
  if (row >= params.rows) { return; }
  let oq0 = row / params.o1;
  let o0 = i32(oq0);
  let o1 = i32(row % params.o1);
  let r0 = params.a0 + o0 * params.a0s0 + o1;
  let v0 = b0[r0];
  let r1 = params.a1 + o0 + o1 * params.a1s1;
  let v1 = b1[r1];
  let v2 = v0 + v1;
  let r2 = params.a2 + o0 * params.a2s0 + o1;
  b2[r2] = v2;
}
