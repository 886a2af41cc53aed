// The next digit of the last key that is wanted, a workgroup a row: as many elements as are still wanted lie at or before it.

var<workgroup> sums: array<u32, 512>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows;
  let here = min(group, params.rows - 1u);
  let at = params.counts + here * 256u + local;
  let own = scratch[at];
  let state = params.state + here * 2u;
  let wanted = scratch[state + 1u];
  sums[local] = own;
  workgroupBarrier();
  var turn = 0u;
  for (var step = 1u; step < 256u; step = step << 1u) {
    var value = sums[turn * 256u + local];
    if (local >= step) { value += sums[turn * 256u + local - step]; }
    sums[(1u - turn) * 256u + local] = value;
    turn = 1u - turn;
    workgroupBarrier();
  }
  let through = sums[turn * 256u + local];
  let before = through - own;
  storageBarrier();
  if (live) {
    if (before < wanted && wanted <= through) {
      scratch[state] |= local << params.shift;
      scratch[state + 1u] = wanted - before;
    }
    scratch[at] = 0u;
  }
}
