fn t_erf(x: f32) -> f32 {
  if (t_isnan(x)) { return x; }
  let t = 1.0 / (1.0 + 0.3275911 * abs(x));
  let y = 1.0 - (((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * t_exp(-x * x);
  return t_copysign(y, x);
}
