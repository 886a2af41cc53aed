
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
  a1s0: i32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> b0: array<f32>;
@group(1) @binding(1) var<storage, read_write> b1: array<f32>;
fn t_isnan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
fn t_inf() -> f32 {
  return bitcast<f32>(params.inf);
}
fn t_order(x: f32) -> i32 {
  let b = bitcast<i32>(x);
  return select(b, -(b & 0x7fffffff), b < 0);
}
fn t_max(x: f32, y: f32) -> f32 {
  return select(select(x, y, t_order(y) > t_order(x) || t_isnan(y)), x, t_isnan(x));
}
fn t_power_of_two(n: i32) -> f32 {
  return bitcast<f32>((n + 127) << 23u);
}
fn t_scale(x: f32, n: i32) -> f32 {
  let half = n >> 1u;
  return x * t_power_of_two(half) * t_power_of_two(n - half);
}
fn t_expm1_near(r: f32) -> f32 {
  var p = 0.00139353645;
  p = p * r + 0.00836331304;
  p = p * r + 0.0416664630;
  p = p * r + 0.166665763;
  p = p * r + 0.5;
  return r + r * r * p;
}
fn t_exp_parts(high: f32, low: f32, shift: i32) -> f32 {
  if (t_isnan(high)) { return high; }
  if (high > 100.0) { return t_inf(); }
  if (high < -120.0) { return 0.0; }
  let n = floor(high * 1.44269504 + 0.5);
  let r = (high - n * 0.693359375) + (n * 0.000212194440 + low);
  return t_scale(1.0 + t_expm1_near(r), i32(n) + shift);
}
fn t_exp(x: f32) -> f32 {
  return t_exp_parts(x, 0.0, 0);
}
var<workgroup> shared0: array<u32, 256>;
var<workgroup> shared1: array<u32, 16>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(num_workgroups) group_count: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let group = group_id.y * group_count.x + group_id.x;
  let wanted = group;
  let lane = local;
  let live = wanted < params.rows;
  let row = min(wanted, params.rows - 1u);
  var t1 = -bitcast<f32>(params.inf);
  let o0 = i32(row);
  let r0 = params.a0 + o0 * params.a0s0;
  for (var col = lane; col < params.cols; col += 256u) {
    let n0 = i32(col);
    let at0 = r0 + n0;
    let v0 = b0[at0];
    t1 = t_max(t1, v0);
  }
  shared0[lane] = bitcast<u32>(t1);
  workgroupBarrier();
  if (lane < 16u) {
    t1 = -bitcast<f32>(params.inf);
    for (var k = lane; k < 256u; k += 16u) {
      t1 = t_max(t1, bitcast<f32>(shared0[k]));
    }
  }
  if (lane < 16u) {
    shared1[lane] = bitcast<u32>(t1);
  }
  workgroupBarrier();
  t1 = -bitcast<f32>(params.inf);
  for (var k = 0u; k < 16u; k += 1u) {
    t1 = t_max(t1, bitcast<f32>(shared1[k]));
  }
  let v1 = t1;
  var t4 = 0.0f;
  for (var start = lane; start < params.cols; start += 256u * params.block) {
    var part4 = 0.0f;
    let stop = min(start + 256u * params.block, params.cols);
    for (var col = start; col < stop; col += 256u) {
      let n0 = i32(col);
      let at0 = r0 + n0;
      let v0 = b0[at0];
      let v2 = v0 - v1;
      let v3 = t_exp(v2);
      part4 = part4 + v3;
    }
    t4 = t4 + part4;
  }
  shared0[lane] = bitcast<u32>(t4);
  workgroupBarrier();
  if (lane < 16u) {
    t4 = 0.0f;
    for (var k = lane; k < 256u; k += 16u) {
      t4 = t4 + bitcast<f32>(shared0[k]);
    }
  }
  if (lane < 16u) {
    shared1[lane] = bitcast<u32>(t4);
  }
  workgroupBarrier();
  t4 = 0.0f;
  for (var k = 0u; k < 16u; k += 1u) {
    t4 = t4 + bitcast<f32>(shared1[k]);
  }
  let v4 = t4;
  let v5 = 1.0f;
  let v6 = v5 / v4;
  let r1 = params.a1 + o0 * params.a1s0;
  for (var col = lane; col < select(0u, params.cols, live); col += 256u) {
    let n0 = i32(col);
    let at0 = r0 + n0;
    let v0 = b0[at0];
    let v2 = v0 - v1;
    let v3 = t_exp(v2);
    let v7 = v3 * v6;
    let at1 = r1 + n0;
    b1[at1] = v7;
  }
}
