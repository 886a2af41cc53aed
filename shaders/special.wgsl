// The error function and the gamma function's logarithm, with their kin. The polynomials are minimax fits of our own.

// erf(x) - x for |x| <= 1.
fn t_erf_tail(x: f32) -> f32 {
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

// erfc(x) for 0.45 <= x: exp(-x^2) times a polynomial in (x - 3) / (x + 3).
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
  // x^2 in two parts.
  let upper = t_upper(x);
  return t_exp_parts(-upper * upper, -(x - upper) * (x + upper), 0) * p;
}

// Below 2 ULP.
fn t_erf(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  let a = abs(x);
  if (a < 1.0) { return select(x + t_erf_tail(x), x, x == 0.0); }
  return t_copysign(1.0 - t_erfc_far(a), x);
}

// Below 4 ULP.
fn t_erfc(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (x < -0.5) { return 2.0 - t_erfc_far(-x); }
  if (x < 0.65) { return 1.0 - (x + t_erf_tail(x)); }
  return t_erfc_far(x);
}

// Below 4 ULP. Polynomials in w = -log(1 - x^2) and its root.
fn t_erfinv(x: f32) -> f32 {
  let a = abs(x);
  if (t_isnan(x) || a > 1.0) { return t_nan(); }
  if (!t_nonzero(x)) { return x; }
  if (a == 1.0) { return t_copysign(t_inf(), x); }
  // Near one the square has to be taken apart: 1 - x^2 = (1 - a)(1 + a), the first factor being exact.
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

// log(gamma(x)) for 1 <= x <= 3, whose zeros are at 1 and 2.
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

// The same for every positive finite x.
fn t_lgamma_positive(x: f32) -> f32 {
  if (x < 1.0) { return t_lgamma_near(1.0 + x) - t_log(x); }
  if (x <= 3.0) { return t_lgamma_near(x); }
  if (x < 8.0) {
    // gamma(x) = (x - 1) (x - 2) ... gamma(z) with z between 2 and 3.
    var z = x;
    var product = 1.0;
    while (z > 3.0) {
      z -= 1.0;
      product *= z;
    }
    return t_log(product) + t_lgamma_near(z);
  }
  // Stirling's series.
  let l = t_log(x);
  let r = 1.0 / x;
  let z = r * r;
  let series = r * (0.0833333333 - z * (0.00277777778 - z * 0.000793650794));
  return (x - 0.5) * (l - 1.0) + (0.418938533 + series);
}

// sin(pi x) and cos(pi x) for any finite x.
fn t_sin_cos_pi(x: f32) -> vec2<f32> {
  let n = floor(2.0 * x + 0.5);
  let r = (x - 0.5 * n) * 3.14159265;
  let s = t_sin_near(r);
  let c = t_cos_near(r);
  // n modulo 4 in floats, as n may be large.
  switch (i32(n - 4.0 * floor(n * 0.25))) {
    case 0: { return vec2<f32>(s, c); }
    case 1: { return vec2<f32>(c, -s); }
    case 2: { return vec2<f32>(-s, -c); }
    default: { return vec2<f32>(-c, s); }
  }
}

// log |gamma(x)|. Below 4 ULP for positive x; for negative x that, or 1e-6 times the larger of 1 and log(|x|) |x| near its zeros.
fn t_lgamma(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (t_isinf(x) || !t_nonzero(x)) { return t_inf(); }
  if (!t_signbit(x)) { return t_lgamma_positive(x); }
  if (x == floor(x)) { return t_inf(); }
  let a = -x;
  if (a < 1.0e-6) { return -t_log(a); }
  // Reflection: gamma(x) gamma(-x) = -pi / (x sin(pi x)).
  return 1.14472989 - t_log(a * abs(t_sin_cos_pi(a).x)) - t_lgamma_positive(a);
}

// The logarithmic derivative of gamma for positive x: Below 4 ULP.
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
    // The distance from the zero at 1.4616321325302124 + 1.24381499e-8, the first part being taken off exactly, as integers.
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

// Below 4 ULP for positive x; for negative x that, or 1e-6 near its zeros.
fn t_digamma(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  if (!t_nonzero(x)) { return t_copysign(t_inf(), -x); }
  if (!t_signbit(x)) { return select(t_digamma_positive(x), x, t_isinf(x)); }
  if (t_isinf(x) || x == floor(x)) { return t_nan(); }
  // Reflection: psi(x) = psi(1 - x) - pi / tan(pi x).
  let t = t_sin_cos_pi(x);
  return t_digamma_positive(1.0 - x) - 3.14159265 * t.y / t.x;
}
