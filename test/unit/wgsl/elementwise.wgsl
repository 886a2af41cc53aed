
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
  a0: i32,
  a1: i32,
  x0: f32,
  x1: f32,
  x2: f32,
  x3: f32,
  x4: f32,
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
fn t_copysign(x: f32, y: f32) -> f32 {
  return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(y) & 0x80000000u));
}
fn t_nonzero(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) != 0u;
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
fn t_expm1(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (x > 100.0) { return t_inf(); }
  if (x < -18.0) { return -1.0; }
  if (abs(x) < 0.3465) { return select(t_expm1_near(x), x, x == 0.0); }
  let n = floor(x * 1.44269504 + 0.5);
  let p = t_expm1_near((x - n * 0.693359375) + n * 0.000212194440);
  let m = i32(n);
  let one = select(t_power_of_two(-m), 0.0, m > 60);
  return t_scale(p + (1.0 - one), m);
}
fn t_tanh(x: f32) -> f32 {
  if (t_isnan(x) || !t_nonzero(x)) { return x; }
  let a = abs(x);
  if (a > 9.1) { return t_copysign(1.0, x); }
  let t = t_expm1(2.0 * a);
  if (a > 0.55) { return t_copysign(1.0 - 2.0 / (t + 2.0), x); }
  return t_copysign(t / (t + 2.0), x);
}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(num_workgroups) group_count: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let group = group_id.y * group_count.x + group_id.x;
  let row = group * 256u + local;
  if (row >= params.rows) { return; }
  let o0 = i32(row);
  let r0 = params.a0 + o0;
  let v0 = b0[r0];
  let v1 = params.x0;
  let v2 = v0 * v1;
  let v3 = v2 + v0;
  let v4 = t_tanh(v3);
  let v5 = params.x1;
  let v6 = v4 * v5;
  let v7 = v6 + v0;
  let v8 = t_tanh(v7);
  let v9 = params.x2;
  let v10 = v8 * v9;
  let v11 = v10 + v0;
  let v12 = t_tanh(v11);
  let v13 = params.x3;
  let v14 = v12 * v13;
  let v15 = v14 + v0;
  let v16 = t_tanh(v15);
  let v17 = params.x4;
  let v18 = v16 * v17;
  let v19 = v18 + v0;
  let v20 = t_tanh(v19);
  let r1 = params.a1 + o0;
  b1[r1] = v20;
}
