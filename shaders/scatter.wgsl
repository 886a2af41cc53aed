// One invocation an element of the output lines that entries can fall on: it goes through the entries of its line in order, so that
// equal indices combine in a fixed order.

@compute @workgroup_size({{size}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * {{size}}u + local;
  if (at >= params.lines * params.places) { return; }
  let line = {{line}};
  let place = {{place}};
{{offsets}}
  let target_at = out_at + place * params.out_step;
  let wanted = place + params.place;
  var value = {{load}};
  var changed = false;
  for (var entry = 0i; entry < i32(params.length); entry++) {
    let index = {{index}};
    if (index == wanted) {
      value = {{combine}};
      changed = true;
    } else if (wanted == 0i && (index < 0i || index >= i32(params.extent))) {
      t_fault();
    }
  }
  if (changed) { out_buffer[target_at] = {{store}}; }
}
