/** The text of shaders/*.wgsl. Written by scripts/shaders.mjs: edit those files instead. */
export const SHADERS = {
  attention: `var<workgroup> own: array<vec4<f32>, {{own_size}}>;
var<workgroup> other: array<vec4<f32>, {{other_size}}>;
var<workgroup> weights: array<vec4<f32>, {{weights_size}}>;
var<workgroup> peaks: array<vec4<f32>, {{peaks_size}}>;
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
@compute @workgroup_size({{threads}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = params.first + group_id.y * group_count.x + group_id.x;
  let batch = group / params.tiles;
  if (batch >= params.batches) { return; }
  let row0 = (params.tiles - 1u - group % params.tiles) * {{rows}}u;
  let ty = local / 8u;
  let tx = local % 8u;
{{offsets}}
{{load_own}}
{{accumulators}}
  var peak = vec4<f32>(-t_inf());
  var total = vec4<f32>();
  let last = {{last}};
  for (var col0 = 0u; col0 < last; col0 += {{columns}}u) {
{{load_key}}
    workgroupBarrier();
{{scores}}
    peaks[tx * {{lines}}u + ty] = {{own_peak}};
    workgroupBarrier();
    var next = peak;
    for (var t = 0u; t < 8u; t++) { next = max4(next, peaks[t * {{lines}}u + ty]); }
    let base = finite_peak(next);
    let factor = exp4(peak - base);
    peak = next;
    total *= factor;
{{weigh}}
{{load_value}}
    workgroupBarrier();
{{rescale}}
    for (var j = 0u; j < {{columns}}u; j++) {
      let p = weights[j * {{lines}}u + ty];
{{accumulate}}
    }
    workgroupBarrier();
  }
  peaks[tx * {{lines}}u + ty] = total;
  workgroupBarrier();
  total = vec4<f32>();
  for (var t = 0u; t < 8u; t++) { total += peaks[t * {{lines}}u + ty]; }
{{store}}
}
`,
  attention_grad: `var<workgroup> own_a: array<vec4<f32>, {{own_a_size}}>;
var<workgroup> own_b: array<vec4<f32>, {{own_b_size}}>;
var<workgroup> other_a: array<vec4<f32>, {{other_a_size}}>;
var<workgroup> other_b: array<vec4<f32>, {{other_b_size}}>;
{{weights}}
var<workgroup> slopes: array<vec4<f32>, {{weights_size}}>;
fn exp4(a: vec4<f32>) -> vec4<f32> {
  var y = a;
  for (var r = 0u; r < 4u; r++) { y[r] = t_exp(y[r]); }
  return y;
}
@compute @workgroup_size({{threads}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = params.first + group_id.y * group_count.x + group_id.x;
  let batch = group / params.tiles;
  if (batch >= params.batches) { return; }
  let row0 = {{tile}} * {{rows}}u;
  let ty = local / 8u;
  let tx = local % 8u;
{{offsets}}
{{load_own}}
{{accumulators}}
  let last = {{last}};
  for (var col0 = {{begin}}; col0 < last; col0 += {{columns}}u) {
{{load_other}}
    workgroupBarrier();
{{scores}}
    workgroupBarrier();
    for (var j = 0u; j < {{columns}}u; j++) {
{{accumulate}}
    }
    workgroupBarrier();
  }
{{store}}
}
`,
  base: `fn t_isnan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
fn t_isinf(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}
fn t_nan() -> f32 {
  return bitcast<f32>(params.nan);
}
fn t_inf() -> f32 {
  return bitcast<f32>(params.inf);
}
fn t_copysign(x: f32, y: f32) -> f32 {
  return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(y) & 0x80000000u));
}
fn t_signbit(x: f32) -> bool {
  return bitcast<u32>(x) >= 0x80000000u;
}
fn t_order(x: f32) -> i32 {
  let b = bitcast<i32>(x);
  return select(b, -(b & 0x7fffffff), b < 0);
}
fn t_eq(x: f32, y: f32) -> bool {
  return t_order(x) == t_order(y) && !t_isnan(x);
}
fn t_ne(x: f32, y: f32) -> bool {
  return t_order(x) != t_order(y) || t_isnan(x);
}
fn t_lt(x: f32, y: f32) -> bool {
  return t_order(x) < t_order(y) && !t_isnan(x) && !t_isnan(y);
}
fn t_le(x: f32, y: f32) -> bool {
  return t_order(x) <= t_order(y) && !t_isnan(x) && !t_isnan(y);
}
fn t_gt(x: f32, y: f32) -> bool {
  return t_lt(y, x);
}
fn t_ge(x: f32, y: f32) -> bool {
  return t_le(y, x);
}
fn t_nonzero(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) != 0u;
}
fn t_max(x: f32, y: f32) -> f32 {
  return select(select(x, y, t_order(y) > t_order(x) || t_isnan(y)), x, t_isnan(x));
}
fn t_min(x: f32, y: f32) -> f32 {
  return select(select(x, y, t_order(y) < t_order(x) || t_isnan(y)), x, t_isnan(x));
}
fn t_sign(x: f32) -> f32 {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  return select(select(1.0, -1.0, t_signbit(x)), 0.0, bits == 0u || bits > 0x7f800000u);
}
fn t_argmax_beats_f(x: f32, i: i32, y: f32, j: i32) -> bool {
  let a = select(t_order(x), 0x7fffffff, t_isnan(x));
  let b = select(t_order(y), 0x7fffffff, t_isnan(y));
  return a > b || (a == b && i < j);
}
fn t_argmin_beats_f(x: f32, i: i32, y: f32, j: i32) -> bool {
  let a = select(t_order(x), -2147483647, t_isnan(x));
  let b = select(t_order(y), -2147483647, t_isnan(y));
  return a < b || (a == b && i < j);
}
fn t_argmax_beats_i(x: i32, i: i32, y: i32, j: i32) -> bool {
  return x > y || (x == y && i < j);
}
fn t_argmin_beats_i(x: i32, i: i32, y: i32, j: i32) -> bool {
  return x < y || (x == y && i < j);
}
fn t_argmax_beats_u(x: u32, i: i32, y: u32, j: i32) -> bool {
  return x > y || (x == y && i < j);
}
fn t_argmin_beats_u(x: u32, i: i32, y: u32, j: i32) -> bool {
  return x < y || (x == y && i < j);
}
fn t_integral(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) >= 0x4b000000u;
}
fn t_floor(x: f32) -> f32 {
  if (t_integral(x)) { return x; }
  return t_copysign(floor(x), x);
}
fn t_ceil(x: f32) -> f32 {
  if (t_integral(x)) { return x; }
  return t_copysign(ceil(x), x);
}
fn t_trunc(x: f32) -> f32 {
  if (t_integral(x)) { return x; }
  return t_copysign(trunc(x), x);
}
fn t_round(x: f32) -> f32 {
  if (t_integral(x)) { return x; }
  return t_copysign(round(x), x);
}
fn t_rem(x: f32, y: f32) -> f32 {
  let ax = bitcast<u32>(x) & 0x7fffffffu;
  let ay = bitcast<u32>(y) & 0x7fffffffu;
  if (ax >= 0x7f800000u || ay > 0x7f800000u || ay == 0u) { return t_nan(); }
  if (ax < ay) { return x; }
  var mx = select(ax & 0x7fffffu, (ax & 0x7fffffu) | 0x800000u, ax >= 0x800000u);
  var my = select(ay & 0x7fffffu, (ay & 0x7fffffu) | 0x800000u, ay >= 0x800000u);
  let ex = max(ax >> 23u, 1u);
  let ey = max(ay >> 23u, 1u);
  var steps = ex - ey;
  loop {
    mx = mx % my;
    if (steps == 0u || mx == 0u) { break; }
    let shift = min(steps, 8u);
    mx = mx << shift;
    steps -= shift;
  }
  if (mx == 0u) { return t_copysign(0.0, x); }
  let up = min(countLeadingZeros(mx) - 8u, ey - 1u);
  mx = mx << up;
  let e = ey - up;
  let bits = select(mx, (mx & 0x7fffffu) | (e << 23u), mx >= 0x800000u);
  return t_copysign(bitcast<f32>(bits), x);
}
fn t_idiv_i(x: i32, y: i32) -> i32 {
  if (y == 0) { return 0; }
  if (y == -1) { return -x; }
  return x / y;
}
fn t_idiv_u(x: u32, y: u32) -> u32 {
  if (y == 0u) { return 0u; }
  return x / y;
}
fn t_rem_i(x: i32, y: i32) -> i32 {
  if (y == 0 || y == -1) { return 0; }
  return x % y;
}
fn t_rem_u(x: u32, y: u32) -> u32 {
  if (y == 0u) { return 0u; }
  return x % y;
}
fn t_shl_i(x: i32, n: u32) -> i32 {
  return select(x << (n & 31u), 0, n > 31u);
}
fn t_shl_u(x: u32, n: u32) -> u32 {
  return select(x << (n & 31u), 0u, n > 31u);
}
fn t_shr_i(x: i32, n: u32) -> i32 {
  return x >> min(n, 31u);
}
fn t_shr_u(x: u32, n: u32) -> u32 {
  return select(x >> (n & 31u), 0u, n > 31u);
}
fn t_to_i(x: f32) -> i32 {
  let magnitude = bitcast<u32>(x) & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return 0; }
  if (magnitude >= 0x4f000000u) { return select(2147483647, -2147483647 - 1, t_signbit(x)); }
  return i32(x);
}
fn t_to_u(x: f32) -> u32 {
  if (t_isnan(x) || t_signbit(x)) { return 0u; }
  if (bitcast<u32>(x) >= 0x4f800000u) { return 0xffffffffu; }
  return u32(x);
}
fn t_to_half(x: f32) -> f16 {
  return f16(x);
}
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
`,
  ceiling_copy: `@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * 256u + local;
  if (at < params.count) { copied[at] = source[at]; }
}
`,
  ceiling_fma: `@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * 256u + local;
  let x = vec4<f32>(params.factor);
  let y = vec4<f32>(params.term);
  var a0 = vec4<f32>(f32(local));
  var a1 = a0 + y;
  var a2 = a1 + y;
  var a3 = a2 + y;
  var a4 = a3 + y;
  var a5 = a4 + y;
  var a6 = a5 + y;
  var a7 = a6 + y;
  for (var turn = 0u; turn < params.turns; turn++) {
    a0 = fma(a0, x, y);
    a1 = fma(a1, x, y);
    a2 = fma(a2, x, y);
    a3 = fma(a3, x, y);
    a4 = fma(a4, x, y);
    a5 = fma(a5, x, y);
    a6 = fma(a6, x, y);
    a7 = fma(a7, x, y);
  }
  let sum = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7));
  result[at] = (sum.x + sum.y) + (sum.z + sum.w);
}
`,
  conv: `var<workgroup> tile_a: array<vec4<f32>, {{size_a}}>;
var<workgroup> tile_b: array<vec4<f32>, {{size_b}}>;
@compute @workgroup_size({{threads}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let block = group_id.y * group_count.x + group_id.x;
  let tiles = params.tiles_m * params.tiles_n;
  let part = block / tiles;
  let group = part / params.splits;
  if (group >= params.groups) { return; }
  let split = part % params.splits;
  let tile = block % tiles;
  let src_at = params.src + i32(group) * params.src_group;
  let weight_at = params.weight + i32(group) * params.weight_group;
  let m0 = (tile / params.tiles_n) * {{tm}}u;
  let n0 = (tile % params.tiles_n) * {{tn}}u;
  let k_first = split * params.k_part;
  let k_last = min(k_first + params.k_part, params.k);
  let row = local / {{columns}}u;
  let column = local % {{columns}}u;
{{positions}}
{{accumulators}}
  for (var k0 = k_first; k0 < k_last; k0 += {{tk}}u) {
{{load}}
    workgroupBarrier();
    for (var kk = 0u; kk < {{tk}}u; kk++) {
{{multiply}}
    }
    workgroupBarrier();
  }
{{store}}
}
`,
  conv_direct: `@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * 256u + local;
  if (at >= params.groups * params.m * params.n) { return; }
  let n = at % params.n;
  let m = (at / params.n) % params.m;
  let group = at / (params.n * params.m);
{{position}}
  let src_at = params.src + i32(group) * params.src_group + origin;
  let weight_at = params.weight + i32(group) * params.weight_group + i32(m) * params.weight_outer;
  var sum = 0.0;
  for (var c = 0i; c < i32(params.channels); c++) {
{{loops}}
  }
  {{store}}
}
`,
  exponential: `fn t_power_of_two(n: i32) -> f32 {
  return bitcast<f32>((n + 127) << 23u);
}
fn t_scale(x: f32, n: i32) -> f32 {
  let half = n >> 1u;
  return x * t_power_of_two(half) * t_power_of_two(n - half);
}
fn t_upper(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
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
fn t_exp2_near(f: f32) -> f32 {
  var p = 1.42575727e-5;
  p = p * f + 0.000154543318;
  p = p * f + 0.00133381109;
  p = p * f + 0.00961808208;
  p = p * f + 0.0555040501;
  p = p * f + 0.240226507;
  p = p * f + 0.693147182;
  return 1.0 + f * p;
}
fn t_exp2(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (x > 129.0) { return t_inf(); }
  if (x < -152.0) { return 0.0; }
  let n = floor(x + 0.5);
  return t_scale(t_exp2_near(x - n), i32(n));
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
fn t_log2(x: f32) -> f32 {
  if (t_log_is_special(x)) { return t_log_special(x); }
  let s = t_split(x);
  let f = bitcast<f32>(s.x) - 1.0;
  let tail = t_log_tail(f);
  let upper = t_upper(f);
  let low = (f - upper) * 1.44269504 + tail * 1.44269504 + upper * 0.000312228389;
  return f32(s.y) + (upper * 1.44238281 + low);
}
fn t_log10(x: f32) -> f32 {
  if (t_log_is_special(x)) { return t_log_special(x); }
  let s = t_split(x);
  let f = bitcast<f32>(s.x) - 1.0;
  let e = f32(s.y);
  let tail = t_log_tail(f);
  let upper = t_upper(f);
  let low = (f - upper) * 0.434294482 + tail * 0.434294482 + e * 4.60503898e-6 + upper * 9.03803408e-5;
  return e * 0.301025391 + (upper * 0.434204102 + low);
}
fn t_log1p(x: f32) -> f32 {
  if (t_isnan(x) || x == 0.0 || t_isinf(x)) { return select(x, t_nan(), t_isinf(x) && t_signbit(x)); }
  if (x <= -1.0) { return select(t_nan(), -t_inf(), x == -1.0); }
  if (x > -0.2929 && x < 0.4142) { return x + t_log_tail(x); }
  let u = 1.0 + x;
  let lost = select(x - (u - 1.0), 1.0 - (u - x), x > 1.0) / u;
  let s = t_split(u);
  let f = bitcast<f32>(s.x) - 1.0;
  let e = f32(s.y);
  return e * 0.693359375 + (f + (t_log_tail(f) - (e * 0.000212194440 - lost)));
}
fn t_sqrt(x: f32) -> f32 {
  if (t_isnan(x) || (t_signbit(x) && t_nonzero(x))) { return t_nan(); }
  if (t_isinf(x) || !t_nonzero(x)) { return x; }
  return sqrt(x);
}
fn t_rsqrt(x: f32) -> f32 {
  if (t_isnan(x) || (t_signbit(x) && t_nonzero(x))) { return t_nan(); }
  if (t_isinf(x)) { return 0.0; }
  if (!t_nonzero(x)) { return t_copysign(t_inf(), x); }
  return inverseSqrt(x);
}
fn t_log2_parts(x: f32) -> vec2<f32> {
  let split = t_split(x);
  let m = bitcast<f32>(split.x);
  let eighth = floor(m * 8.0 + 0.5);
  let c = eighth * 0.125;
  var table = vec2<f32>(0.0, 0.0);
  switch (i32(eighth)) {
    case 6: { table = vec2<f32>(-0.415039062, 1.56322119e-6); }
    case 7: { table = vec2<f32>(-0.192626953, -1.81248179e-5); }
    case 9: { table = vec2<f32>(0.169921875, 3.12644238e-6); }
    case 10: { table = vec2<f32>(0.322021484, -9.33894844e-5); }
    case 11: { table = vec2<f32>(0.459472656, -4.10376124e-5); }
    default: {}
  }
  let f = m - c;
  let d = 2.0 * c + f;
  let d_low = f - (d - 2.0 * c);
  let s = t_upper(f / d);
  let d_upper = t_upper(d);
  let s_low = ((f - s * d_upper) - s * ((d - d_upper) + d_low)) / d;
  let z = (s + s_low) * (s + s_low);
  let tail = (s + s_low) * z * (0.333333333 + z * (0.2 + z * 0.142857143));
  let product = s * 2.88476562;
  let product_low = s * 0.000624456778 + 2.88539008 * (s_low + tail);
  let a = f32(split.y) + table.x;
  let high = a + product;
  return vec2<f32>(high, (product - (high - a)) + (product_low + table.y));
}
fn t_pow_positive(x: f32, y: f32) -> f32 {
  let l = t_log2_parts(x);
  let about = y * l.x;
  if (about > 129.0) { return t_inf(); }
  if (about < -152.0) { return 0.0; }
  let yh = t_upper(y);
  let lh = t_upper(l.x);
  let high = yh * lh;
  let low = (y - yh) * lh + y * ((l.x - lh) + l.y);
  let n = floor(high + low + 0.5);
  return t_scale(t_exp2_near((high - n) + low), i32(n));
}
fn t_pow(x: f32, y: f32) -> f32 {
  let ax = bitcast<u32>(x) & 0x7fffffffu;
  let ay = bitcast<u32>(y) & 0x7fffffffu;
  if (ay == 0u || bitcast<u32>(x) == 0x3f800000u) { return 1.0; }
  if (ax > 0x7f800000u || ay > 0x7f800000u) { return t_nan(); }
  if (ay == 0x7f800000u) {
    if (ax == 0x3f800000u) { return 1.0; }
    return select(0.0, t_inf(), (ax > 0x3f800000u) != t_signbit(y));
  }
  let integral = ay >= 0x4b000000u || y == floor(y);
  let odd = integral && ay < 0x4b800000u && (i32(y) & 1) == 1;
  let negative = t_signbit(x) && odd;
  var result = 0.0;
  if (ax == 0u || ax == 0x7f800000u) {
    result = select(0.0, t_inf(), (ax == 0u) == t_signbit(y));
  } else {
    if (t_signbit(x) && !integral) { return t_nan(); }
    result = t_pow_positive(bitcast<f32>(ax), y);
  }
  return select(result, -result, negative);
}
`,
  hyperbolic: `fn t_sinh(x: f32) -> f32 {
  if (t_isnan(x) || !t_nonzero(x)) { return x; }
  let a = abs(x);
  if (a < 1.0) {
    let t = t_expm1(a);
    return t_copysign(0.5 * (t + t / (t + 1.0)), x);
  }
  let h = t_exp_parts(a, 0.0, -1);
  return t_copysign(h - select(0.25 / h, 0.0, a > 20.0), x);
}
fn t_cosh(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  let a = abs(x);
  let h = t_exp_parts(a, 0.0, -1);
  return h + select(0.25 / h, 0.0, a > 20.0);
}
fn t_tanh(x: f32) -> f32 {
  if (t_isnan(x) || !t_nonzero(x)) { return x; }
  let a = abs(x);
  if (a > 9.1) { return t_copysign(1.0, x); }
  let t = t_expm1(2.0 * a);
  if (a > 0.55) { return t_copysign(1.0 - 2.0 / (t + 2.0), x); }
  return t_copysign(t / (t + 2.0), x);
}
fn t_asinh(x: f32) -> f32 {
  if (t_isnan(x) || t_isinf(x) || !t_nonzero(x)) { return x; }
  let a = abs(x);
  if (a > 8192.0) { return t_copysign(t_log(a) + 0.693147181, x); }
  let z = a * a;
  return t_copysign(t_log1p(a + z / (1.0 + sqrt(1.0 + z))), x);
}
fn t_acosh(x: f32) -> f32 {
  if (t_isnan(x) || x < 1.0) { return t_nan(); }
  if (x > 8192.0) { return t_log(x) + 0.693147181; }
  let t = x - 1.0;
  return t_log1p(t + sqrt(2.0 * t + t * t));
}
fn t_atanh(x: f32) -> f32 {
  let a = abs(x);
  if (t_isnan(x) || a > 1.0) { return t_nan(); }
  if (!t_nonzero(x)) { return x; }
  if (a == 1.0) { return t_copysign(t_inf(), x); }
  return t_copysign(0.5 * t_log1p(2.0 * a / (1.0 - a)), x);
}
`,
  matmul: `var<workgroup> tile_a: array<vec4<{{type}}>, {{size_a}}>;
var<workgroup> tile_b: array<vec4<{{type}}>, {{size_b}}>;
@compute @workgroup_size({{threads}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let tiles = params.tiles_m * params.tiles_n;
  let part = group / tiles;
  let batch = part / params.splits;
  if (batch >= params.batches) { return; }
  let split = part % params.splits;
  let tile = group % tiles;
{{offsets}}
  let m0 = (tile / params.tiles_n) * {{tm}}u;
  let n0 = (tile % params.tiles_n) * {{tn}}u;
  let k_first = split * params.k_part;
  let k_last = min(k_first + params.k_part, params.k);
  let row = local / {{columns}}u;
  let column = local % {{columns}}u;
{{accumulators}}
  for (var k0 = k_first; k0 < k_last; k0 += {{tk}}u) {
{{load}}
    workgroupBarrier();
    for (var kk = 0u; kk < {{tk}}u; kk++) {
{{multiply}}
    }
    workgroupBarrier();
  }
{{store}}
}
`,
  random: `fn t_mul_wide(a: u32, b: u32) -> vec2<u32> {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let low = al * bl;
  let middle = ah * bl + (low >> 16u);
  let other = al * bh + (middle & 0xffffu);
  return vec2<u32>((other << 16u) | (low & 0xffffu), ah * bh + (middle >> 16u) + (other >> 16u));
}
fn t_philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let p = t_mul_wide(0xd2511f53u, c.x);
    let q = t_mul_wide(0xcd9e8d57u, c.z);
    c = vec4<u32>(q.y ^ c.y ^ k.x, q.x, p.y ^ c.w ^ k.y, p.x);
    k = k + vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}
`,
  scan: `{{shared}}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let slot = {{slot}};
  let lane = {{lane}};
  let wanted = (group / params.chunks) * {{rows}}u + slot;
  let live = wanted < params.rows;
  let row = min(wanted, params.rows - 1u);
  let chunk = group % params.chunks;
{{offsets}}
  let first = chunk * params.chunk;
  let last = select(first, min(first + params.chunk, params.length), live);
  var carry = {{carry}};
  var turn = 0u;
  for (var tile = 0u; tile < params.chunk; tile += {{lanes}}u * {{items}}u) {
    let begin = first + tile + lane * {{items}}u;
{{load}}
{{exchange}}
{{store}}
    turn = 1u - turn;
  }
{{finish}}
}
`,
  scan_rows: `@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group_id.y * group_count.x + group_id.x) * 64u + local;
  if (row >= params.rows) { return; }
{{offsets}}
  var sum = {{initial}};
  for (var i = 0i; i < i32(params.length); i++) {
    let x = {{load}};
    sum = {{combine}};
    out_buffer[out_at + i * params.out_step] = {{store}};
  }
}
`,
  scatter: `@compute @workgroup_size({{size}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * {{size}}u + local;
  if (at >= params.lines * params.places) { return; }
  let line = {{line}};
  let place = {{place}};
{{offsets}}
  let target_at = out_at + place * params.out_step;
  let wanted = place + params.place;
  var value = {{load}};
  var changed = false;
  for (var entry = 0i; entry < i32(params.length); entry++) {
    let index = {{index}};
    if (index == wanted) {
      value = {{combine}};
      changed = true;
    } else if (wanted == 0i && (index < 0i || index >= i32(params.extent))) {
      t_fault();
    }
  }
  if (changed) { out_buffer[target_at] = {{store}}; }
}
`,
  scatter_entries: `@compute @workgroup_size({{size}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * {{size}}u + local;
  if (at >= params.lines * params.length) { return; }
  let line = at / params.length;
  let own = i32(at % params.length);
{{offsets}}
  let wanted = {{own_index}};
  if (wanted < 0i || wanted >= i32(params.extent)) {
    t_fault();
    return;
  }
  for (var entry = 0i; entry < own; entry++) {
    if ({{index}} == wanted) { return; }
  }
  let target_at = out_at + wanted * params.out_step;
  var value = {{load}};
  for (var entry = own; entry < i32(params.length); entry++) {
    if ({{index}} == wanted) { value = {{combine}}; }
  }
  out_buffer[target_at] = {{store}};
}
`,
  scatter_fold: `const NO_PLACE = 0xffffffffu;
@compute @workgroup_size({{size}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * {{size}}u + local;
  if (at >= params.rows * params.chunks * params.columns) { return; }
  let column = at % params.columns;
  let chunk = (at / params.columns) % params.chunks;
  let row = at / (params.columns * params.chunks);
  let line = row * params.width + params.first_column + column;
{{offsets}}
  let first = chunk * params.chunk;
  let last = min(first + params.chunk, params.count);
  var p = max(first, 1u) - 1u;
  let before = select(NO_PLACE, {{key}}, first > 0u);
  p = min(last, params.count - 1u);
  let behind = select(NO_PLACE, {{key}}, last < params.count);
  p = first;
  var own = {{key}};
  var from_before = own == before && own < params.extent;
  let head = select(NO_PLACE, own, from_before);
  let slot = (row * params.chunks + chunk) * 2u;
  let slot_value = params.to_values + slot * params.columns + column;
  var value = {{initial}};
  for (; p < last; p++) {
    let key = {{key}};
    if (key != own) {
      if (from_before) {
        scratch[slot_value] = {{bits}};
      } else if (own < params.extent) {
        let target_at = out_at + i32(own) * params.out_step;
        out_buffer[target_at] = {{store}};
      }
      own = key;
      from_before = false;
      value = {{initial}};
    }
    value = {{combine}};
  }
  let goes_on = own == behind && own < params.extent;
  if (from_before) {
    scratch[slot_value] = {{bits}};
  } else if (!goes_on && own < params.extent) {
    let target_at = out_at + i32(own) * params.out_step;
    out_buffer[target_at] = {{store}};
  }
  if (goes_on) {
    {{other}}
    scratch[slot_value + params.columns] = {{bits}};
  }
  if (column == 0u && params.chunks > 1u) {
    scratch[params.to_keys + slot] = head;
    scratch[params.to_keys + slot + 1u] = select(NO_PLACE, own, goes_on);
  }
}
`,
  scatter_set: `@compute @workgroup_size({{size}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * {{size}}u + local;
  if (at >= params.lines * params.length) { return; }
  let line = {{line}};
  let entry = {{entry}};
{{offsets}}
  let index = {{index}};
  if (index < 0i || index >= i32(params.extent)) {
    t_fault();
    return;
  }
  let place = index - params.place;
  if (place >= 0i && place < i32(params.places)) { out_buffer[out_at + place * params.out_step] = {{store}}; }
}
`,
  select_count: `var<workgroup> own_counts: array<atomic<u32>, 256>;
{{key}}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.tiles;
  let here = min(group / params.tiles, params.rows - 1u);
  let tile = group % params.tiles;
  let row = params.first_row + here;
{{offsets}}
  let digits = atomicLoad(&scratch[params.state + here * 2u]);
  atomicStore(&own_counts[local], 0u);
  workgroupBarrier();
  let first = tile * params.tile;
  let last = select(first, min(first + params.tile, params.length), live);
  for (var i = first + local; i < last; i += 256u) {
    let key = sort_key({{load}});
    if ((key & params.mask) == digits) { atomicAdd(&own_counts[(key >> params.shift) & 255u], 1u); }
  }
  workgroupBarrier();
  let own = atomicLoad(&own_counts[local]);
  if (own > 0u) { atomicAdd(&scratch[params.counts + here * 256u + local], own); }
}
`,
  select_digit: `var<workgroup> sums: array<u32, 512>;
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows;
  let here = min(group, params.rows - 1u);
  let at = params.counts + here * 256u + local;
  let own = scratch[at];
  let state = params.state + here * 2u;
  let wanted = scratch[state + 1u];
  sums[local] = own;
  workgroupBarrier();
  var turn = 0u;
  for (var step = 1u; step < 256u; step = step << 1u) {
    var value = sums[turn * 256u + local];
    if (local >= step) { value += sums[turn * 256u + local - step]; }
    sums[(1u - turn) * 256u + local] = value;
    turn = 1u - turn;
    workgroupBarrier();
  }
  let through = sums[turn * 256u + local];
  let before = through - own;
  storageBarrier();
  if (live) {
    if (before < wanted && wanted <= through) {
      scratch[state] |= local << params.shift;
      scratch[state + 1u] = wanted - before;
    }
    scratch[at] = 0u;
  }
}
`,
  select_init: `@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group_id.y * group_count.x + group_id.x;
  if (row >= params.rows) { return; }
  scratch[params.counts + row * 256u + local] = 0u;
  if (local == 0u) {
    scratch[params.state + row * 2u] = 0u;
    scratch[params.state + row * 2u + 1u] = params.wanted;
  }
}
`,
  select_move: `var<workgroup> own_sums: array<u32, 512>;
{{key}}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.tiles;
  let here = min(group / params.tiles, params.rows - 1u);
  let tile = group % params.tiles;
  let row = params.first_row + here;
{{offsets}}
  let bound = scratch[params.state + here * 2u];
  let last = select(0u, params.length, live);
  var own = 0u;
  var own_keys: array<u32, 4>;
  for (var e = 0u; e < 4u; e++) {
    let i = tile * 1024u + local * 4u + e;
    if (i < last) {
      own_keys[e] = sort_key({{load}});
      own += select(0u, 1u, own_keys[e] < bound) + select(0u, 0x10000u, own_keys[e] == bound);
    }
  }
  own_sums[local] = own;
  workgroupBarrier();
  var turn = 0u;
  for (var step = 1u; step < 256u; step = step << 1u) {
    var value = own_sums[turn * 256u + local];
    if (local >= step) { value += own_sums[turn * 256u + local - step]; }
    own_sums[(1u - turn) * 256u + local] = value;
    turn = 1u - turn;
    workgroupBarrier();
  }
  let before = own_sums[turn * 256u + local] - own;
  var less = scratch[params.sums + here * 2u * params.tiles + tile] + (before & 0xffffu);
  var equal = scratch[params.sums + (here * 2u + 1u) * params.tiles + tile] + (before >> 16u);
  for (var e = 0u; e < 4u; e++) {
    let i = tile * 1024u + local * 4u + e;
    if (i < last) {
      let key = own_keys[e];
      var slot = params.wanted;
      if (key < bound) {
        slot = less;
        less++;
      } else if (key == bound) {
        slot = equal;
        equal++;
      }
      if (slot < params.wanted) {
        scratch[params.list_keys + here * params.wanted + slot] = key;
        scratch[params.list_places + here * params.wanted + slot] = i;
      }
    }
  }
}
`,
  select_tally: `var<workgroup> own_counts: array<atomic<u32>, 2>;
{{key}}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.tiles;
  let here = min(group / params.tiles, params.rows - 1u);
  let tile = group % params.tiles;
  let row = params.first_row + here;
{{offsets}}
  let bound = scratch[params.state + here * 2u];
  if (local < 2u) { atomicStore(&own_counts[local], 0u); }
  workgroupBarrier();
  let last = select(0u, min((tile + 1u) * 1024u, params.length), live);
  var less = 0u;
  var equal = 0u;
  for (var i = tile * 1024u + local; i < last; i += 256u) {
    let key = sort_key({{load}});
    if (key < bound) { less++; }
    if (key == bound) { equal++; }
  }
  if (less > 0u) { atomicAdd(&own_counts[0], less); }
  if (equal > 0u) { atomicAdd(&own_counts[1], equal); }
  workgroupBarrier();
  if (live && local < 2u) {
    scratch[params.sums + (here * 2u + local) * params.tiles + tile] = atomicLoad(&own_counts[local]);
  }
}
`,
  sort_count: `var<workgroup> counts: array<atomic<u32>, 16>;
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.tiles;
  let row = group / params.tiles;
  let tile = group % params.tiles;
  if (local < 16u) { atomicStore(&counts[local], 0u); }
  workgroupBarrier();
  if (live) {
    for (var e = 0u; e < 4u; e++) {
      let i = tile * 1024u + e * 256u + local;
      if (i < params.length) {
        let key = scratch[params.keys + row * params.length + i];
        atomicAdd(&counts[(key >> params.shift) & 15u], 1u);
      }
    }
  }
  workgroupBarrier();
  if (live && local < 16u) {
    scratch[params.counts + (row * 16u + local) * params.tiles + tile] = atomicLoad(&counts[local]);
  }
}
`,
  sort_keys: `{{key}}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * 256u + local;
  if (at >= params.rows * params.length) { return; }
  let row = params.first_row + at / params.length;
  let i = at % params.length;
{{offsets}}
  scratch[params.keys + at] = sort_key({{load}});
{{places}}
}
`,
  sort_rows: `var<workgroup> keys: array<u32, 2048>;
var<workgroup> places: array<u32, 2048>;
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows;
  let row = min(group, params.rows - 1u);
  for (var i = local; i < params.padded; i += 256u) {
    var key = 0xffffffffu;
    if (i < params.length) { key = scratch[params.keys + row * params.length + i]; }
    keys[i] = key;
    places[i] = i;
  }
  workgroupBarrier();
  for (var size = 2u; size <= params.padded; size = size << 1u) {
    for (var stride = size >> 1u; stride > 0u; stride = stride >> 1u) {
      for (var t = local; t < params.padded / 2u; t += 256u) {
        let a = 2u * stride * (t / stride) + t % stride;
        let b = a + stride;
        let greater = keys[a] > keys[b] || (keys[a] == keys[b] && places[a] > places[b]);
        if (greater == ((a & size) == 0u)) {
          let key = keys[a];
          keys[a] = keys[b];
          keys[b] = key;
          let place = places[a];
          places[a] = places[b];
          places[b] = place;
        }
      }
      workgroupBarrier();
    }
  }
  if (live) {
    for (var i = local; i < params.wanted; i += 256u) {
      let at = (params.first_row + row) * params.wanted + i;
      let place = {{place}};
      {{write}}
    }
  }
}
`,
  sort_scan: `var<workgroup> sums: array<u32, 512>;
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows;
  let row = min(group, params.rows - 1u);
  let count = {{digits}}u * params.tiles;
  let share = (count + 255u) / 256u;
  let first = params.counts + row * count;
  let begin = min(local * share, count);
  let end = min(begin + share, count);
  var total = 0u;
  for (var i = begin; i < end; i++) { total += scratch[first + i]; }
  sums[local] = total;
  workgroupBarrier();
  var turn = 0u;
  for (var step = 1u; step < 256u; step = step << 1u) {
    var value = sums[turn * 256u + local];
    if (local >= step) { value += sums[turn * 256u + local - step]; }
    sums[(1u - turn) * 256u + local] = value;
    turn = 1u - turn;
    workgroupBarrier();
  }
  if (live) {
    var before = sums[turn * 256u + local] - total;
    for (var i = begin; i < end; i++) {
      let own = scratch[first + i];
      scratch[first + i] = before;
      before += own;
    }
  }
}
`,
  sort_scatter: `var<workgroup> keys: array<u32, 1024>;
var<workgroup> places: array<u32, 1024>;
var<workgroup> sums: array<u32, 512>;
var<workgroup> starts: array<u32, 16>;
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.tiles;
  let row = min(group / params.tiles, params.rows - 1u);
  let tile = group % params.tiles;
  let base = row * params.length;
  let first = tile * 1024u;
  let count = select(0u, min(params.length - first, 1024u), live);
  for (var e = 0u; e < 4u; e++) {
    let i = e * 256u + local;
    keys[i] = 0xffffffffu;
    if (i < count) {
      keys[i] = scratch[params.keys + base + first + i];
      places[i] = scratch[params.places + base + first + i];
    }
  }
  workgroupBarrier();
  for (var bit = params.shift; bit < params.shift + 4u; bit++) {
    var zeros = 0u;
    var own_keys: array<u32, 4>;
    var own_places: array<u32, 4>;
    for (var e = 0u; e < 4u; e++) {
      own_keys[e] = keys[local * 4u + e];
      own_places[e] = places[local * 4u + e];
      zeros += 1u - ((own_keys[e] >> bit) & 1u);
    }
    sums[local] = zeros;
    workgroupBarrier();
    var turn = 0u;
    for (var step = 1u; step < 256u; step = step << 1u) {
      var value = sums[turn * 256u + local];
      if (local >= step) { value += sums[turn * 256u + local - step]; }
      sums[(1u - turn) * 256u + local] = value;
      turn = 1u - turn;
      workgroupBarrier();
    }
    var zero = sums[turn * 256u + local] - zeros;
    var one = sums[turn * 256u + 255u] + local * 4u - zero;
    for (var e = 0u; e < 4u; e++) {
      if (((own_keys[e] >> bit) & 1u) == 0u) {
        keys[zero] = own_keys[e];
        places[zero] = own_places[e];
        zero++;
      } else {
        keys[one] = own_keys[e];
        places[one] = own_places[e];
        one++;
      }
    }
    workgroupBarrier();
  }
  for (var e = 0u; e < 4u; e++) {
    let i = e * 256u + local;
    let digit = (keys[i] >> params.shift) & 15u;
    if (i == 0u || digit != ((keys[max(i, 1u) - 1u] >> params.shift) & 15u)) { starts[digit] = i; }
  }
  workgroupBarrier();
  for (var e = 0u; e < 4u; e++) {
    let i = e * 256u + local;
    if (i < count) {
      let key = keys[i];
      let place = places[i];
      let digit = (key >> params.shift) & 15u;
      let to = scratch[params.counts + (row * 16u + digit) * params.tiles + tile] + i - starts[digit];
{{write}}
    }
  }
}
`,
  special: `fn t_erf_tail(x: f32) -> f32 {
  let z = x * x;
  var p = 7.92412975e-5;
  p = p * z - 0.000803183590;
  p = p * z + 0.00519084465;
  p = p * z - 0.0268551745;
  p = p * z + 0.112836190;
  p = p * z - 0.376126289;
  p = p * z + 0.128379166;
  return x * p;
}
fn t_erfc_far(x: f32) -> f32 {
  if (x > 10.1) { return 0.0; }
  let t = (x - 3.0) / (x + 3.0);
  var p = 1.34105517e-6;
  p = p * t - 0.000542867405;
  p = p * t + 0.000734851870;
  p = p * t + 0.00425094366;
  p = p * t - 0.0243983660;
  p = p * t + 0.0716685578;
  p = p * t - 0.150115505;
  p = p * t + 0.245603651;
  p = p * t - 0.326233566;
  p = p * t + 0.179001153;
  let upper = t_upper(x);
  return t_exp_parts(-upper * upper, -(x - upper) * (x + upper), 0) * p;
}
fn t_erf(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  let a = abs(x);
  if (a < 1.0) { return select(x + t_erf_tail(x), x, x == 0.0); }
  return t_copysign(1.0 - t_erfc_far(a), x);
}
fn t_erfc(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (x < -0.5) { return 2.0 - t_erfc_far(-x); }
  if (x < 0.65) { return 1.0 - (x + t_erf_tail(x)); }
  return t_erfc_far(x);
}
fn t_erfinv(x: f32) -> f32 {
  let a = abs(x);
  if (t_isnan(x) || a > 1.0) { return t_nan(); }
  if (!t_nonzero(x)) { return x; }
  if (a == 1.0) { return t_copysign(t_inf(), x); }
  var w = 0.0;
  if (a < 0.5) {
    w = -t_log1p(-a * a);
  } else {
    w = -t_log((1.0 - a) * (1.0 + a));
  }
  if (w < 5.0) {
    let t = w - 2.5;
    var p = -8.64300009e-9;
    p = p * t + 2.42522820e-8;
    p = p * t + 4.64061685e-7;
    p = p * t - 3.47694208e-6;
    p = p * t - 4.95329823e-6;
    p = p * t + 0.000218410525;
    p = p * t - 0.00125275971;
    p = p * t - 0.00417750003;
    p = p * t + 0.246640295;
    p = p * t + 1.50140941;
    return p * x;
  }
  let t = sqrt(w) - 3.0;
  var p = 0.000115656941;
  p = p * t - 0.000308892748;
  p = p * t - 5.71746787e-5;
  p = p * t + 0.00148380233;
  p = p * t - 0.00359671586;
  p = p * t + 0.00568782724;
  p = p * t - 0.00763761625;
  p = p * t + 0.00944506377;
  p = p * t + 1.00167501;
  p = p * t + 2.83297682;
  return p * x;
}
fn t_lgamma_near(x: f32) -> f32 {
  var p = 0.0;
  if (x < 1.75) {
    let t = x - 1.375;
    p = 0.00620295294;
    p = p * t - 0.00690380437;
    p = p * t + 0.00873438083;
    p = p * t - 0.0147183081;
    p = p * t + 0.0242809895;
    p = p * t - 0.0414276235;
    p = p * t + 0.0764309168;
    p = p * t - 0.163299114;
    p = p * t + 0.502422512;
  } else {
    let t = x - 2.375;
    p = 5.44184659e-5;
    p = p * t - 0.000133939262;
    p = p * t + 0.000310059753;
    p = p * t - 0.000855866005;
    p = p * t + 0.00242159050;
    p = p * t - 0.00710641453;
    p = p * t + 0.0223585721;
    p = p * t - 0.0799380541;
    p = p * t + 0.389233381;
  }
  return select((x - 1.0) * (x - 2.0) * p, 0.0, x == 1.0);
}
fn t_lgamma_positive(x: f32) -> f32 {
  if (x < 1.0) { return t_lgamma_near(1.0 + x) - t_log(x); }
  if (x <= 3.0) { return t_lgamma_near(x); }
  if (x < 8.0) {
    var z = x;
    var product = 1.0;
    while (z > 3.0) {
      z -= 1.0;
      product *= z;
    }
    return t_log(product) + t_lgamma_near(z);
  }
  let l = t_log(x);
  let r = 1.0 / x;
  let z = r * r;
  let series = r * (0.0833333333 - z * (0.00277777778 - z * 0.000793650794));
  return (x - 0.5) * (l - 1.0) + (0.418938533 + series);
}
fn t_sin_cos_pi(x: f32) -> vec2<f32> {
  let n = floor(2.0 * x + 0.5);
  let r = (x - 0.5 * n) * 3.14159265;
  let s = t_sin_near(r);
  let c = t_cos_near(r);
  switch (i32(n - 4.0 * floor(n * 0.25))) {
    case 0: { return vec2<f32>(s, c); }
    case 1: { return vec2<f32>(c, -s); }
    case 2: { return vec2<f32>(-s, -c); }
    default: { return vec2<f32>(-c, s); }
  }
}
fn t_lgamma(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (t_isinf(x) || !t_nonzero(x)) { return t_inf(); }
  if (!t_signbit(x)) { return t_lgamma_positive(x); }
  if (x == floor(x)) { return t_inf(); }
  let a = -x;
  if (a < 1.0e-6) { return -t_log(a); }
  return 1.14472989 - t_log(a * abs(t_sin_cos_pi(a).x)) - t_lgamma_positive(a);
}
fn t_digamma_positive(x: f32) -> f32 {
  var y = x;
  var shift = 0.0;
  if (y < 1.0) {
    shift = -1.0 / y;
    y += 1.0;
  } else {
    while (y > 2.0 && y < 6.0) {
      y -= 1.0;
      shift += 1.0 / y;
    }
  }
  if (y <= 2.0) {
    let t = y - 1.5;
    var p = -0.0156786405;
    p = p * t + 0.0238109212;
    p = p * t - 0.0261755791;
    p = p * t + 0.0394236259;
    p = p * t - 0.0619836748;
    p = p * t + 0.0951063037;
    p = p * t - 0.148403823;
    p = p * t + 0.240539119;
    p = p * t - 0.423627406;
    p = p * t + 0.951055884;
    let distance = f32(bitcast<i32>(y) - 0x3fbb16c3) * 1.19209290e-7 - 1.24381499e-8;
    return distance * p + shift;
  }
  let r = 1.0 / y;
  let z = r * r;
  let series = z * (0.0833333333 - z * (0.00833333333 - z * (0.00396825397 - z * 0.00416666667)));
  return t_log(y) - (0.5 * r + series);
}
fn t_digamma(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (!t_nonzero(x)) { return t_copysign(t_inf(), -x); }
  if (!t_signbit(x)) { return select(t_digamma_positive(x), x, t_isinf(x)); }
  if (t_isinf(x) || x == floor(x)) { return t_nan(); }
  let t = t_sin_cos_pi(x);
  return t_digamma_positive(1.0 - x) - 3.14159265 * t.y / t.x;
}
`,
  trigonometric: `const T_TWO_OVER_PI = array<u32, 8>(
  0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu,
);
fn t_two_over_pi(at: u32) -> u32 {
  var words = T_TWO_OVER_PI;
  let shift = at & 31u;
  let first = words[at >> 5u];
  if (shift == 0u) { return first; }
  return (first << shift) | (words[(at >> 5u) + 1u] >> (32u - shift));
}
fn t_reduce_large(x: f32) -> vec2<f32> {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  let m = (bits & 0x7fffffu) | 0x800000u;
  let at = (bits >> 23u) - 150u + 30u;
  let p2 = t_mul_wide(m, t_two_over_pi(at + 64u));
  let p1 = t_mul_wide(m, t_two_over_pi(at + 32u));
  let p0 = m * t_two_over_pi(at);
  let r2 = p2.x;
  let r1 = p1.x + p2.y;
  let r0 = p0 + p1.y + select(0u, 1u, r1 < p1.x);
  var turns = r0 >> 30u;
  var high = (r0 << 2u) | (r1 >> 30u);
  var low = (r1 << 2u) | (r2 >> 30u);
  let above = high >= 0x80000000u;
  if (above) {
    turns += 1u;
    high = ~high + select(0u, 1u, low == 0u);
    low = ~low + 1u;
  }
  let fraction = f32(high) * 2.32830644e-10 + f32(low) * 5.42101086e-20;
  let r = fraction * 1.57079637 - fraction * 4.37113883e-8;
  let flip = above != t_signbit(x);
  return vec2<f32>(select(r, -r, flip), f32(select(turns, 4u - (turns & 3u), t_signbit(x)) & 3u));
}
fn t_reduce(x: f32) -> vec2<f32> {
  if (abs(x) > 6000.0) { return t_reduce_large(x); }
  let n = floor(x * 0.636619772 + 0.5);
  let r = (((x - n * 1.57031250) - n * 0.000483751297) - n * 7.54953362e-8) - n * 2.56334415e-12;
  return vec2<f32>(r, f32(i32(n) & 3));
}
fn t_sin_near(r: f32) -> f32 {
  let z = r * r;
  var p = 2.92170853e-6;
  p = p * z - 0.000198612921;
  p = p * z + 0.00833339710;
  p = p * z - 0.166666672;
  return r + r * z * p;
}
fn t_cos_near(r: f32) -> f32 {
  let z = r * r;
  var p = 2.45439387e-5;
  p = p * z - 0.00138882722;
  p = p * z + 0.0416666418;
  return 1.0 - (0.5 * z - z * z * p);
}
fn t_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
fn t_sin(x: f32) -> f32 {
  if (!t_finite(x)) { return t_nan(); }
  if (abs(x) < 0.0001) { return x; }
  let t = t_reduce(x);
  let turns = u32(t.y);
  let y = select(t_sin_near(t.x), t_cos_near(t.x), (turns & 1u) == 1u);
  return select(y, -y, turns >= 2u);
}
fn t_cos(x: f32) -> f32 {
  if (!t_finite(x)) { return t_nan(); }
  let t = t_reduce(x);
  let turns = u32(t.y);
  let y = select(t_cos_near(t.x), t_sin_near(t.x), (turns & 1u) == 1u);
  return select(y, -y, turns == 1u || turns == 2u);
}
fn t_tan(x: f32) -> f32 {
  if (!t_finite(x)) { return t_nan(); }
  if (abs(x) < 0.0001) { return x; }
  let t = t_reduce(x);
  let s = t_sin_near(t.x);
  let c = t_cos_near(t.x);
  if ((u32(t.y) & 1u) == 1u) { return -c / s; }
  return s / c;
}
fn t_asin_tail(x: f32) -> f32 {
  let z = x * x;
  var p = 0.0383361056;
  p = p * z + 0.0264301226;
  p = p * z + 0.0450206026;
  p = p * z + 0.0749876052;
  p = p * z + 0.166666731;
  return x * z * p;
}
fn t_asin(x: f32) -> f32 {
  let a = abs(x);
  if (t_isnan(x) || a > 1.0) { return t_nan(); }
  if (a <= 0.5) { return select(x + t_asin_tail(x), x, x == 0.0); }
  let s = sqrt(0.5 - 0.5 * a);
  let y = 1.57079637 - (2.0 * s + (2.0 * t_asin_tail(s) + 4.37113883e-8));
  return t_copysign(y, x);
}
fn t_acos(x: f32) -> f32 {
  let a = abs(x);
  if (t_isnan(x) || a > 1.0) { return t_nan(); }
  if (a <= 0.5) { return 1.57079637 - (x + (t_asin_tail(x) + 4.37113883e-8)); }
  let s = sqrt(0.5 - 0.5 * a);
  let half = s + t_asin_tail(s);
  if (x > 0.0) { return 2.0 * half; }
  return 3.14159274 - (2.0 * half + 8.74227766e-8);
}
fn t_atan_tail(t: f32) -> f32 {
  let z = t * t;
  var p = -0.0644957200;
  p = p * z + 0.107422084;
  p = p * z - 0.142636538;
  p = p * z + 0.199995190;
  p = p * z - 0.333333313;
  return t * z * p;
}
fn t_atan_ratio(a: f32, b: f32) -> f32 {
  if (a > 0.414213562 * b) {
    let t = (a - b) / (a + b);
    return 0.785398185 + (t + (t_atan_tail(t) - 2.18556941e-8));
  }
  let t = a / b;
  return t + t_atan_tail(t);
}
fn t_atan(x: f32) -> f32 {
  if (t_isnan(x) || !t_nonzero(x)) { return x; }
  let a = abs(x);
  if (a > 1.0e9) { return t_copysign(1.57079637, x); }
  if (a <= 1.0) { return t_copysign(t_atan_ratio(a, 1.0), x); }
  return t_copysign(1.57079637 - (t_atan_ratio(1.0, a) + 4.37113883e-8), x);
}
fn t_atan2(y: f32, x: f32) -> f32 {
  if (t_isnan(x) || t_isnan(y)) { return t_nan(); }
  var a = bitcast<f32>(bitcast<u32>(y) & 0x7fffffffu);
  var b = bitcast<f32>(bitcast<u32>(x) & 0x7fffffffu);
  let steep = bitcast<u32>(a) > bitcast<u32>(b);
  if (steep) {
    let c = a;
    a = b;
    b = c;
  }
  var r = 0.0;
  if (t_isinf(b)) {
    r = select(0.0, 0.785398163, t_isinf(a));
  } else if (t_nonzero(a)) {
    let scale = select(select(1.0, 1.84467441e19, b < 1.0e-18), 0.25, b > 1.0e37);
    r = t_atan_ratio(a * scale, b * scale);
  }
  if (steep) { r = 1.57079637 - (r + 4.37113883e-8); }
  if (t_signbit(x)) { r = 3.14159274 - (r + 8.74227766e-8); }
  return t_copysign(r, y);
}
`,
};
