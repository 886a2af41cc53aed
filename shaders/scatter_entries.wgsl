// One invocation an entry: the first entry that falls on an element combines all that do, in order. For few entries a line.

@compute @workgroup_size({{size}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * {{size}}u + local;
  if (at >= params.lines * params.length) { return; }
  let line = at / params.length;
  let own = i32(at % params.length);
{{offsets}}
  let wanted = {{own_index}};
  if (wanted < 0i || wanted >= i32(params.extent)) {
    t_fault();
    return;
  }
  for (var entry = 0i; entry < own; entry++) {
    if ({{index}} == wanted) { return; }
  }
  let target_at = out_at + wanted * params.out_step;
  var value = {{load}};
  for (var entry = own; entry < i32(params.length); entry++) {
    if ({{index}} == wanted) { value = {{combine}}; }
  }
  out_buffer[target_at] = {{store}};
}
