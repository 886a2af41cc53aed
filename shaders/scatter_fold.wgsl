// Entries lie in order of their places. An invocation combines {{size}} or more neighbours of a line: what falls on one element and lies
// within them is combined with the element; what reaches beyond them goes to a list of two slots an invocation, for what began before
// and for what goes on behind, which is gone through in the same way.

const NO_PLACE = 0xffffffffu;

@compute @workgroup_size({{size}})
fn main(
  @builtin(workgroup_id) group_id: vec3<u32>,
  @builtin(num_workgroups) group_count: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let at = (group_id.y * group_count.x + group_id.x) * {{size}}u + local;
  if (at >= params.rows * params.chunks * params.columns) { return; }
  let column = at % params.columns;
  let chunk = (at / params.columns) % params.chunks;
  let row = at / (params.columns * params.chunks);
  let line = row * params.width + params.first_column + column;
{{offsets}}
  let first = chunk * params.chunk;
  let last = min(first + params.chunk, params.count);
  var p = max(first, 1u) - 1u;
  let before = select(NO_PLACE, {{key}}, first > 0u);
  p = min(last, params.count - 1u);
  let behind = select(NO_PLACE, {{key}}, last < params.count);
  p = first;
  var own = {{key}};
  var from_before = own == before && own < params.extent;
  let head = select(NO_PLACE, own, from_before);
  let slot = (row * params.chunks + chunk) * 2u;
  let slot_value = params.to_values + slot * params.columns + column;
  var value = {{initial}};
  for (; p < last; p++) {
    let key = {{key}};
    if (key != own) {
      if (from_before) {
        scratch[slot_value] = {{bits}};
      } else if (own < params.extent) {
        let target_at = out_at + i32(own) * params.out_step;
        out_buffer[target_at] = {{store}};
      }
      own = key;
      from_before = false;
      value = {{initial}};
    }
    value = {{combine}};
  }
  let goes_on = own == behind && own < params.extent;
  if (from_before) {
    scratch[slot_value] = {{bits}};
  } else if (!goes_on && own < params.extent) {
    let target_at = out_at + i32(own) * params.out_step;
    out_buffer[target_at] = {{store}};
  }
  if (goes_on) {
    // Where all of it is one element's, the other slot has it already.
    {{other}}
    scratch[slot_value + params.columns] = {{bits}};
  }
  if (column == 0u && params.chunks > 1u) {
    scratch[params.to_keys + slot] = head;
    scratch[params.to_keys + slot + 1u] = select(NO_PLACE, own, goes_on);
  }
}
