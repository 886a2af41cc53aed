// Copies memory, a vector an invocation: to see how many bytes a second the device moves.

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * 256u + local;
  if (at < params.count) { copied[at] = source[at]; }
}
