// Multiplies and adds in registers, in chains that do not wait for each other: to see how many of these the device does a second.

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * 256u + local;
  let x = vec4<f32>(params.factor);
  let y = vec4<f32>(params.term);
  var a0 = vec4<f32>(f32(local));
  var a1 = a0 + y;
  var a2 = a1 + y;
  var a3 = a2 + y;
  var a4 = a3 + y;
  var a5 = a4 + y;
  var a6 = a5 + y;
  var a7 = a6 + y;
  for (var turn = 0u; turn < params.turns; turn++) {
    a0 = fma(a0, x, y);
    a1 = fma(a1, x, y);
    a2 = fma(a2, x, y);
    a3 = fma(a3, x, y);
    a4 = fma(a4, x, y);
    a5 = fma(a5, x, y);
    a6 = fma(a6, x, y);
    a7 = fma(a7, x, y);
  }
  let sum = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7));
  result[at] = (sum.x + sum.y) + (sum.z + sum.w);
}
