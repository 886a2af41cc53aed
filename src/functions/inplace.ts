/** In-place methods that PyTorch has as functions, too. */

import type { Tensor } from "../tensor.ts";

/** `input.abs_()`. */
export function abs_(input: Tensor): Tensor {
  return input.abs_();
}

/** `input.acos_()`. */
export function acos_(input: Tensor): Tensor {
  return input.acos_();
}

/** `input.acosh_()`. */
export function acosh_(input: Tensor): Tensor {
  return input.acosh_();
}

/** `input.addmv_(...)`. */
export function addmv_(input: Tensor, ...args: Parameters<Tensor["addmv_"]>): Tensor {
  return input.addmv_(...args);
}

/** `input.arccos_()`. */
export function arccos_(input: Tensor): Tensor {
  return input.arccos_();
}

/** `input.arccosh_()`. */
export function arccosh_(input: Tensor): Tensor {
  return input.arccosh_();
}

/** `input.arcsin_()`. */
export function arcsin_(input: Tensor): Tensor {
  return input.arcsin_();
}

/** `input.arcsinh_()`. */
export function arcsinh_(input: Tensor): Tensor {
  return input.arcsinh_();
}

/** `input.arctan_()`. */
export function arctan_(input: Tensor): Tensor {
  return input.arctan_();
}

/** `input.arctanh_()`. */
export function arctanh_(input: Tensor): Tensor {
  return input.arctanh_();
}

/** `input.asin_()`. */
export function asin_(input: Tensor): Tensor {
  return input.asin_();
}

/** `input.asinh_()`. */
export function asinh_(input: Tensor): Tensor {
  return input.asinh_();
}

/** `input.atan_()`. */
export function atan_(input: Tensor): Tensor {
  return input.atan_();
}

/** `input.atanh_()`. */
export function atanh_(input: Tensor): Tensor {
  return input.atanh_();
}

/** `input.ceil_()`. */
export function ceil_(input: Tensor): Tensor {
  return input.ceil_();
}

/** `input.clampMax_(...)`. */
export function clampMax_(input: Tensor, ...args: Parameters<Tensor["clampMax_"]>): Tensor {
  return input.clampMax_(...args);
}

/** `input.clampMin_(...)`. */
export function clampMin_(input: Tensor, ...args: Parameters<Tensor["clampMin_"]>): Tensor {
  return input.clampMin_(...args);
}

/** `input.clamp_(...)`. */
export function clamp_(input: Tensor, ...args: Parameters<Tensor["clamp_"]>): Tensor {
  return input.clamp_(...args);
}

/** `input.clip_(...)`. */
export function clip_(input: Tensor, ...args: Parameters<Tensor["clip_"]>): Tensor {
  return input.clip_(...args);
}

/** `input.cos_()`. */
export function cos_(input: Tensor): Tensor {
  return input.cos_();
}

/** `input.cosh_()`. */
export function cosh_(input: Tensor): Tensor {
  return input.cosh_();
}

/** `input.deg2rad_()`. */
export function deg2rad_(input: Tensor): Tensor {
  return input.deg2rad_();
}

/** `input.detach_()`. */
export function detach_(input: Tensor): Tensor {
  return input.detach_();
}

/** `input.erf_()`. */
export function erf_(input: Tensor): Tensor {
  return input.erf_();
}

/** `input.erfc_()`. */
export function erfc_(input: Tensor): Tensor {
  return input.erfc_();
}

/** `input.exp2_()`. */
export function exp2_(input: Tensor): Tensor {
  return input.exp2_();
}

/** `input.exp_()`. */
export function exp_(input: Tensor): Tensor {
  return input.exp_();
}

/** `input.expm1_()`. */
export function expm1_(input: Tensor): Tensor {
  return input.expm1_();
}

/** `input.fill_(...)`. */
export function fill_(input: Tensor, ...args: Parameters<Tensor["fill_"]>): Tensor {
  return input.fill_(...args);
}

/** `input.fix_()`. */
export function fix_(input: Tensor): Tensor {
  return input.fix_();
}

/** `input.floor_()`. */
export function floor_(input: Tensor): Tensor {
  return input.floor_();
}

/** `input.frac_()`. */
export function frac_(input: Tensor): Tensor {
  return input.frac_();
}

/** `input.indexPut_(...)`. */
export function indexPut_(input: Tensor, ...args: Parameters<Tensor["indexPut_"]>): Tensor {
  return input.indexPut_(...args);
}

/** `input.log10_()`. */
export function log10_(input: Tensor): Tensor {
  return input.log10_();
}

/** `input.log1p_()`. */
export function log1p_(input: Tensor): Tensor {
  return input.log1p_();
}

/** `input.log2_()`. */
export function log2_(input: Tensor): Tensor {
  return input.log2_();
}

/** `input.log_()`. */
export function log_(input: Tensor): Tensor {
  return input.log_();
}

/** `input.neg_()`. */
export function neg_(input: Tensor): Tensor {
  return input.neg_();
}

/** `input.negative_()`. */
export function negative_(input: Tensor): Tensor {
  return input.negative_();
}

/** `input.rad2deg_()`. */
export function rad2deg_(input: Tensor): Tensor {
  return input.rad2deg_();
}

/** `input.reciprocal_()`. */
export function reciprocal_(input: Tensor): Tensor {
  return input.reciprocal_();
}

/** `input.relu_()`. */
export function relu_(input: Tensor): Tensor {
  return input.relu_();
}

/** `input.round_(...)`. */
export function round_(input: Tensor, ...args: Parameters<Tensor["round_"]>): Tensor {
  return input.round_(...args);
}

/** `input.rsqrt_()`. */
export function rsqrt_(input: Tensor): Tensor {
  return input.rsqrt_();
}

/** `input.sigmoid_()`. */
export function sigmoid_(input: Tensor): Tensor {
  return input.sigmoid_();
}

/** `input.sin_()`. */
export function sin_(input: Tensor): Tensor {
  return input.sin_();
}

/** `input.sinh_()`. */
export function sinh_(input: Tensor): Tensor {
  return input.sinh_();
}

/** `input.sqrt_()`. */
export function sqrt_(input: Tensor): Tensor {
  return input.sqrt_();
}

/** `input.square_()`. */
export function square_(input: Tensor): Tensor {
  return input.square_();
}

/** `input.tan_()`. */
export function tan_(input: Tensor): Tensor {
  return input.tan_();
}

/** `input.tanh_()`. */
export function tanh_(input: Tensor): Tensor {
  return input.tanh_();
}

/** `input.trunc_()`. */
export function trunc_(input: Tensor): Tensor {
  return input.trunc_();
}

/** `input.zero_()`. */
export function zero_(input: Tensor): Tensor {
  return input.zero_();
}
