/** \file
 * The plan of tangent passes: the layers that kernels are made of, which models can be
 * compared, how large tiles are and how many pieces stay in memory. */
#include "base/memory.h"
#include "grid/spectrum.h"
#include "plan/parts.h"

#include <math.h>
#include <stdlib.h>

bool zg_plan_has_factors(const zg_zoo *zoo, const zg_tangent_spec *spec, int64_t model,
                         bool *exists) {
  int64_t signals, directs, jacobians;
  zg_zoo_find(zoo, ZG_NTK_SIGNAL, model, &signals);
  zg_zoo_find(zoo, ZG_NTK_DIRECT, model, &directs);
  zg_zoo_find(zoo, ZG_JACOBIAN, model, &jacobians);
  bool factors = signals + directs > 0 && spec->source != ZG_TANGENT_JACOBIAN;
  bool jacobian = jacobians > 0 && spec->source != ZG_TANGENT_FACTORS && !spec->sketch;
  *exists = factors || jacobian;
  return factors;
}

/* The array of a kind that belongs to a layer; -1 when there is none. Those of a model
 * are in the order of their places. */
static int64_t sibling(const zg_zoo *zoo, zg_data data, const zg_array *layer) {
  int64_t count, low = zg_zoo_find(zoo, data, layer->model, &count), high = low + count;
  int64_t end = high;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (zoo->arrays[middle].place < layer->place)
      low = middle + 1;
    else
      high = middle;
  }
  return low < end && zoo->arrays[low].place == layer->place ? low : -1;
}

static zg_tangent_layer layer_of_signal(const zg_zoo *zoo, int64_t signal) {
  const zg_array *array = &zoo->arrays[signal];
  zg_tangent_layer layer = {.signal = signal,
                            .direct = -1,
                            .input = sibling(zoo, ZG_NTK_INPUT, array),
                            .index = sibling(zoo, ZG_NTK_INDEX, array),
                            .positions = array->rank == 4 ? array->dims[2] : 1,
                            .classes = array->dims[1],
                            .out = array->dims[array->rank - 1],
                            .bias = array->bias};
  if (layer.input >= 0) {
    const zg_array *input = &zoo->arrays[layer.input];
    layer.in = input->dims[input->rank - 1];
  }
  return layer;
}

static zg_tangent_layer layer_of_direct(const zg_zoo *zoo, int64_t direct) {
  const zg_array *array = &zoo->arrays[direct];
  return (zg_tangent_layer){.signal = -1,
                            .direct = direct,
                            .input = -1,
                            .index = -1,
                            .positions = 1,
                            .classes = array->dims[1],
                            .out = array->dims[2]};
}

int64_t zg_plan_tangent_layers(const zg_zoo *zoo, const zg_tangent_spec *spec,
                               int64_t model, zg_tangent_layer **layers) {
  bool exists, factors = zg_plan_has_factors(zoo, spec, model, &exists);
  int64_t signals = 0, directs = 0;
  int64_t signal = zg_zoo_find(zoo, ZG_NTK_SIGNAL, model, &signals);
  int64_t direct =
      zg_zoo_find(zoo, factors ? ZG_NTK_DIRECT : ZG_JACOBIAN, model, &directs);
  if (!factors) signals = 0;
  if (!exists) directs = 0;
  *layers = ZG_NEW(zg_tangent_layer, signals + directs);
  for (int64_t k = 0; k < signals; k++)
    (*layers)[k] = layer_of_signal(zoo, signal + k);
  for (int64_t k = 0; k < directs; k++)
    (*layers)[signals + k] = layer_of_direct(zoo, direct + k);
  return signals + directs;
}

/* Rows per sample of a kernel, and the width of a signal in it: without all class pairs
 * the classes lie side by side. */
static double row_count(const zg_tangent_layer *layer, bool full) {
  return full ? (double)layer->classes : 1;
}
static double signal_width(const zg_tangent_layer *layer, bool full) {
  return full ? (double)layer->out : (double)(layer->classes * layer->out);
}

bool zg_plan_expands(const zg_tangent_layer *layer, bool full, int64_t samples) {
  if (layer->positions == 1 || layer->input < 0) return false;
  double S = (double)layer->positions, in = (double)(layer->in + layer->bias);
  double E = row_count(layer, full), out = signal_width(layer, full);
  double by_position = S * S * (in + E * E * out);
  double by_sample = E * E * in * out * (1 + 2 * S / (E * (double)samples));
  return by_sample < by_position;
}

int64_t zg_plan_layer_numbers(const zg_tangent_layer *layer, int64_t samples) {
  int64_t S = layer->positions, signals = layer->classes * layer->out;
  if (layer->direct >= 0) return signals * samples <= ZG_EXPANDED ? signals : 0;
  if (layer->index >= 0) return (S + 1) * (signals + 1);
  return S * (layer->in + layer->bias + signals);
}

