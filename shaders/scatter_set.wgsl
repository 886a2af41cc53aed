// One invocation an entry: where several fall on one element, any of them stays.

@compute @workgroup_size({{size}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * {{size}}u + local;
  if (at >= params.lines * params.length) { return; }
  let line = {{line}};
  let entry = {{entry}};
{{offsets}}
  let index = {{index}};
  if (index < 0i || index >= i32(params.extent)) {
    t_fault();
    return;
  }
  let place = index - params.place;
  if (place >= 0i && place < i32(params.places)) { out_buffer[out_at + place * params.out_step] = {{store}}; }
}
