// How many elements of a tile of 1024 have each digit of four bits.

var<workgroup> counts: array<atomic<u32>, 16>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.tiles;
  let row = group / params.tiles;
  let tile = group % params.tiles;
  if (local < 16u) { atomicStore(&counts[local], 0u); }
  workgroupBarrier();
  if (live) {
    for (var e = 0u; e < 4u; e++) {
      let i = tile * 1024u + e * 256u + local;
      if (i < params.length) {
        let key = scratch[params.keys + row * params.length + i];
        atomicAdd(&counts[(key >> params.shift) & 15u], 1u);
      }
    }
  }
  workgroupBarrier();
  if (live && local < 16u) {
    scratch[params.counts + (row * 16u + local) * params.tiles + tile] = atomicLoad(&counts[local]);
  }
}