/* Bytes of the largest piece of a model with so many samples. */
static int64_t piece_bytes(const zg_zoo *zoo, const zg_pass *pass,
                           const zg_group *group, int64_t samples) {
  const zg_tangent_spec *spec = &pass->spec.tangent;
  int64_t most = 0;
  for (int64_t k = 0; k < group->count; k++) {
    zg_tangent_layer *layers;
    int64_t numbers = 0;
    int64_t count = zg_plan_tangent_layers(zoo, spec, group->members[k], &layers);
    for (int64_t l = 0; l < count; l++)
      numbers += zg_plan_layer_numbers(&layers[l], samples);
    if (spec->sketch) numbers = spec->sketch * group->width;
    most = zg_max(most, numbers * samples * (int64_t)zg_real_size(pass->precision));
    free(layers);
  }
  return zg_max(most, 1);
}

/* Numbers that are read at a time of a piece, as doubles and as they are stored. */
static int64_t reading_bytes(const zg_zoo *zoo, bool streams) {
  static const zg_data kinds[] = {ZG_NTK_INPUT, ZG_NTK_INDEX, ZG_NTK_SIGNAL};
  int64_t widest = streams ? ZG_EXPANDED : 1 << 17;
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    for (int64_t a = zoo->first[kinds[k]]; a < zoo->first[kinds[k] + 1]; a++)
      widest = zg_max(widest, zoo->arrays[a].d);
  return 3 * 8 * widest + (4 << 20);
}

/* Numbers that a layer with positions, or one that is streamed, is multiplied out in
 * (engine/theta.c). */
static int64_t slab_numbers(const zg_tangent_layer *layer, bool full, int64_t samples) {
  int64_t S = layer->positions, E = full ? layer->classes : 1;
  int64_t W = full ? layer->out : layer->classes * layer->out;
  int64_t each = samples * E * (layer->in + layer->bias), pairs = S * E * S * E;
  if (!zg_plan_layer_numbers(layer, samples)) {
    each = samples * layer->classes;
    return 2 * each * zg_max(1, zg_min(layer->out, ZG_EXPANDED / each));
  }
  if (S == 1 || layer->input < 0) return 0;
  if (zg_plan_expands(layer, full, samples))
    return 2 * each * zg_max(1, zg_min(W, ZG_EXPANDED / each));
  return (S * S + pairs) * zg_max(1, zg_min(samples, ZG_EXPANDED / pairs));
}

/* The most of any layer of any member; and whether one is streamed. */
static int64_t most_slabs(const zg_zoo *zoo, const zg_pass *pass, const zg_group *group,
                          int64_t samples, bool *streams) {
  const zg_tangent_spec *spec = &pass->spec.tangent;
  int64_t most = 0;
  *streams = false;
  for (int64_t k = 0; k < group->count && !spec->sketch; k++) {
    zg_tangent_layer *layers;
    int64_t count = zg_plan_tangent_layers(zoo, spec, group->members[k], &layers);
    for (int64_t l = 0; l < count; l++) {
      *streams |= !zg_plan_layer_numbers(&layers[l], samples);
      most = zg_max(most, slab_numbers(&layers[l], spec->full, samples));
    }
    free(layers);
  }
  return most;
}

static int64_t copies_of(const zg_pass *pass) {
  return pass->spec.tangent.sketch ? ZG_SKETCHES : 1;
}

static zg_memory memory_for(const zg_zoo *zoo, const zg_pass *pass,
                            const zg_group *group, int64_t samples) {
  int64_t edge = samples * group->width, V = group->count * copies_of(pass);
  int64_t rows = group->length * group->width, all = pass->items * copies_of(pass);
  bool streams;
  int64_t slabs = most_slabs(zoo, pass, group, samples, &streams);
  zg_memory m = {.reading = reading_bytes(zoo, streams),
                 .panels = 2 * piece_bytes(zoo, pass, group, samples)};
  m.tiles = V * edge * edge * 8 + 3 * edge * edge * 8 + slabs * 8 + V * ZG_RUN * 8;
  m.sums = all * all * (3 * 16) + pass->items * pass->items * (4 * 8 + 17);
  m.sides = 16 * V * rows;
  return m;
}

/* What keeping kernels takes once the tiles of the pass are gone (engine/kernels.c): a
 * distributed matrix, this rank's tile in both orders, another's and what they are made
 * of, two pieces; all in double. */
static int64_t keeping_bytes(const zg_zoo *zoo, const zg_plan *plan,
                             const zg_pass *pass, const zg_group *group) {
  zg_pass kept = *pass;
  kept.precision = ZG_DOUBLE;
  kept.spec.tangent.sketch = 0;
  kept.spec.tangent.full = false;
  int64_t tile = group->piece * group->piece;
  bool streams;
  int64_t slabs = most_slabs(zoo, &kept, group, group->piece, &streams);
  return zg_symmetric_bytes(group->length, plan->ranks) + 8 * 5 * tile + 8 * slabs +
         2 * piece_bytes(zoo, &kept, group, group->piece);
}

/* On one rank BLAS has reached its speed with tiles of about 512 rows; with few samples
 * they are smaller, so that there are some for several ranks. */
