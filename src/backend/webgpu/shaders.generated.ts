/** The text of shaders/*.wgsl. Written by scripts/shaders.mjs: edit those files instead. */
export const SHADERS = {
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
  exponential: `fn t_exp(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (x > 88.73) { return t_inf(); }
  return exp(x);
}
fn t_log(x: f32) -> f32 {
  if (t_isnan(x) || x < 0.0) { return t_nan(); }
  return log(x);
}
fn t_sqrt(x: f32) -> f32 {
  if (t_isnan(x) || t_lt(x, 0.0)) { return t_nan(); }
  return sqrt(x);
}
fn t_rsqrt(x: f32) -> f32 {
  if (t_isnan(x) || t_lt(x, 0.0)) { return t_nan(); }
  return inverseSqrt(x);
}
fn t_exp2(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  return exp2(x);
}
fn t_log2(x: f32) -> f32 {
  if (t_isnan(x) || t_lt(x, 0.0)) { return t_nan(); }
  return log2(x);
}
fn t_log10(x: f32) -> f32 {
  return t_log(x) * 0.4342944819;
}
fn t_expm1(x: f32) -> f32 {
  if (abs(x) < 0.01) { return x + 0.5 * x * x + x * x * x * 0.16666667; }
  return t_exp(x) - 1.0;
}
fn t_log1p(x: f32) -> f32 {
  if (abs(x) < 0.01) { return x - 0.5 * x * x + x * x * x * 0.33333333; }
  return t_log(1.0 + x);
}
fn t_pow(x: f32, y: f32) -> f32 {
  if (y == 0.0) { return 1.0; }
  if (t_isnan(x) || t_isnan(y)) { return t_nan(); }
  if (x < 0.0) {
    if (floor(y) != y) { return t_nan(); }
    let m = t_exp(y * t_log(-x));
    return select(m, -m, floor(y * 0.5) * 2.0 != y);
  }
  return t_exp(y * t_log(x));
}
`,
  hyperbolic: `fn t_sinh(x: f32) -> f32 { return select(sinh(x), x, t_isnan(x)); }
fn t_cosh(x: f32) -> f32 { return select(cosh(x), x, t_isnan(x)); }
fn t_tanh(x: f32) -> f32 { return select(tanh(clamp(x, -20.0, 20.0)), x, t_isnan(x)); }
fn t_asinh(x: f32) -> f32 { return select(asinh(x), x, t_isnan(x)); }
fn t_acosh(x: f32) -> f32 { return select(acosh(x), x, t_isnan(x)); }
fn t_atanh(x: f32) -> f32 { return select(atanh(x), x, t_isnan(x)); }
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
  scan: `var<workgroup> totals: array<{{type}}, 512>;
var<workgroup> sums: array<{{type}}, 32>;
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.chunks;
  let row = min(group / params.chunks, params.rows - 1u);
  let chunk = group % params.chunks;
{{offsets}}
  let first = chunk * params.chunk;
  let last = select(first, min(first + params.chunk, params.length), live);
  var carry = {{carry}};
  var turn = 0u;
  for (var tile = 0u; tile < params.chunk; tile += 256u * {{items}}u) {
    let begin = first + tile + local * {{items}}u;
{{load}}
    totals[turn * 256u + local] = total;
    workgroupBarrier();
    if (local < 16u) {
      var sum = totals[turn * 256u + local * 16u];
      for (var k = 1u; k < 16u; k++) {
        let x = totals[turn * 256u + local * 16u + k];
        sum = {{combine_sum}};
      }
      sums[turn * 16u + local] = sum;
    }
    workgroupBarrier();
    var before = carry;
    for (var k = 0u; k < 16u; k++) {
      let x = sums[turn * 16u + k];
      if (k < local / 16u) { before = {{combine_before}}; }
      carry = {{combine_carry}};
    }
    for (var k = local & 240u; k < local; k++) {
      let x = totals[turn * 256u + k];
      before = {{combine_before}};
    }
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
  if (at >= params.lines * params.extent) { return; }
  let line = {{line}};
  let place = {{place}};
{{offsets}}
  let target_at = out_at + place * params.out_step;
  var value = {{load}};
  var changed = false;
  for (var entry = 0i; entry < i32(params.length); entry++) {
    let index = {{index}};
    if (index == place) {
      value = {{combine}};
      changed = true;
    } else if (place == 0i && (index < 0i || index >= i32(params.extent))) {
      t_fault();
    }
  }
  if (changed) { out_buffer[target_at] = {{store}}; }
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
  out_buffer[out_at + index * params.out_step] = {{store}};
}
`,
  special: `fn t_erf(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  let t = 1.0 / (1.0 + 0.3275911 * abs(x));
  let y = 1.0 - (((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * t_exp(-x * x);
  return t_copysign(y, x);
}
`,
  trigonometric: `fn t_sin(x: f32) -> f32 { return select(sin(x), t_nan(), t_isnan(x) || t_isinf(x)); }
fn t_cos(x: f32) -> f32 { return select(cos(x), t_nan(), t_isnan(x) || t_isinf(x)); }
fn t_tan(x: f32) -> f32 { return select(tan(x), t_nan(), t_isnan(x) || t_isinf(x)); }
fn t_asin(x: f32) -> f32 { return select(asin(x), t_nan(), t_isnan(x) || abs(x) > 1.0); }
fn t_acos(x: f32) -> f32 { return select(acos(x), t_nan(), t_isnan(x) || abs(x) > 1.0); }
fn t_atan(x: f32) -> f32 { return select(atan(x), x, t_isnan(x)); }
fn t_atan2(y: f32, x: f32) -> f32 { return atan2(y, x); }
`,
};
