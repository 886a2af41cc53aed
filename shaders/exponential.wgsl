// Exponentials, logarithms, powers and roots. WGSL allows its own versions errors that grow with the argument (and for log near 1, pow
// and others more than that), and assumes no special values; these reduce the range exactly and end in short polynomials (minimax
// fits of our own). Bounds are in units in the last place (ULP) of the exact result where it is a normal number, measured by the
// tests over all magnitudes; results below 2^-126 may be flushed to zero by the device.
// Where a compiler reorders sums as if they were exact, the extended precision in pow and log1p is lost, and about 1e-7 times the
// logarithm of the result with it; nothing worse.

// 2^n for -126 <= n <= 127.
fn t_power_of_two(n: i32) -> f32 {
  return bitcast<f32>((n + 127) << 23u);
}

// x 2^n for |n| <= 252.
fn t_scale(x: f32, n: i32) -> f32 {
  let half = n >> 1u;
  return x * t_power_of_two(half) * t_power_of_two(n - half);
}

// x with the lower half of its mantissa cut off: products of two such numbers are exact.
fn t_upper(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

// exp(r) - 1 for |r| <= log(2) / 2.
fn t_expm1_near(r: f32) -> f32 {
  var p = 0.00139353645;
  p = p * r + 0.00836331304;
  p = p * r + 0.0416664630;
  p = p * r + 0.166665763;
  p = p * r + 0.5;
  return r + r * r * p;
}

// exp(high + low) 2^shift, where low is small against high. Below 1 ULP.
fn t_exp_parts(high: f32, low: f32, shift: i32) -> f32 {
  if (t_isnan(high)) { return high; }
  if (high > 100.0) { return t_inf(); }
  if (high < -120.0) { return 0.0; }
  // The upper part of log(2) has few enough bits for n times it to be exact.
  let n = floor(high * 1.44269504 + 0.5);
  let r = (high - n * 0.693359375) + (n * 0.000212194440 + low);
  return t_scale(1.0 + t_expm1_near(r), i32(n) + shift);
}

fn t_exp(x: f32) -> f32 {
  return t_exp_parts(x, 0.0, 0);
}

// 2^f for |f| <= 0.51.
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

// Below 2 ULP.
fn t_exp2(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (x > 129.0) { return t_inf(); }
  if (x < -152.0) { return 0.0; }
  let n = floor(x + 0.5);
  return t_scale(t_exp2_near(x - n), i32(n));
}

// Below 2 ULP.
fn t_expm1(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (x > 100.0) { return t_inf(); }
  if (x < -18.0) { return -1.0; }
  if (abs(x) < 0.3465) { return select(t_expm1_near(x), x, x == 0.0); }
  let n = floor(x * 1.44269504 + 0.5);
  let p = t_expm1_near((x - n * 0.693359375) + n * 0.000212194440);
  // (p + 1) 2^n - 1, without losing p.
  let m = i32(n);
  let one = select(t_power_of_two(-m), 0.0, m > 60);
  return t_scale(p + (1.0 - one), m);
}

// log(1 + f) - f for sqrt(1/2) <= 1 + f <= sqrt(2).
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

// A positive finite x as m 2^e with sqrt(1/2) <= m < sqrt(2): m as its bits, e. Subnormal numbers are taken as integers.
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

// Logarithm of zero, negative numbers, infinity and NaN.
fn t_log_special(x: f32) -> f32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) == 0u) { return -t_inf(); }
  if (t_signbit(x)) { return t_nan(); }
  return x;
}

fn t_log_is_special(x: f32) -> bool {
  return bitcast<i32>(x) <= 0 || bitcast<i32>(x) >= 0x7f800000;
}

// Below 1 ULP.
fn t_log(x: f32) -> f32 {
  if (t_log_is_special(x)) { return t_log_special(x); }
  let s = t_split(x);
  let f = bitcast<f32>(s.x) - 1.0;
  let e = f32(s.y);
  return e * 0.693359375 + (f + (t_log_tail(f) - e * 0.000212194440));
}

// Below 2 ULP.
fn t_log2(x: f32) -> f32 {
  if (t_log_is_special(x)) { return t_log_special(x); }
  let s = t_split(x);
  let f = bitcast<f32>(s.x) - 1.0;
  let tail = t_log_tail(f);
  // log2(e) in two parts, so that the product with the upper part of f is exact.
  let upper = t_upper(f);
  let low = (f - upper) * 1.44269504 + tail * 1.44269504 + upper * 0.000312228389;
  return f32(s.y) + (upper * 1.44238281 + low);
}

// Below 2 ULP.
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

// Below 3 ULP.
fn t_log1p(x: f32) -> f32 {
  if (t_isnan(x) || x == 0.0 || t_isinf(x)) { return select(x, t_nan(), t_isinf(x) && t_signbit(x)); }
  if (x <= -1.0) { return select(t_nan(), -t_inf(), x == -1.0); }
  if (x > -0.2929 && x < 0.4142) { return x + t_log_tail(x); }
  let u = 1.0 + x;
  // What the sum lost, relative to it.
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

// Two numbers whose sum is log2(x) with a relative error of about 2^-34, for a positive finite x.
fn t_log2_parts(x: f32) -> vec2<f32> {
  let split = t_split(x);
  let m = bitcast<f32>(split.x);
  // m = c (1 + s) / (1 - s) with c the nearest eighth; log2(c) has an upper part of 12 bits behind the point.
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
  // 2 / log(2) = 2.88476562 + 0.000624457
  let product = s * 2.88476562;
  let product_low = s * 0.000624456778 + 2.88539008 * (s_low + tail);
  let a = f32(split.y) + table.x;
  let high = a + product;
  return vec2<f32>(high, (product - (high - a)) + (product_low + table.y));
}

// x^y for positive finite x and finite y. Below 2 ULP.
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

// Every special case as C's pow has it.
fn t_pow(x: f32, y: f32) -> f32 {
  let ax = bitcast<u32>(x) & 0x7fffffffu;
  let ay = bitcast<u32>(y) & 0x7fffffffu;
  if (ay == 0u || bitcast<u32>(x) == 0x3f800000u) { return 1.0; }
  if (ax > 0x7f800000u || ay > 0x7f800000u) { return t_nan(); }
  if (ay == 0x7f800000u) {
    if (ax == 0x3f800000u) { return 1.0; }
    return select(0.0, t_inf(), (ax > 0x3f800000u) != t_signbit(y));
  }
  // From 2^23 on every float is an integer, from 2^24 on an even one.
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
