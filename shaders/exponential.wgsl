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
