// How many elements of a row have each digit of eight bits, among those whose digits before are those of the last key that is wanted.

var<workgroup> own_counts: array<atomic<u32>, 256>;

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
  let digits = atomicLoad(&scratch[params.state + here * 2u]);
  atomicStore(&own_counts[local], 0u);
  workgroupBarrier();
  let first = tile * params.tile;
  let last = select(first, min(first + params.tile, params.length), live);
  for (var i = first + local; i < last; i += 256u) {
    let key = sort_key({{load}});
    if ((key & params.mask) == digits) { atomicAdd(&own_counts[(key >> params.shift) & 255u], 1u); }
  }
  workgroupBarrier();
  let own = atomicLoad(&own_counts[local]);
  if (own > 0u) { atomicAdd(&scratch[params.counts + here * 256u + local], own); }
}
