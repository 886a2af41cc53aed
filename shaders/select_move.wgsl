// Puts what is wanted into a list of keys and places, in the order in which it lies: what comes before the last key that is wanted, then
// as many as are left of those that have it.

var<workgroup> own_sums: array<u32, 512>;

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
  let last = select(0u, params.length, live);
  // Of each four neighbours, those before the bound in the lower half of a word, those that have it in the upper half.
  var own = 0u;
  var own_keys: array<u32, 4>;
  for (var e = 0u; e < 4u; e++) {
    let i = tile * 1024u + local * 4u + e;
    if (i < last) {
      own_keys[e] = sort_key({{load}});
      own += select(0u, 1u, own_keys[e] < bound) + select(0u, 0x10000u, own_keys[e] == bound);
    }
  }
  own_sums[local] = own;
  workgroupBarrier();
  var turn = 0u;
  for (var step = 1u; step < 256u; step = step << 1u) {
    var value = own_sums[turn * 256u + local];
    if (local >= step) { value += own_sums[turn * 256u + local - step]; }
    own_sums[(1u - turn) * 256u + local] = value;
    turn = 1u - turn;
    workgroupBarrier();
  }
  let before = own_sums[turn * 256u + local] - own;
  var less = scratch[params.sums + here * 2u * params.tiles + tile] + (before & 0xffffu);
  var equal = scratch[params.sums + (here * 2u + 1u) * params.tiles + tile] + (before >> 16u);
  for (var e = 0u; e < 4u; e++) {
    let i = tile * 1024u + local * 4u + e;
    if (i < last) {
      let key = own_keys[e];
      var slot = params.wanted;
      if (key < bound) {
        slot = less;
        less++;
      } else if (key == bound) {
        slot = equal;
        equal++;
      }
      if (slot < params.wanted) {
        scratch[params.list_keys + here * params.wanted + slot] = key;
        scratch[params.list_places + here * params.wanted + slot] = i;
      }
    }
  }
}
