// First step of a sort: the key of every element, and for a radix sort its place.

{{key}}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * 256u + local;
  if (at >= params.rows * params.length) { return; }
  let row = params.first_row + at / params.length;
  let i = at % params.length;
{{offsets}}
  scratch[params.keys + at] = sort_key({{load}});
{{places}}
}
