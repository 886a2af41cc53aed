// How many elements of a tile of 1024 come before the last key that is wanted, and how many have it.

var<workgroup> own_counts: array<atomic<u32>, 2>;

{{key}}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.tiles;
  let here = min(group / params.tiles, params.rows - 1u);
  let tile = group % params.tiles;
  let row = params.first_row + here;
{{offsets}}
  let bound = scratch[params.state + here * 2u];
  if (local < 2u) { atomicStore(&own_counts[local], 0u); }
  workgroupBarrier();
  let last = select(0u, min((tile + 1u) * 1024u, params.length), live);
  var less = 0u;
  var equal = 0u;
  for (var i = tile * 1024u + local; i < last; i += 256u) {
    let key = sort_key({{load}});
    if (key < bound) { less++; }
    if (key == bound) { equal++; }
  }
  if (less > 0u) { atomicAdd(&own_counts[0], less); }
  if (equal > 0u) { atomicAdd(&own_counts[1], equal); }
  workgroupBarrier();
  if (live && local < 2u) {
    scratch[params.sums + (here * 2u + local) * params.tiles + tile] = atomicLoad(&own_counts[local]);
  }
}
