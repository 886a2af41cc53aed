/** In-place methods that PyTorch has as functions, too. */

import { checkTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";

/** `input.abs_()`. */
export function abs_(input: Tensor): Tensor {
  return checkTensor("abs_", "input", input).abs_();
}

/** `input.acos_()`. */
export function acos_(input: Tensor): Tensor {
  return checkTensor("acos_", "input", input).acos_();
}

/** `input.acosh_()`. */
export function acosh_(input: Tensor): Tensor {
  return checkTensor("acosh_", "input", input).acosh_();
}

/** `input.addmv_(...)`. */
export function addmv_(input: Tensor, ...args: Parameters<Tensor["addmv_"]>): Tensor {
  return checkTensor("addmv_", "input", input).addmv_(...args);
}

/** `input.arccos_()`. */
export function arccos_(input: Tensor): Tensor {
  return checkTensor("arccos_", "input", input).arccos_();
}

/** `input.arccosh_()`. */
export function arccosh_(input: Tensor): Tensor {
  return checkTensor("arccosh_", "input", input).arccosh_();
}

/** `input.arcsin_()`. */
export function arcsin_(input: Tensor): Tensor {
  return checkTensor("arcsin_", "input", input).arcsin_();
}

/** `input.arcsinh_()`. */
export function arcsinh_(input: Tensor): Tensor {
  return checkTensor("arcsinh_", "input", input).arcsinh_();
}

/** `input.arctan_()`. */
export function arctan_(input: Tensor): Tensor {
  return checkTensor("arctan_", "input", input).arctan_();
}

/** `input.arctanh_()`. */
export function arctanh_(input: Tensor): Tensor {
  return checkTensor("arctanh_", "input", input).arctanh_();
}

/** `input.asin_()`. */
export function asin_(input: Tensor): Tensor {
  return checkTensor("asin_", "input", input).asin_();
}

/** `input.asinh_()`. */
export function asinh_(input: Tensor): Tensor {
  return checkTensor("asinh_", "input", input).asinh_();
}

/** `input.atan_()`. */
export function atan_(input: Tensor): Tensor {
  return checkTensor("atan_", "input", input).atan_();
}

/** `input.atanh_()`. */
export function atanh_(input: Tensor): Tensor {
  return checkTensor("atanh_", "input", input).atanh_();
}

/** `input.ceil_()`. */
export function ceil_(input: Tensor): Tensor {
  return checkTensor("ceil_", "input", input).ceil_();
}

/** `input.clampMax_(...)`. */
export function clampMax_(input: Tensor, ...args: Parameters<Tensor["clampMax_"]>): Tensor {
  return checkTensor("clampMax_", "input", input).clampMax_(...args);
}

/** `input.clampMin_(...)`. */
export function clampMin_(input: Tensor, ...args: Parameters<Tensor["clampMin_"]>): Tensor {
  return checkTensor("clampMin_", "input", input).clampMin_(...args);
}

/** `input.clamp_(...)`. */
export function clamp_(input: Tensor, ...args: Parameters<Tensor["clamp_"]>): Tensor {
  return checkTensor("clamp_", "input", input).clamp_(...args);
}

/** `input.clip_(...)`. */
export function clip_(input: Tensor, ...args: Parameters<Tensor["clip_"]>): Tensor {
  return checkTensor("clip_", "input", input).clip_(...args);
}

/** `input.cos_()`. */
export function cos_(input: Tensor): Tensor {
  return checkTensor("cos_", "input", input).cos_();
}

/** `input.cosh_()`. */
export function cosh_(input: Tensor): Tensor {
  return checkTensor("cosh_", "input", input).cosh_();
}

/** `input.deg2rad_()`. */
export function deg2rad_(input: Tensor): Tensor {
  return checkTensor("deg2rad_", "input", input).deg2rad_();
}

/** `input.detach_()`. */
export function detach_(input: Tensor): Tensor {
  return checkTensor("detach_", "input", input).detach_();
}

/** `input.erf_()`. */
export function erf_(input: Tensor): Tensor {
  return checkTensor("erf_", "input", input).erf_();
}

/** `input.erfc_()`. */
export function erfc_(input: Tensor): Tensor {
  return checkTensor("erfc_", "input", input).erfc_();
}

/** `input.exp2_()`. */
export function exp2_(input: Tensor): Tensor {
  return checkTensor("exp2_", "input", input).exp2_();
}

/** `input.exp_()`. */
export function exp_(input: Tensor): Tensor {
  return checkTensor("exp_", "input", input).exp_();
}

/** `input.expm1_()`. */
export function expm1_(input: Tensor): Tensor {
  return checkTensor("expm1_", "input", input).expm1_();
}

/** `input.fill_(...)`. */
export function fill_(input: Tensor, ...args: Parameters<Tensor["fill_"]>): Tensor {
  return checkTensor("fill_", "input", input).fill_(...args);
}

/** `input.fix_()`. */
export function fix_(input: Tensor): Tensor {
  return checkTensor("fix_", "input", input).fix_();
}

/** `input.floor_()`. */
export function floor_(input: Tensor): Tensor {
  return checkTensor("floor_", "input", input).floor_();
}

/** `input.frac_()`. */
export function frac_(input: Tensor): Tensor {
  return checkTensor("frac_", "input", input).frac_();
}

/** `input.indexPut_(...)`. */
export function indexPut_(input: Tensor, ...args: Parameters<Tensor["indexPut_"]>): Tensor {
  return checkTensor("indexPut_", "input", input).indexPut_(...args);
}

/** `input.log10_()`. */
export function log10_(input: Tensor): Tensor {
  return checkTensor("log10_", "input", input).log10_();
}

/** `input.log1p_()`. */
export function log1p_(input: Tensor): Tensor {
  return checkTensor("log1p_", "input", input).log1p_();
}

/** `input.log2_()`. */
export function log2_(input: Tensor): Tensor {
  return checkTensor("log2_", "input", input).log2_();
}

/** `input.log_()`. */
export function log_(input: Tensor): Tensor {
  return checkTensor("log_", "input", input).log_();
}

/** `input.neg_()`. */
export function neg_(input: Tensor): Tensor {
  return checkTensor("neg_", "input", input).neg_();
}

/** `input.negative_()`. */
export function negative_(input: Tensor): Tensor {
  return checkTensor("negative_", "input", input).negative_();
}

/** `input.rad2deg_()`. */
export function rad2deg_(input: Tensor): Tensor {
  return checkTensor("rad2deg_", "input", input).rad2deg_();
}

/** `input.reciprocal_()`. */
export function reciprocal_(input: Tensor): Tensor {
  return checkTensor("reciprocal_", "input", input).reciprocal_();
}

/** `input.relu_()`. */
export function relu_(input: Tensor): Tensor {
  return checkTensor("relu_", "input", input).relu_();
}

/** `input.round_(...)`. */
export function round_(input: Tensor, ...args: Parameters<Tensor["round_"]>): Tensor {
  return checkTensor("round_", "input", input).round_(...args);
}

/** `input.rsqrt_()`. */
export function rsqrt_(input: Tensor): Tensor {
  return checkTensor("rsqrt_", "input", input).rsqrt_();
}

/** `input.sigmoid_()`. */
export function sigmoid_(input: Tensor): Tensor {
  return checkTensor("sigmoid_", "input", input).sigmoid_();
}

/** `input.sin_()`. */
export function sin_(input: Tensor): Tensor {
  return checkTensor("sin_", "input", input).sin_();
}

/** `input.sinh_()`. */
export function sinh_(input: Tensor): Tensor {
  return checkTensor("sinh_", "input", input).sinh_();
}

/** `input.sqrt_()`. */
export function sqrt_(input: Tensor): Tensor {
  return checkTensor("sqrt_", "input", input).sqrt_();
}

/** `input.square_()`. */
export function square_(input: Tensor): Tensor {
  return checkTensor("square_", "input", input).square_();
}

/** `input.tan_()`. */
export function tan_(input: Tensor): Tensor {
  return checkTensor("tan_", "input", input).tan_();
}

/** `input.tanh_()`. */
export function tanh_(input: Tensor): Tensor {
  return checkTensor("tanh_", "input", input).tanh_();
}

/** `input.trunc_()`. */
export function trunc_(input: Tensor): Tensor {
  return checkTensor("trunc_", "input", input).trunc_();
}

/** `input.zero_()`. */
export function zero_(input: Tensor): Tensor {
  return checkTensor("zero_", "input", input).zero_();
}
