// Attention of a tile of {{rows}} queries: keys and values go by in tiles of {{columns}}, and the softmax is corrected as they do. Of the scores, an
// invocation makes four rows (as a vec4) of every eighth column; of the result, the same rows of every eighth group of four columns.

var<workgroup> own: array<vec4<f32>, {{own_size}}>;
var<workgroup> other: array<vec4<f32>, {{other_size}}>;
var<workgroup> weights: array<vec4<f32>, {{weights_size}}>;
var<workgroup> peaks: array<vec4<f32>, {{peaks_size}}>;

fn max4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
  var y = a;
  for (var r = 0u; r < 4u; r++) { y[r] = t_max(y[r], b[r]); }
  return y;
}

// Loops, not four calls each: software devices put every call in its place, and take long to compile what comes of it.
fn exp4(a: vec4<f32>) -> vec4<f32> {
  var y = a;
  for (var r = 0u; r < 4u; r++) { y[r] = t_exp(y[r]); }
  return y;
}

// Where no score counts yet the peak is -infinity, from which nothing can be subtracted.
fn finite_peak(peak: vec4<f32>) -> vec4<f32> {
  return select(peak, vec4<f32>(), bitcast<vec4<u32>>(peak) == vec4<u32>(0xff800000u));
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
  // The longest come first.
  let row0 = (params.tiles - 1u - group % params.tiles) * {{rows}}u;
  let ty = local / 8u;
  let tx = local % 8u;
{{offsets}}
{{load_own}}
{{accumulators}}
  var peak = vec4<f32>(-t_inf());
  var total = vec4<f32>();
  let last = {{last}};
  for (var col0 = 0u; col0 < last; col0 += {{columns}}u) {
{{load_key}}
    workgroupBarrier();
{{scores}}
    peaks[tx * {{lines}}u + ty] = {{own_peak}};
    workgroupBarrier();
    var next = peak;
    for (var t = 0u; t < 8u; t++) { next = max4(next, peaks[t * {{lines}}u + ty]); }
    let base = finite_peak(next);
    let factor = exp4(peak - base);
    peak = next;
    total *= factor;
{{weigh}}
{{load_value}}
    workgroupBarrier();
{{rescale}}
    for (var j = 0u; j < {{columns}}u; j++) {
      let p = weights[j * {{lines}}u + ty];
{{accumulate}}
    }
    workgroupBarrier();
  }
  peaks[tx * {{lines}}u + ty] = total;
  workgroupBarrier();
  total = vec4<f32>();
  for (var t = 0u; t < 8u; t++) { total += peaks[t * {{lines}}u + ty]; }
{{store}}
}
