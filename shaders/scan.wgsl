// Running totals along rows (or chunks of them), {{lanes}} lanes a row: each lane takes {{items}} neighbouring elements of a tile, finds out what
// comes before them from the totals of the others, and carries the total of the tile along the row.

{{shared}}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let group = group_id.y * group_count.x + group_id.x;
  let slot = {{slot}};
  let lane = {{lane}};
  let wanted = (group / params.chunks) * {{rows}}u + slot;
  let live = wanted < params.rows;
  let row = min(wanted, params.rows - 1u);
  let chunk = group % params.chunks;
{{offsets}}
  let first = chunk * params.chunk;
  let last = select(first, min(first + params.chunk, params.length), live);
  var carry = {{carry}};
  var turn = 0u;
  for (var tile = 0u; tile < params.chunk; tile += {{lanes}}u * {{items}}u) {
    let begin = first + tile + lane * {{items}}u;
{{load}}
{{exchange}}
{{store}}
    turn = 1u - turn;
  }
{{finish}}
}
