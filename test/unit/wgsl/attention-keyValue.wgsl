
struct Params {
  inf: u32,
  nan: u32,
  tag: u32,
  first: u32,
  tiles: u32,
  batches: u32,
  queries: u32,
  keys: u32,
  reach: u32,
  statistics: u32,
  scale: f32,
  size0: u32,
  query: i32,
  query_row: i32,
  query_column: i32,
  query_batch0: i32,
  key: i32,
  key_row: i32,
  key_column: i32,
  key_batch0: i32,
  value: i32,
  value_row: i32,
  value_column: i32,
  value_batch0: i32,
  grad: i32,
  grad_row: i32,
  grad_column: i32,
  grad_batch0: i32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> query_buffer: array<vec4<f32>>;
@group(1) @binding(1) var<storage, read> key_buffer: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> value_buffer: array<vec4<f32>>;
@group(1) @binding(3) var<storage, read> grad_buffer: array<f32>;
@group(1) @binding(4) var<storage, read> packed_buffer: array<f32>;
@group(1) @binding(5) var<storage, read> delta_buffer: array<f32>;
@group(1) @binding(6) var<storage, read_write> out_buffer: array<f32>;
fn t_isnan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
fn t_inf() -> f32 {
  return bitcast<f32>(params.inf);
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
var<workgroup> own_a: array<vec4<f32>, 544>;
var<workgroup> own_b: array<vec4<f32>, 544>;
var<workgroup> other_a: array<vec4<f32>, 272>;
var<workgroup> other_b: array<vec4<f32>, 272>;
var<workgroup> weights: array<vec4<f32>, 128>;
var<workgroup> slopes: array<vec4<f32>, 128>;
fn exp4(a: vec4<f32>) -> vec4<f32> {
  var y = a;
  for (var r = 0u; r < 4u; r++) { y[r] = t_exp(y[r]); }
  return y;
}
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = params.first + group_id.y * group_count.x + group_id.x;
  let batch = group / params.tiles;
  if (batch >= params.batches) { return; }
  let row0 = (group % params.tiles) * 32u;
  let ty = local / 8u;
  let tx = local % 8u;
  var query_at = params.query;
  var key_at = params.key;
  var value_at = params.value;
  var grad_at = params.grad;
  var rest = batch;
  let c0 = i32(rest % params.size0);
  rest = rest / params.size0;
  query_at += c0 * params.query_batch0;
  key_at += c0 * params.key_batch0;
  value_at += c0 * params.value_batch0;
  grad_at += c0 * params.grad_batch0;
  for (var i = local; i < 512u; i += 64u) {
    let r = i / 16u;
    let c = i % 16u;
    var value = vec4<f32>();
    if (row0 + r < params.keys) {
      value = vec4<f32>(key_buffer[(key_at + i32(row0 + r) * params.key_row) / 4 + i32(c)]);
    }
    own_a[r * 17u + c] = value;
  }
  for (var i = local; i < 512u; i += 64u) {
    let r = i / 16u;
    let c = i % 16u;
    var value = vec4<f32>();
    if (row0 + r < params.keys) {
      value = vec4<f32>(value_buffer[(value_at + i32(row0 + r) * params.value_row) / 4 + i32(c)]);
    }
    own_b[r * 17u + c] = value;
  }
  var a0_0 = vec4<f32>();
  var a0_1 = vec4<f32>();
  var a1_0 = vec4<f32>();
  var a1_1 = vec4<f32>();
  var a2_0 = vec4<f32>();
  var a2_1 = vec4<f32>();
  var a3_0 = vec4<f32>();
  var a3_1 = vec4<f32>();
  var b0_0 = vec4<f32>();
  var b0_1 = vec4<f32>();
  var b1_0 = vec4<f32>();
  var b1_1 = vec4<f32>();
  var b2_0 = vec4<f32>();
  var b2_1 = vec4<f32>();
  var b3_0 = vec4<f32>();
  var b3_1 = vec4<f32>();
  let last = params.queries;
  for (var col0 = (max(row0, params.reach) - params.reach) / 16u * 16u; col0 < last; col0 += 16u) {
  for (var i = local; i < 256u; i += 64u) {
    let r = i / 16u;
    let c = i % 16u;
    var value = vec4<f32>();
    if (col0 + r < params.queries) {
      value = vec4<f32>(query_buffer[(query_at + i32(col0 + r) * params.query_row) / 4 + i32(c)]);
    }
    other_a[r * 17u + c] = value * params.scale;
  }
  for (var i = local; i < 256u; i += 64u) {
    let r = i / 16u;
    let c = i % 16u;
    var value = vec4<f32>();
    if (col0 + r < params.queries) {
      let at = grad_at + i32(col0 + r) * params.grad_row + i32(c) * 4 * params.grad_column;
      value.x = grad_buffer[at + 0 * params.grad_column];
      value.y = grad_buffer[at + 1 * params.grad_column];
      value.z = grad_buffer[at + 2 * params.grad_column];
      value.w = grad_buffer[at + 3 * params.grad_column];
    }
    other_b[r * 17u + c] = value;
  }
    workgroupBarrier();
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    for (var k = 0u; k < 16u; k++) {
      let x0 = own_a[(ty * 4u + 0u) * 17u + k];
      let x1 = own_a[(ty * 4u + 1u) * 17u + k];
      let x2 = own_a[(ty * 4u + 2u) * 17u + k];
      let x3 = own_a[(ty * 4u + 3u) * 17u + k];
      let y0 = other_a[(tx + 0u) * 17u + k];
      s0 += vec4<f32>(dot(x0, y0), dot(x1, y0), dot(x2, y0), dot(x3, y0));
      let y1 = other_a[(tx + 8u) * 17u + k];
      s1 += vec4<f32>(dot(x0, y1), dot(x1, y1), dot(x2, y1), dot(x3, y1));
    }
    let j0 = col0 + tx + 0u;
    if (j0 >= params.queries || (row0 + ty * 4u + 0u) >= params.keys || (row0 + ty * 4u + 0u) > j0 + params.reach) { s0.x = -t_inf(); }
    if (j0 >= params.queries || (row0 + ty * 4u + 1u) >= params.keys || (row0 + ty * 4u + 1u) > j0 + params.reach) { s0.y = -t_inf(); }
    if (j0 >= params.queries || (row0 + ty * 4u + 2u) >= params.keys || (row0 + ty * 4u + 2u) > j0 + params.reach) { s0.z = -t_inf(); }
    if (j0 >= params.queries || (row0 + ty * 4u + 3u) >= params.keys || (row0 + ty * 4u + 3u) > j0 + params.reach) { s0.w = -t_inf(); }
    let j1 = col0 + tx + 8u;
    if (j1 >= params.queries || (row0 + ty * 4u + 0u) >= params.keys || (row0 + ty * 4u + 0u) > j1 + params.reach) { s1.x = -t_inf(); }
    if (j1 >= params.queries || (row0 + ty * 4u + 1u) >= params.keys || (row0 + ty * 4u + 1u) > j1 + params.reach) { s1.y = -t_inf(); }
    if (j1 >= params.queries || (row0 + ty * 4u + 2u) >= params.keys || (row0 + ty * 4u + 2u) > j1 + params.reach) { s1.z = -t_inf(); }
    if (j1 >= params.queries || (row0 + ty * 4u + 3u) >= params.keys || (row0 + ty * 4u + 3u) > j1 + params.reach) { s1.w = -t_inf(); }
    var g0 = vec4<f32>();
    var g1 = vec4<f32>();
    for (var k = 0u; k < 16u; k++) {
      let x0 = own_b[(ty * 4u + 0u) * 17u + k];
      let x1 = own_b[(ty * 4u + 1u) * 17u + k];
      let x2 = own_b[(ty * 4u + 2u) * 17u + k];
      let x3 = own_b[(ty * 4u + 3u) * 17u + k];
      let y0 = other_b[(tx + 0u) * 17u + k];
      g0 += vec4<f32>(dot(x0, y0), dot(x1, y0), dot(x2, y0), dot(x3, y0));
      let y1 = other_b[(tx + 8u) * 17u + k];
      g1 += vec4<f32>(dot(x0, y1), dot(x1, y1), dot(x2, y1), dot(x3, y1));
    }
    var statistic0 = 0.0;
    var delta0 = 0.0;
    if (j0 < params.queries) {
      statistic0 = packed_buffer[params.statistics + batch * params.queries + j0];
      delta0 = delta_buffer[batch * params.queries + j0];
    }
    let p0 = select(vec4<f32>(), exp4(s0 - statistic0), j0 < params.queries);
    weights[(tx + 0u) * 8u + ty] = p0;
    slopes[(tx + 0u) * 8u + ty] = select(vec4<f32>(), p0 * (g0 - delta0), j0 < params.queries);
    var statistic1 = 0.0;
    var delta1 = 0.0;
    if (j1 < params.queries) {
      statistic1 = packed_buffer[params.statistics + batch * params.queries + j1];
      delta1 = delta_buffer[batch * params.queries + j1];
    }
    let p1 = select(vec4<f32>(), exp4(s1 - statistic1), j1 < params.queries);
    weights[(tx + 8u) * 8u + ty] = p1;
    slopes[(tx + 8u) * 8u + ty] = select(vec4<f32>(), p1 * (g1 - delta1), j1 < params.queries);
    workgroupBarrier();
    for (var j = 0u; j < 16u; j++) {
      let ds = slopes[j * 8u + ty];
      let other_a_0 = other_a[j * 17u + tx + 0u];
      a0_0 = fma(vec4<f32>(ds.x), other_a_0, a0_0);
      a1_0 = fma(vec4<f32>(ds.y), other_a_0, a1_0);
      a2_0 = fma(vec4<f32>(ds.z), other_a_0, a2_0);
      a3_0 = fma(vec4<f32>(ds.w), other_a_0, a3_0);
      let other_a_1 = other_a[j * 17u + tx + 8u];
      a0_1 = fma(vec4<f32>(ds.x), other_a_1, a0_1);
      a1_1 = fma(vec4<f32>(ds.y), other_a_1, a1_1);
      a2_1 = fma(vec4<f32>(ds.z), other_a_1, a2_1);
      a3_1 = fma(vec4<f32>(ds.w), other_a_1, a3_1);
      let p = weights[j * 8u + ty];
      let other_b_0 = other_b[j * 17u + tx + 0u];
      b0_0 = fma(vec4<f32>(p.x), other_b_0, b0_0);
      b1_0 = fma(vec4<f32>(p.y), other_b_0, b1_0);
      b2_0 = fma(vec4<f32>(p.z), other_b_0, b2_0);
      b3_0 = fma(vec4<f32>(p.w), other_b_0, b3_0);
      let other_b_1 = other_b[j * 17u + tx + 8u];
      b0_1 = fma(vec4<f32>(p.x), other_b_1, b0_1);
      b1_1 = fma(vec4<f32>(p.y), other_b_1, b1_1);
      b2_1 = fma(vec4<f32>(p.z), other_b_1, b2_1);
      b3_1 = fma(vec4<f32>(p.w), other_b_1, b3_1);
    }
    workgroupBarrier();
  }
  if (row0 + ty * 4u + 0u < params.keys) {
    let line = 0u + (batch * params.keys + row0 + ty * 4u + 0u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = a0_0.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = a0_0.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = a0_0.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = a0_0.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = a0_1.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = a0_1.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = a0_1.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = a0_1.w;
  }
  if (row0 + ty * 4u + 1u < params.keys) {
    let line = 0u + (batch * params.keys + row0 + ty * 4u + 1u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = a1_0.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = a1_0.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = a1_0.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = a1_0.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = a1_1.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = a1_1.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = a1_1.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = a1_1.w;
  }
  if (row0 + ty * 4u + 2u < params.keys) {
    let line = 0u + (batch * params.keys + row0 + ty * 4u + 2u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = a2_0.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = a2_0.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = a2_0.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = a2_0.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = a2_1.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = a2_1.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = a2_1.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = a2_1.w;
  }
  if (row0 + ty * 4u + 3u < params.keys) {
    let line = 0u + (batch * params.keys + row0 + ty * 4u + 3u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = a3_0.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = a3_0.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = a3_0.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = a3_0.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = a3_1.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = a3_1.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = a3_1.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = a3_1.w;
  }
  if (row0 + ty * 4u + 0u < params.keys) {
    let line = params.batches * params.keys * 64u + (batch * params.keys + row0 + ty * 4u + 0u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = b0_0.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = b0_0.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = b0_0.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = b0_0.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = b0_1.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = b0_1.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = b0_1.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = b0_1.w;
  }
  if (row0 + ty * 4u + 1u < params.keys) {
    let line = params.batches * params.keys * 64u + (batch * params.keys + row0 + ty * 4u + 1u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = b1_0.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = b1_0.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = b1_0.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = b1_0.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = b1_1.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = b1_1.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = b1_1.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = b1_1.w;
  }
  if (row0 + ty * 4u + 2u < params.keys) {
    let line = params.batches * params.keys * 64u + (batch * params.keys + row0 + ty * 4u + 2u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = b2_0.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = b2_0.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = b2_0.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = b2_0.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = b2_1.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = b2_1.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = b2_1.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = b2_1.w;
  }
  if (row0 + ty * 4u + 3u < params.keys) {
    let line = params.batches * params.keys * 64u + (batch * params.keys + row0 + ty * 4u + 3u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = b3_0.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = b3_0.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = b3_0.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = b3_0.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = b3_1.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = b3_1.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = b3_1.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = b3_1.w;
  }
}
