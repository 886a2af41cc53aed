fn t_sinh(x: f32) -> f32 { return select(sinh(x), x, t_isnan(x)); }
fn t_cosh(x: f32) -> f32 { return select(cosh(x), x, t_isnan(x)); }
fn t_tanh(x: f32) -> f32 { return select(tanh(clamp(x, -20.0, 20.0)), x, t_isnan(x)); }
fn t_asinh(x: f32) -> f32 { return select(asinh(x), x, t_isnan(x)); }
fn t_acosh(x: f32) -> f32 { return select(acosh(x), x, t_isnan(x)); }
fn t_atanh(x: f32) -> f32 { return select(atanh(x), x, t_isnan(x)); }
