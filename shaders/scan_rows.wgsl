// Running totals along rows, one invocation a row.

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = (group_id.y * group_count.x + group_id.x) * 64u + local;
  if (row >= params.rows) { return; }
{{offsets}}
  var sum = {{initial}};
  for (var i = 0i; i < i32(params.length); i++) {
    let x = {{load}};
    sum = {{combine}};
    out_buffer[out_at + i * params.out_step] = {{store}};
  }
}
