// Sorts short rows of keys, a workgroup each: a bitonic network over keys with their places, so that equal keys keep their order.

var<workgroup> keys: array<u32, 2048>;
var<workgroup> places: array<u32, 2048>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows;
  let row = min(group, params.rows - 1u);
  for (var i = local; i < params.padded; i += 256u) {
    var key = 0xffffffffu;
    if (i < params.length) { key = scratch[params.keys + row * params.length + i]; }
    keys[i] = key;
    places[i] = i;
  }
  workgroupBarrier();
  for (var size = 2u; size <= params.padded; size = size << 1u) {
    for (var stride = size >> 1u; stride > 0u; stride = stride >> 1u) {
      for (var t = local; t < params.padded / 2u; t += 256u) {
        let a = 2u * stride * (t / stride) + t % stride;
        let b = a + stride;
        let greater = keys[a] > keys[b] || (keys[a] == keys[b] && places[a] > places[b]);
        if (greater == ((a & size) == 0u)) {
          let key = keys[a];
          keys[a] = keys[b];
          keys[b] = key;
          let place = places[a];
          places[a] = places[b];
          places[b] = place;
        }
      }
      workgroupBarrier();
    }
  }
  if (live) {
    for (var i = local; i < params.wanted; i += 256u) {
      let at = (params.first_row + row) * params.wanted + i;
      let place = {{place}};
      {{write}}
    }
  }
}
