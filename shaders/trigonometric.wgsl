// Trigonometric functions and their inverses for every argument: WGSL's own are only good near zero, and undefined for large
// arguments. Below 3 ULP each (tan: 5 ULP), measured by the tests.

// 2/pi in words of 32 bits, after a word of zeros.
const T_TWO_OVER_PI = array<u32, 8>(
  0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu,
);

// Bits at .. at + 31 of 2/pi, bit 32 being the first behind the point.
fn t_two_over_pi(at: u32) -> u32 {
  var words = T_TWO_OVER_PI;
  let shift = at & 31u;
  let first = words[at >> 5u];
  if (shift == 0u) { return first; }
  return (first << shift) | (words[(at >> 5u) + 1u] >> (32u - shift));
}

// A remainder in -pi/4 .. pi/4 and the number of quarter turns taken off, by multiplying with as many bits of 2/pi as matter
// (Payne and Hanek's method, in integers): good to 2 ULP of the remainder for every finite x with |x| >= 1.
fn t_reduce_large(x: f32) -> vec2<f32> {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  let m = (bits & 0x7fffffu) | 0x800000u;
  // |x| = m 2^e. Bits of 2/pi that make multiples of 4 are left out: the first of those that count weighs 2 after the product.
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
  // The fraction of a quarter turn, rounded to the nearest.
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

// The same for any finite x: for moderate ones by four parts of pi/2, the first three of them of 12 bits.
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

// asin(x) for |x| <= 1/2, as x plus this.
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
  // asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2))
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

// atan(t) for |t| <= tan(pi/8), as t plus this.
fn t_atan_tail(t: f32) -> f32 {
  let z = t * t;
  var p = -0.0644957200;
  p = p * z + 0.107422084;
  p = p * z - 0.142636538;
  p = p * z + 0.199995190;
  p = p * z - 0.333333313;
  return t * z * p;
}

// atan(a / b) for 0 <= a, 0 < b, neither too large to be added, and b >= a.
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
    // Scaled, so that a + b does not overflow and a does not lose bits among subnormal numbers.
    let scale = select(select(1.0, 1.84467441e19, b < 1.0e-18), 0.25, b > 1.0e37);
    r = t_atan_ratio(a * scale, b * scale);
  }
  if (steep) { r = 1.57079637 - (r + 4.37113883e-8); }
  if (t_signbit(x)) { r = 3.14159274 - (r + 8.74227766e-8); }
  return t_copysign(r, y);
}
