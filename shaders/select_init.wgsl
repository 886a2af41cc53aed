// What a selection begins with: nothing known of the last key that is wanted, and nothing counted.

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group_id.y * group_count.x + group_id.x;
  if (row >= params.rows) { return; }
  scratch[params.counts + row * 256u + local] = 0u;
  if (local == 0u) {
    scratch[params.state + row * 2u] = 0u;
    scratch[params.state + row * 2u + 1u] = params.wanted;
  }
}
