// Where the elements of each of {{digits}} digits and each tile of a row start: a running sum of the counts, a workgroup a row.

var<workgroup> sums: array<u32, 512>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows;
  let row = min(group, params.rows - 1u);
  let count = {{digits}}u * params.tiles;
  let share = (count + 255u) / 256u;
  let first = params.counts + row * count;
  let begin = min(local * share, count);
  let end = min(begin + share, count);
  var total = 0u;
  for (var i = begin; i < end; i++) { total += scratch[first + i]; }
  sums[local] = total;
  workgroupBarrier();
  var turn = 0u;
  for (var step = 1u; step < 256u; step = step << 1u) {
    var value = sums[turn * 256u + local];
    if (local >= step) { value += sums[turn * 256u + local - step]; }
    sums[(1u - turn) * 256u + local] = value;
    turn = 1u - turn;
    workgroupBarrier();
  }
  if (live) {
    var before = sums[turn * 256u + local] - total;
    for (var i = begin; i < end; i++) {
      let own = scratch[first + i];
      scratch[first + i] = before;
      before += own;
    }
  }
}
