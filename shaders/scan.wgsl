// Running totals along rows, one workgroup a row (or a chunk of one): each lane takes {{items}} neighbouring elements, lanes'
// totals are combined in two rounds in shared memory, and what came before is carried along the row.

var<workgroup> totals: array<{{type}}, 512>;
var<workgroup> sums: array<{{type}}, 32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.chunks;
  let row = min(group / params.chunks, params.rows - 1u);
  let chunk = group % params.chunks;
{{offsets}}
  let first = chunk * params.chunk;
  let last = select(first, min(first + params.chunk, params.length), live);
  var carry = {{carry}};
  var turn = 0u;
  for (var tile = 0u; tile < params.chunk; tile += 256u * {{items}}u) {
    let begin = first + tile + local * {{items}}u;
{{load}}
    totals[turn * 256u + local] = total;
    workgroupBarrier();
    if (local < 16u) {
      var sum = totals[turn * 256u + local * 16u];
      for (var k = 1u; k < 16u; k++) {
        let x = totals[turn * 256u + local * 16u + k];
        sum = {{combine_sum}};
      }
      sums[turn * 16u + local] = sum;
    }
    workgroupBarrier();
    var before = carry;
    for (var k = 0u; k < 16u; k++) {
      let x = sums[turn * 16u + k];
      if (k < local / 16u) { before = {{combine_before}}; }
      carry = {{combine_carry}};
    }
    for (var k = local & 240u; k < local; k++) {
      let x = totals[turn * 256u + k];
      before = {{combine_before}};
    }
{{store}}
    turn = 1u - turn;
  }
{{finish}}
}
