// Convolution with few output channels a group: one invocation an element of the output.

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * 256u + local;
  if (at >= params.groups * params.m * params.n) { return; }
  let n = at % params.n;
  let m = (at / params.n) % params.m;
  let group = at / (params.n * params.m);
{{position}}
  let src_at = params.src + i32(group) * params.src_group + origin;
  let weight_at = params.weight + i32(group) * params.weight_group + i32(m) * params.weight_outer;
  var sum = 0.0;
  for (var c = 0i; c < i32(params.channels); c++) {
{{loops}}
  }
  {{store}}
}
