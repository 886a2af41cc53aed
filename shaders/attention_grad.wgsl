// Gradients of attention for a tile of {{rows}} rows (queries, or keys with their values), which stay; the others go by in tiles of {{columns}}. The
// weights of a pair of tiles are found again from the statistics of the forward pass.

var<workgroup> own_a: array<vec4<f32>, {{own_a_size}}>;
var<workgroup> own_b: array<vec4<f32>, {{own_b_size}}>;
var<workgroup> other_a: array<vec4<f32>, {{other_a_size}}>;
var<workgroup> other_b: array<vec4<f32>, {{other_b_size}}>;
{{weights}}
var<workgroup> slopes: array<vec4<f32>, {{weights_size}}>;

// Loops, not four calls each: software devices put every call in its place, and take long to compile what comes of it.
fn exp4(a: vec4<f32>) -> vec4<f32> {
  var y = a;
  for (var r = 0u; r < 4u; r++) { y[r] = t_exp(y[r]); }
  return y;
}

@compute @workgroup_size({{threads}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = params.first + group_id.y * group_count.x + group_id.x;
  let batch = group / params.tiles;
  if (batch >= params.batches) { return; }
  let row0 = {{tile}} * {{rows}}u;
  let ty = local / 8u;
  let tx = local % 8u;
{{offsets}}
{{load_own}}
{{accumulators}}
  let last = {{last}};
  for (var col0 = {{begin}}; col0 < last; col0 += {{columns}}u) {
{{load_other}}
    workgroupBarrier();
{{scores}}
    workgroupBarrier();
    for (var j = 0u; j < {{columns}}u; j++) {
{{accumulate}}
    }
    workgroupBarrier();
  }
{{store}}
}
