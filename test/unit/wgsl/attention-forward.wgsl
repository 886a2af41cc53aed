
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
}
@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> query_buffer: array<vec4<f32>>;
@group(1) @binding(1) var<storage, read> key_buffer: array<vec4<f32>>;
@group(1) @binding(2) var<storage, read> value_buffer: array<vec4<f32>>;
@group(1) @binding(3) var<storage, read_write> out_buffer: array<f32>;
fn t_isnan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
fn t_nan() -> f32 {
  return bitcast<f32>(params.nan);
}
fn t_inf() -> f32 {
  return bitcast<f32>(params.inf);
}
fn t_signbit(x: f32) -> bool {
  return bitcast<u32>(x) >= 0x80000000u;
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
fn t_log_tail(f: f32) -> f32 {
  var p = 0.0734171495;
  p = p * f - 0.116638266;
  p = p * f + 0.116328061;
  p = p * f - 0.123960316;
  p = p * f + 0.142513186;
  p = p * f - 0.166691869;
  p = p * f + 0.200006813;
  p = p * f - 0.249999806;
  p = p * f + 0.333333313;
  return f * f * (f * p - 0.5);
}
fn t_split(x: f32) -> vec2<i32> {
  var bits = bitcast<i32>(x);
  var e = 0;
  if (bits < 0x00800000) {
    bits = bitcast<i32>(f32(bits));
    e = -149;
  }
  let offset = bits - 0x3f3504f3;
  return vec2<i32>((offset & 0x7fffff) + 0x3f3504f3, e + (offset >> 23u));
}
fn t_log_special(x: f32) -> f32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) == 0u) { return -t_inf(); }
  if (t_signbit(x)) { return t_nan(); }
  return x;
}
fn t_log_is_special(x: f32) -> bool {
  return bitcast<i32>(x) <= 0 || bitcast<i32>(x) >= 0x7f800000;
}
fn t_log(x: f32) -> f32 {
  if (t_log_is_special(x)) { return t_log_special(x); }
  let s = t_split(x);
  let f = bitcast<f32>(s.x) - 1.0;
  let e = f32(s.y);
  return e * 0.693359375 + (f + (t_log_tail(f) - e * 0.000212194440));
}
var<workgroup> own: array<vec4<f32>, 544>;
var<workgroup> other: array<vec4<f32>, 272>;
var<workgroup> weights: array<vec4<f32>, 128>;
var<workgroup> peaks: array<vec4<f32>, 64>;
fn max4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
  var y = a;
  for (var r = 0u; r < 4u; r++) { y[r] = t_max(y[r], b[r]); }
  return y;
}
fn exp4(a: vec4<f32>) -> vec4<f32> {
  var y = a;
  for (var r = 0u; r < 4u; r++) { y[r] = t_exp(y[r]); }
  return y;
}
fn finite_peak(peak: vec4<f32>) -> vec4<f32> {
  return select(peak, vec4<f32>(), bitcast<vec4<u32>>(peak) == vec4<u32>(0xff800000u));
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
  let row0 = (params.tiles - 1u - group % params.tiles) * 32u;
  let ty = local / 8u;
  let tx = local % 8u;
  var query_at = params.query;
  var key_at = params.key;
  var value_at = params.value;
  var rest = batch;
  let c0 = i32(rest % params.size0);
  rest = rest / params.size0;
  query_at += c0 * params.query_batch0;
  key_at += c0 * params.key_batch0;
  value_at += c0 * params.value_batch0;
  for (var i = local; i < 512u; i += 64u) {
    let r = i / 16u;
    let c = i % 16u;
    var value = vec4<f32>();
    if (row0 + r < params.queries) {
      value = vec4<f32>(query_buffer[(query_at + i32(row0 + r) * params.query_row) / 4 + i32(c)]);
    }
    own[r * 17u + c] = value * params.scale;
  }
  var o0_0 = vec4<f32>();
  var o0_1 = vec4<f32>();
  var o1_0 = vec4<f32>();
  var o1_1 = vec4<f32>();
  var o2_0 = vec4<f32>();
  var o2_1 = vec4<f32>();
  var o3_0 = vec4<f32>();
  var o3_1 = vec4<f32>();
  var peak = vec4<f32>(-t_inf());
  var total = vec4<f32>();
  let last = min(params.keys, row0 + 32u + params.reach);
  for (var col0 = 0u; col0 < last; col0 += 16u) {
  for (var i = local; i < 256u; i += 64u) {
    let r = i / 16u;
    let c = i % 16u;
    var value = vec4<f32>();
    if (col0 + r < params.keys) {
      value = vec4<f32>(key_buffer[(key_at + i32(col0 + r) * params.key_row) / 4 + i32(c)]);
    }
    other[r * 17u + c] = value;
  }
    workgroupBarrier();
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    for (var k = 0u; k < 16u; k++) {
      let x0 = own[(ty * 4u + 0u) * 17u + k];
      let x1 = own[(ty * 4u + 1u) * 17u + k];
      let x2 = own[(ty * 4u + 2u) * 17u + k];
      let x3 = own[(ty * 4u + 3u) * 17u + k];
      let y0 = other[(tx + 0u) * 17u + k];
      s0 += vec4<f32>(dot(x0, y0), dot(x1, y0), dot(x2, y0), dot(x3, y0));
      let y1 = other[(tx + 8u) * 17u + k];
      s1 += vec4<f32>(dot(x0, y1), dot(x1, y1), dot(x2, y1), dot(x3, y1));
    }
    let j0 = col0 + tx + 0u;
    if (j0 >= params.keys || j0 > (row0 + ty * 4u + 0u) + params.reach) { s0.x = -t_inf(); }
    if (j0 >= params.keys || j0 > (row0 + ty * 4u + 1u) + params.reach) { s0.y = -t_inf(); }
    if (j0 >= params.keys || j0 > (row0 + ty * 4u + 2u) + params.reach) { s0.z = -t_inf(); }
    if (j0 >= params.keys || j0 > (row0 + ty * 4u + 3u) + params.reach) { s0.w = -t_inf(); }
    let j1 = col0 + tx + 8u;
    if (j1 >= params.keys || j1 > (row0 + ty * 4u + 0u) + params.reach) { s1.x = -t_inf(); }
    if (j1 >= params.keys || j1 > (row0 + ty * 4u + 1u) + params.reach) { s1.y = -t_inf(); }
    if (j1 >= params.keys || j1 > (row0 + ty * 4u + 2u) + params.reach) { s1.z = -t_inf(); }
    if (j1 >= params.keys || j1 > (row0 + ty * 4u + 3u) + params.reach) { s1.w = -t_inf(); }
    peaks[tx * 8u + ty] = max4(s0, s1);
    workgroupBarrier();
    var next = peak;
    for (var t = 0u; t < 8u; t++) { next = max4(next, peaks[t * 8u + ty]); }
    let base = finite_peak(next);
    let factor = exp4(peak - base);
    peak = next;
    total *= factor;
    let p0 = exp4(s0 - base);
    total += p0;
    weights[(tx + 0u) * 8u + ty] = p0;
    let p1 = exp4(s1 - base);
    total += p1;
    weights[(tx + 8u) * 8u + ty] = p1;
  for (var i = local; i < 256u; i += 64u) {
    let r = i / 16u;
    let c = i % 16u;
    var value = vec4<f32>();
    if (col0 + r < params.keys) {
      value = vec4<f32>(value_buffer[(value_at + i32(col0 + r) * params.value_row) / 4 + i32(c)]);
    }
    other[r * 17u + c] = value;
  }
    workgroupBarrier();
    o0_0 *= factor.x;
    o0_1 *= factor.x;
    o1_0 *= factor.y;
    o1_1 *= factor.y;
    o2_0 *= factor.z;
    o2_1 *= factor.z;
    o3_0 *= factor.w;
    o3_1 *= factor.w;
    for (var j = 0u; j < 16u; j++) {
      let p = weights[j * 8u + ty];
      let other_0 = other[j * 17u + tx + 0u];
      o0_0 = fma(vec4<f32>(p.x), other_0, o0_0);
      o1_0 = fma(vec4<f32>(p.y), other_0, o1_0);
      o2_0 = fma(vec4<f32>(p.z), other_0, o2_0);
      o3_0 = fma(vec4<f32>(p.w), other_0, o3_0);
      let other_1 = other[j * 17u + tx + 8u];
      o0_1 = fma(vec4<f32>(p.x), other_1, o0_1);
      o1_1 = fma(vec4<f32>(p.y), other_1, o1_1);
      o2_1 = fma(vec4<f32>(p.z), other_1, o2_1);
      o3_1 = fma(vec4<f32>(p.w), other_1, o3_1);
    }
    workgroupBarrier();
  }
  peaks[tx * 8u + ty] = total;
  workgroupBarrier();
  total = vec4<f32>();
  for (var t = 0u; t < 8u; t++) { total += peaks[t * 8u + ty]; }
  let none = total == vec4<f32>();
  let inverse = select(1.0 / total, vec4<f32>(t_nan()), none);
  if (row0 + ty * 4u + 0u < params.queries) {
    let line = 0u + (batch * params.queries + row0 + ty * 4u + 0u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = o0_0.x * inverse.x;
    out_buffer[line + (tx + 0u) * 4u + 1u] = o0_0.y * inverse.x;
    out_buffer[line + (tx + 0u) * 4u + 2u] = o0_0.z * inverse.x;
    out_buffer[line + (tx + 0u) * 4u + 3u] = o0_0.w * inverse.x;
    out_buffer[line + (tx + 8u) * 4u + 0u] = o0_1.x * inverse.x;
    out_buffer[line + (tx + 8u) * 4u + 1u] = o0_1.y * inverse.x;
    out_buffer[line + (tx + 8u) * 4u + 2u] = o0_1.z * inverse.x;
    out_buffer[line + (tx + 8u) * 4u + 3u] = o0_1.w * inverse.x;
  }
  if (row0 + ty * 4u + 1u < params.queries) {
    let line = 0u + (batch * params.queries + row0 + ty * 4u + 1u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = o1_0.x * inverse.y;
    out_buffer[line + (tx + 0u) * 4u + 1u] = o1_0.y * inverse.y;
    out_buffer[line + (tx + 0u) * 4u + 2u] = o1_0.z * inverse.y;
    out_buffer[line + (tx + 0u) * 4u + 3u] = o1_0.w * inverse.y;
    out_buffer[line + (tx + 8u) * 4u + 0u] = o1_1.x * inverse.y;
    out_buffer[line + (tx + 8u) * 4u + 1u] = o1_1.y * inverse.y;
    out_buffer[line + (tx + 8u) * 4u + 2u] = o1_1.z * inverse.y;
    out_buffer[line + (tx + 8u) * 4u + 3u] = o1_1.w * inverse.y;
  }
  if (row0 + ty * 4u + 2u < params.queries) {
    let line = 0u + (batch * params.queries + row0 + ty * 4u + 2u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = o2_0.x * inverse.z;
    out_buffer[line + (tx + 0u) * 4u + 1u] = o2_0.y * inverse.z;
    out_buffer[line + (tx + 0u) * 4u + 2u] = o2_0.z * inverse.z;
    out_buffer[line + (tx + 0u) * 4u + 3u] = o2_0.w * inverse.z;
    out_buffer[line + (tx + 8u) * 4u + 0u] = o2_1.x * inverse.z;
    out_buffer[line + (tx + 8u) * 4u + 1u] = o2_1.y * inverse.z;
    out_buffer[line + (tx + 8u) * 4u + 2u] = o2_1.z * inverse.z;
    out_buffer[line + (tx + 8u) * 4u + 3u] = o2_1.w * inverse.z;
  }
  if (row0 + ty * 4u + 3u < params.queries) {
    let line = 0u + (batch * params.queries + row0 + ty * 4u + 3u) * 64u;
    out_buffer[line + (tx + 0u) * 4u + 0u] = o3_0.x * inverse.w;
    out_buffer[line + (tx + 0u) * 4u + 1u] = o3_0.y * inverse.w;
    out_buffer[line + (tx + 0u) * 4u + 2u] = o3_0.z * inverse.w;
    out_buffer[line + (tx + 0u) * 4u + 3u] = o3_0.w * inverse.w;
    out_buffer[line + (tx + 8u) * 4u + 0u] = o3_1.x * inverse.w;
    out_buffer[line + (tx + 8u) * 4u + 1u] = o3_1.y * inverse.w;
    out_buffer[line + (tx + 8u) * 4u + 2u] = o3_1.z * inverse.w;
    out_buffer[line + (tx + 8u) * 4u + 3u] = o3_1.w * inverse.w;
  }
  if (tx != 0u) { return; }
  if (row0 + ty * 4u + 0u < params.queries) {
    let statistic = select(peak.x + t_log(total.x), -t_inf(), none.x);
    let line = batch * params.queries + row0 + ty * 4u + 0u;
    out_buffer[params.statistics + line] = statistic;
  }
  if (row0 + ty * 4u + 1u < params.queries) {
    let statistic = select(peak.y + t_log(total.y), -t_inf(), none.y);
    let line = batch * params.queries + row0 + ty * 4u + 1u;
    out_buffer[params.statistics + line] = statistic;
  }
  if (row0 + ty * 4u + 2u < params.queries) {
    let statistic = select(peak.z + t_log(total.z), -t_inf(), none.z);
    let line = batch * params.queries + row0 + ty * 4u + 2u;
    out_buffer[params.statistics + line] = statistic;
  }
  if (row0 + ty * 4u + 3u < params.queries) {
    let statistic = select(peak.w + t_log(total.w), -t_inf(), none.w);
    let line = batch * params.queries + row0 + ty * 4u + 3u;
    out_buffer[params.statistics + line] = statistic;
  }
}
