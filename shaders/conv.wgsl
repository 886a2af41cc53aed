// Convolution as a tiled product of the weight (output channels x terms) and of input columns that are found as they are loaded
// (terms x output positions): a workgroup makes {{tm}} x {{tn}} elements, an invocation {{rm}} x {{rn}} of them in blocks of four.

var<workgroup> tile_a: array<vec4<f32>, {{size_a}}>;
var<workgroup> tile_b: array<vec4<f32>, {{size_b}}>;

@compute @workgroup_size({{threads}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let block = group_id.y * group_count.x + group_id.x;
  let tiles = params.tiles_m * params.tiles_n;
  let part = block / tiles;
  let group = part / params.splits;
  if (group >= params.groups) { return; }
  let split = part % params.splits;
  let tile = block % tiles;
  let src_at = params.src + i32(group) * params.src_group;
  let weight_at = params.weight + i32(group) * params.weight_group;
  let m0 = (tile / params.tiles_n) * {{tm}}u;
  let n0 = (tile % params.tiles_n) * {{tn}}u;
  let k_first = split * params.k_part;
  let k_last = min(k_first + params.k_part, params.k);
  let row = local / {{columns}}u;
  let column = local % {{columns}}u;
{{positions}}
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
