// Hyperbolic functions and their inverses, from exponential.wgsl. Below 3 ULP each, measured by the tests.

fn t_sinh(x: f32) -> f32 {
  if (t_isnan(x) || !t_nonzero(x)) { return x; }
  let a = abs(x);
  if (a < 1.0) {
    let t = t_expm1(a);
    return t_copysign(0.5 * (t + t / (t + 1.0)), x);
  }
  // Half of exp(a), which does not overflow before sinh does.
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
