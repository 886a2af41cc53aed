// Tiled product of matrices of any strides: a workgroup makes {{tm}} x {{tn}} elements, an invocation {{rm}} x {{rn}} of them as
// blocks of four neighbours in both directions, from tiles that lie k by k in shared memory as groups of four.

var<workgroup> tile_a: array<vec4<{{type}}>, {{size_a}}>;
var<workgroup> tile_b: array<vec4<{{type}}>, {{size_b}}>;

@compute @workgroup_size({{threads}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let tiles = params.tiles_m * params.tiles_n;
  let part = group / tiles;
  let batch = part / params.splits;
  if (batch >= params.batches) { return; }
  let split = part % params.splits;
  let tile = group % tiles;
{{offsets}}
  let m0 = (tile / params.tiles_n) * {{tm}}u;
  let n0 = (tile % params.tiles_n) * {{tn}}u;
  let k_first = split * params.k_part;
  let k_last = min(k_first + params.k_part, params.k);
  let row = local / {{columns}}u;
  let column = local % {{columns}}u;
{{accumulators}}
  for (var k0 = k_first; k0 < k_last; k0 += {{tk}}u) {
{{load}}
    workgroupBarrier();
    for (var kk = 0u; kk < {{tk}}u; kk++) {
{{multiply}}
    }
    workgroupBarrier();
  }
{{store}}
}
