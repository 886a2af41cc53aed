// Numbers as IEEE 754 and PyTorch have them. WGSL lets a compiler assume that there are no NaNs and infinities, so these are
// told by their bits; + - * and / are left to the hardware.

fn t_isnan(x: f32) -> bool {
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

// The sign of y on the magnitude of x.
fn t_copysign(x: f32, y: f32) -> f32 {
  return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(y) & 0x80000000u));
}

fn t_signbit(x: f32) -> bool {
  return bitcast<u32>(x) >= 0x80000000u;
}

// An integer that orders floats: negative ones below positive ones, -0 equal to 0; NaN beyond infinity on its side.
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

// NaN is not zero.
fn t_nonzero(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) != 0u;
}

fn t_max(x: f32, y: f32) -> f32 {
  return select(select(x, y, t_order(y) > t_order(x) || t_isnan(y)), x, t_isnan(x));
}

fn t_min(x: f32, y: f32) -> f32 {
  return select(select(x, y, t_order(y) < t_order(x) || t_isnan(y)), x, t_isnan(x));
}

// Zero and NaN give 0 as PyTorch's sign does.
fn t_sign(x: f32) -> f32 {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  return select(select(1.0, -1.0, t_signbit(x)), 0.0, bits == 0u || bits > 0x7f800000u);
}

// Whether value x at position i comes before value y at position j for argmax: NaN first, then the larger, then the earlier.
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

// Rounding of floats: NaN, infinities and what is integral already stay as they are.
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

// Half to even.
fn t_round(x: f32) -> f32 {
  if (t_integral(x)) { return x; }
  return t_copysign(round(x), x);
}

// C's fmod, exact: the remainder of a division that truncates, with the sign of x.
fn t_rem(x: f32, y: f32) -> f32 {
  let ax = bitcast<u32>(x) & 0x7fffffffu;
  let ay = bitcast<u32>(y) & 0x7fffffffu;
  if (ax >= 0x7f800000u || ay > 0x7f800000u || ay == 0u) { return t_nan(); }
  if (ax < ay) { return x; }
  // Mantissas and exponents of x = mx 2^ex and y = my 2^ey (with a common shift); long division bit by bit.
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
  // mx 2^ey, made normal again if it can be.
  let up = min(countLeadingZeros(mx) - 8u, ey - 1u);
  mx = mx << up;
  let e = ey - up;
  let bits = select(mx, (mx & 0x7fffffu) | (e << 23u), mx >= 0x800000u);
  return t_copysign(bitcast<f32>(bits), x);
}

// Integer division truncates; by zero it gives 0.
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

// Shifts by 32 and more shift everything out.
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

// Truncation to integers: NaN gives 0, what is out of range the nearest integer.
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

// Rounds to float16 with overflow to infinity, and NaN kept.
fn t_to_half(x: f32) -> f16 {
  return f16(x);
}

// The index if it is within bounds; else 0, and the status word gets the call's tag unless it has one.
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
