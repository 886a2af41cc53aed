
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
  n0: u32,
  a0: i32,
  a0s0: i32,
  a1: i32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> b0: array<f32>;
@group(1) @binding(1) var<storage, read_write> b1: array<f32>;
var<workgroup> shared0: array<u32, 256>;
var<workgroup> shared1: array<u32, 16>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(num_workgroups) group_count: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let group = group_id.y * group_count.x + group_id.x;
  let wanted = group;
  let lane = local;
  let live = wanted < params.rows;
  let row = min(wanted, params.rows - 1u);
  var t1 = 0.0f;
  let o0 = i32(row);
  let r0 = params.a0 + o0 * params.a0s0;
  for (var start = lane; start < params.cols; start += 256u * params.block) {
    var part1 = 0.0f;
    let stop = min(start + 256u * params.block, params.cols);
    for (var col = start; col < stop; col += 256u) {
      let n0 = i32(col);
      let at0 = r0 + n0;
      let v0 = b0[at0];
      part1 = part1 + v0;
    }
    t1 = t1 + part1;
  }
  shared0[lane] = bitcast<u32>(t1);
  workgroupBarrier();
  if (lane < 16u) {
    t1 = 0.0f;
    for (var k = lane; k < 256u; k += 16u) {
      t1 = t1 + bitcast<f32>(shared0[k]);
    }
  }
  if (lane < 16u) {
    shared1[lane] = bitcast<u32>(t1);
  }
  workgroupBarrier();
  t1 = 0.0f;
  for (var k = 0u; k < 16u; k += 1u) {
    t1 = t1 + bitcast<f32>(shared1[k]);
  }
  let v1 = t1;
  let r1 = params.a1 + o0;
  if (!live || lane != 0u) { return; }
  b1[r1] = v1;
}
