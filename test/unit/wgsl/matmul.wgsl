
struct Params {
  inf: u32,
  nan: u32,
  tag: u32,
  m: u32,
  n: u32,
  k: u32,
  tiles_m: u32,
  tiles_n: u32,
  batches: u32,
  splits: u32,
  k_part: u32,
  part: u32,
  a: i32,
  a_row: i32,
  a_column: i32,
  b: i32,
  b_row: i32,
  b_column: i32,
  out: u32,
  out_row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(1) @binding(0) var<storage, read> a_buffer: array<f32>;
@group(1) @binding(1) var<storage, read> b_buffer: array<f32>;
@group(1) @binding(2) var<storage, read_write> out_buffer: array<f32>;
var<workgroup> tile_a: array<vec4<f32>, 144>;
var<workgroup> tile_b: array<vec4<f32>, 144>;
@compute @workgroup_size(64)
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
  var a_at = params.a;
  var b_at = params.b;
  var out_at = params.out + split * params.part;
  let m0 = (tile / params.tiles_n) * 32u;
  let n0 = (tile % params.tiles_n) * 32u;
  let k_first = split * params.k_part;
  let k_last = min(k_first + params.k_part, params.k);
  let row = local / 8u;
  let column = local % 8u;
  var c00_0 = vec4<f32>();
  var c01_0 = vec4<f32>();
  var c02_0 = vec4<f32>();
  var c03_0 = vec4<f32>();
  for (var k0 = k_first; k0 < k_last; k0 += 16u) {
    for (var g = local; g < 128u; g += 64u) {
      let kk = g % 16u;
      let four = g / 16u;
      let x = m0 + four * 4u;
      let k = k0 + kk;
      var value = vec4<f32>();
      if (k < k_last) {
        let at = a_at + i32(k) * params.a_column + i32(x) * params.a_row;
        if (x + 0u < params.m) { value.x = a_buffer[at]; }
        if (x + 1u < params.m) { value.y = a_buffer[at + params.a_row]; }
        if (x + 2u < params.m) { value.z = a_buffer[at + 2 * params.a_row]; }
        if (x + 3u < params.m) { value.w = a_buffer[at + 3 * params.a_row]; }
      }
      tile_a[kk * 9u + four] = value;
    }
    for (var g = local; g < 128u; g += 64u) {
      let kk = g / 8u;
      let four = g % 8u;
      let x = n0 + four * 4u;
      let k = k0 + kk;
      var value = vec4<f32>();
      if (k < k_last) {
        let at = b_at + i32(k) * params.b_row + i32(x) * params.b_column;
        if (x + 0u < params.n) { value.x = b_buffer[at]; }
        if (x + 1u < params.n) { value.y = b_buffer[at + params.b_column]; }
        if (x + 2u < params.n) { value.z = b_buffer[at + 2 * params.b_column]; }
        if (x + 3u < params.n) { value.w = b_buffer[at + 3 * params.b_column]; }
      }
      tile_b[kk * 9u + four] = value;
    }
    workgroupBarrier();
    for (var kk = 0u; kk < 16u; kk++) {
      let a0 = tile_a[kk * 9u + 0u + row];
      let b0 = tile_b[kk * 9u + 0u + column];
      c00_0 = fma(vec4<f32>(a0.x), b0, c00_0);
      c01_0 = fma(vec4<f32>(a0.y), b0, c01_0);
      c02_0 = fma(vec4<f32>(a0.z), b0, c02_0);
      c03_0 = fma(vec4<f32>(a0.w), b0, c03_0);
    }
    workgroupBarrier();
  }
  let m00 = m0 + (0u + row) * 4u + 0u;
  if (m00 < params.m) {
    let n00_0 = n0 + (0u + column) * 4u;
    if (n00_0 < params.n) { out_buffer[out_at + m00 * params.out_row + n00_0] = c00_0.x; }
    if (n00_0 + 1u < params.n) { out_buffer[out_at + m00 * params.out_row + n00_0 + 1u] = c00_0.y; }
    if (n00_0 + 2u < params.n) { out_buffer[out_at + m00 * params.out_row + n00_0 + 2u] = c00_0.z; }
    if (n00_0 + 3u < params.n) { out_buffer[out_at + m00 * params.out_row + n00_0 + 3u] = c00_0.w; }
  }
  let m01 = m0 + (0u + row) * 4u + 1u;
  if (m01 < params.m) {
    let n01_0 = n0 + (0u + column) * 4u;
    if (n01_0 < params.n) { out_buffer[out_at + m01 * params.out_row + n01_0] = c01_0.x; }
    if (n01_0 + 1u < params.n) { out_buffer[out_at + m01 * params.out_row + n01_0 + 1u] = c01_0.y; }
    if (n01_0 + 2u < params.n) { out_buffer[out_at + m01 * params.out_row + n01_0 + 2u] = c01_0.z; }
    if (n01_0 + 3u < params.n) { out_buffer[out_at + m01 * params.out_row + n01_0 + 3u] = c01_0.w; }
  }
  let m02 = m0 + (0u + row) * 4u + 2u;
  if (m02 < params.m) {
    let n02_0 = n0 + (0u + column) * 4u;
    if (n02_0 < params.n) { out_buffer[out_at + m02 * params.out_row + n02_0] = c02_0.x; }
    if (n02_0 + 1u < params.n) { out_buffer[out_at + m02 * params.out_row + n02_0 + 1u] = c02_0.y; }
    if (n02_0 + 2u < params.n) { out_buffer[out_at + m02 * params.out_row + n02_0 + 2u] = c02_0.z; }
    if (n02_0 + 3u < params.n) { out_buffer[out_at + m02 * params.out_row + n02_0 + 3u] = c02_0.w; }
  }
  let m03 = m0 + (0u + row) * 4u + 3u;
  if (m03 < params.m) {
    let n03_0 = n0 + (0u + column) * 4u;
    if (n03_0 < params.n) { out_buffer[out_at + m03 * params.out_row + n03_0] = c03_0.x; }
    if (n03_0 + 1u < params.n) { out_buffer[out_at + m03 * params.out_row + n03_0 + 1u] = c03_0.y; }
    if (n03_0 + 2u < params.n) { out_buffer[out_at + m03 * params.out_row + n03_0 + 2u] = c03_0.z; }
    if (n03_0 + 3u < params.n) { out_buffer[out_at + m03 * params.out_row + n03_0 + 3u] = c03_0.w; }
  }
}
