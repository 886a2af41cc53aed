fn t_exp(x: f32) -> f32 {
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
