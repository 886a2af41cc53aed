fn t_sin(x: f32) -> f32 { return select(sin(x), t_nan(), t_isnan(x) || t_isinf(x)); }
fn t_cos(x: f32) -> f32 { return select(cos(x), t_nan(), t_isnan(x) || t_isinf(x)); }
fn t_tan(x: f32) -> f32 { return select(tan(x), t_nan(), t_isnan(x) || t_isinf(x)); }
fn t_asin(x: f32) -> f32 { return select(asin(x), t_nan(), t_isnan(x) || abs(x) > 1.0); }
fn t_acos(x: f32) -> f32 { return select(acos(x), t_nan(), t_isnan(x) || abs(x) > 1.0); }
fn t_atan(x: f32) -> f32 { return select(atan(x), x, t_isnan(x)); }
fn t_atan2(y: f32, x: f32) -> f32 { return atan2(y, x); }