static zg_status cut(const zg_zoo *zoo, zg_plan *plan, zg_pass *pass, zg_group *group) {
  const int64_t edge = 512, parts = 6, least = 32;
  int64_t samples = zg_max(1, edge / group->width);
  samples = zg_min(samples, zg_max(zg_ceil_div(group->length, parts),
                                   zg_ceil_div(least, group->width)));
  for (;; samples /= 2) {
    group->pieces = zg_max(1, zg_ceil_div(group->length, samples));
    group->piece = zg_ceil_div(group->length, group->pieces);
    zg_memory memory = memory_for(zoo, pass, group, group->piece);
    int64_t always = zg_plan_program_bytes(plan) + memory.reading + memory.sums;
    int64_t room = plan->memory_limit - always - memory.tiles - memory.sides;
    int64_t keeping =
        pass->spec.tangent.keep ? keeping_bytes(zoo, plan, pass, group) : 0;
    bool fits = room >= memory.panels && always + keeping <= plan->memory_limit;
    if (!fits && samples > 1) continue;
    int64_t piece = piece_bytes(zoo, pass, group, group->piece);
    int64_t kept = zg_max(2, zg_min(group->count * group->pieces, room / piece));
    pass->pieces_kept = pass->pieces_kept ? zg_min(pass->pieces_kept, kept) : kept;
    memory.panels = kept * piece;
    memory.sides += zg_max(0, keeping - memory.panels - memory.tiles - memory.sides);
    group->tasks = group->pieces * (group->pieces + 1) / 2;
    return zg_plan_add_memory(plan, pass, memory);
  }
}

static double layer_flop(const zg_tangent_layer *layer, const zg_group *group,
                         bool full) {
  double m = (double)group->length, S = (double)layer->positions;
  double E = row_count(layer, full), out = signal_width(layer, full);
  double in = (double)(layer->in + layer->bias);
  if (layer->direct >= 0) return m * m * E * E * out;
  if (layer->index >= 0) return m * m * S * E * E * out;
  if (zg_plan_expands(layer, full, group->piece))
    return m * m * E * E * in * out + 2 * m * E * S * in * out;
  return m * m * S * S * (in + E * E * out);
}

static void estimate(const zg_zoo *zoo, zg_plan *plan, const zg_pass *pass,
                     const zg_group *group) {
  double rows = (double)(group->length * group->width);
  double V = (double)(group->count * copies_of(pass));
  plan->flop += rows * rows * V * V / 2;
  for (int64_t k = 0; k < group->count; k++) {
    zg_tangent_layer *layers;
    int64_t count =
        zg_plan_tangent_layers(zoo, &pass->spec.tangent, group->members[k], &layers);
    for (int64_t l = 0; l < count && !pass->spec.tangent.sketch; l++)
      plan->flop += layer_flop(&layers[l], group, pass->spec.tangent.full);
    if (pass->spec.tangent.sketch)
      plan->flop += rows * rows * (double)pass->spec.tangent.sketch;
    free(layers);
  }
}

/* Models of as many samples, and for the full form as many classes, go together. */
static zg_group *group_for(zg_pass *pass, int64_t samples, int64_t rows) {
  for (int64_t g = 0; g < pass->group_count; g++)
    if (pass->groups[g].length == samples && pass->groups[g].width == rows)
      return &pass->groups[g];
  zg_group *group = zg_pass_add_group(pass);
  group->length = samples;
  group->width = rows;
  return group;
}

static void add_model(const zg_zoo *zoo, zg_pass *pass, int64_t model) {
  zg_tangent_layer *layers;
  if (zg_plan_tangent_layers(zoo, &pass->spec.tangent, model, &layers)) {
    int64_t array = layers[0].direct >= 0 ? layers[0].direct : layers[0].signal;
    int64_t rows = pass->spec.tangent.full ? layers[0].classes : 1;
    zg_group_add(group_for(pass, zoo->arrays[array].n, rows), model);
  }
  free(layers);
}

zg_status zg_plan_tangent(const zg_request *request, zg_plan *plan, zg_pass *pass) {
  const zg_zoo *zoo = request->zoo;
  double terms = INFINITY;
  pass->items = zoo->model_count;
  for (int64_t i = 0; i < pass->items; i++)
    add_model(zoo, pass, i);
  for (int64_t g = 0; g < pass->group_count; g++) {
    double rows = (double)(pass->groups[g].length * pass->groups[g].width);
    terms = fmin(terms, rows * rows / 2);
  }
  pass->precision = zg_plan_precision(plan, terms);
  for (int64_t g = 0; g < pass->group_count; g++) {
    ZG_TRY(cut(zoo, plan, pass, &pass->groups[g]));
    estimate(zoo, plan, pass, &pass->groups[g]);
  }
  zg_pass_number_tasks(pass);
  for (int k = ZG_JACOBIAN; k <= ZG_NTK_DIRECT; k++)
    for (int64_t a = zoo->first[k]; a < zoo->first[k + 1]; a++)
      plan->bytes += (double)zoo->arrays[a].n * (double)zoo->arrays[a].d *
                     (double)zg_dtype_bytes(zoo->arrays[a].dtype);
  return ZG_OK;
}
