// Moves the elements of a tile to where their digit says: they are put in order within the tile bit by bit, which keeps the order of
// equal digits, and then lie in runs that are written together.

var<workgroup> keys: array<u32, 1024>;
var<workgroup> places: array<u32, 1024>;
var<workgroup> sums: array<u32, 512>;
var<workgroup> starts: array<u32, 16>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let live = group < params.rows * params.tiles;
  let row = min(group / params.tiles, params.rows - 1u);
  let tile = group % params.tiles;
  let base = row * params.length;
  let first = tile * 1024u;
  let count = select(0u, min(params.length - first, 1024u), live);
  for (var e = 0u; e < 4u; e++) {
    let i = e * 256u + local;
    // What fills the last tile has the largest key, and comes last.
    keys[i] = 0xffffffffu;
    if (i < count) {
      keys[i] = scratch[params.keys + base + first + i];
      places[i] = scratch[params.places + base + first + i];
    }
  }
  workgroupBarrier();
  for (var bit = params.shift; bit < params.shift + 4u; bit++) {
    var zeros = 0u;
    var own_keys: array<u32, 4>;
    var own_places: array<u32, 4>;
    for (var e = 0u; e < 4u; e++) {
      own_keys[e] = keys[local * 4u + e];
      own_places[e] = places[local * 4u + e];
      zeros += 1u - ((own_keys[e] >> bit) & 1u);
    }
    sums[local] = zeros;
    workgroupBarrier();
    var turn = 0u;
    for (var step = 1u; step < 256u; step = step << 1u) {
      var value = sums[turn * 256u + local];
      if (local >= step) { value += sums[turn * 256u + local - step]; }
      sums[(1u - turn) * 256u + local] = value;
      turn = 1u - turn;
      workgroupBarrier();
    }
    var zero = sums[turn * 256u + local] - zeros;
    var one = sums[turn * 256u + 255u] + local * 4u - zero;
    for (var e = 0u; e < 4u; e++) {
      if (((own_keys[e] >> bit) & 1u) == 0u) {
        keys[zero] = own_keys[e];
        places[zero] = own_places[e];
        zero++;
      } else {
        keys[one] = own_keys[e];
        places[one] = own_places[e];
        one++;
      }
    }
    workgroupBarrier();
  }
  for (var e = 0u; e < 4u; e++) {
    let i = e * 256u + local;
    let digit = (keys[i] >> params.shift) & 15u;
    if (i == 0u || digit != ((keys[max(i, 1u) - 1u] >> params.shift) & 15u)) { starts[digit] = i; }
  }
  workgroupBarrier();
  for (var e = 0u; e < 4u; e++) {
    let i = e * 256u + local;
    if (i < count) {
      let key = keys[i];
      let place = places[i];
      let digit = (key >> params.shift) & 15u;
      let to = scratch[params.counts + (row * 16u + digit) * params.tiles + tile] + i - starts[digit];
{{write}}
    }
  }
}
