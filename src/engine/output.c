#include "engine/output.h"

#include "base/memory.h"

#include <stdlib.h>

/* Attributes of a tensor: those every tensor has, and one for each option in effect. */
enum { COMMON_ATTRIBUTES = 6 };

static zg_attribute option_attribute(const zg_call *call, int64_t k) {
  const zg_option *option = &call->measure->options[k];
  zg_attribute attribute = {.name = option->name,
                            .number = call->values[k],
                            .integer = option->type == ZG_OPTION_COUNT};
  if (option->type == ZG_OPTION_LIST) {
    attribute.list = call->list;
    attribute.count = (int64_t)call->values[k];
  }
  if (option->type == ZG_OPTION_CHOICE)
    attribute.text = option->choices[(int)call->values[k]];
  if (option->word && call->values[k] == option->initial) attribute.text = option->word;
  return attribute;
}

static zg_attribute *tensor_attributes(const zg_call *call) {
  const zg_measure *m = call->measure;
  zg_attribute *a = ZG_NEW0(zg_attribute, COMMON_ATTRIBUTES + ZG_MAX_OPTIONS + 1);
  int64_t count = 0;
  a[count++] = (zg_attribute){.name = "measure", .text = m->name};
  a[count++] = (zg_attribute){.name = "kind", .text = zg_kind_name(m->kind)};
  a[count++] =
      (zg_attribute){.name = "symmetric", .number = m->symmetric, .integer = true};
  a[count++] = (zg_attribute){.name = "formula", .text = m->formula};
  a[count++] = (zg_attribute){.name = "reference", .text = m->reference};
  if (m->remark) a[count++] = (zg_attribute){.name = "remark", .text = m->remark};
  for (int64_t k = 0; k < zg_option_count(m); k++)
    if (zg_option_in_effect(call, k)) a[count++] = option_attribute(call, k);
  return a;
}

/* The axes that tensors and kept quantities stand on, in the order of zg_axis. */
typedef struct axis_table {
  zg_axis_labels labels[ZG_AXES];
  int64_t place[ZG_AXES]; /* in labels; -1: not used */
  int64_t count;
} axis_table;

/* The data whose arrays an axis lists. */
static zg_data data_of(zg_axis axis) {
  static const zg_data data[ZG_AXES] = {
      [ZG_AXIS_ITEM] = ZG_ACTIVATIONS, [ZG_AXIS_GRADIENT] = ZG_GRADIENTS,
      [ZG_AXIS_WEIGHT] = ZG_WEIGHTS,   [ZG_AXIS_ATTENTION] = ZG_ATTENTION,
      [ZG_AXIS_HEAD] = ZG_ATTENTION,   [ZG_AXIS_CROSS_ATTENTION] = ZG_CROSS_ATTENTION};
  return data[axis];
}

/* "<model>/<layer>/<head>" for every head of one layer. */
static int64_t add_heads(const zg_zoo *zoo, int64_t array, char **labels) {
  int64_t heads = zoo->arrays[array].dims[1];
  char *layer = zg_zoo_item_name(zoo, array);
  for (int64_t head = 0; head < heads; head++) {
    zg_text label = {0};
    zg_text_add(&label, "%s/%lld", layer, (long long)head);
    labels[head] = label.data;
  }
  free(layer);
  return heads;
}

/* The labels of an axis in the order of the zoo. \return how many. */
static int64_t list_labels(const zg_zoo *zoo, zg_axis axis, char ***labels) {
  bool models = axis == ZG_AXIS_MODEL, heads = axis == ZG_AXIS_HEAD;
  int64_t first = models ? 0 : zoo->first[data_of(axis)], count = 0;
  int64_t end = models ? zoo->model_count : zoo->first[data_of(axis) + 1];
  *labels = ZG_NEW(char *, heads ? zg_zoo_heads(zoo) : end - first);
  for (int64_t k = first; k < end; k++)
    if (heads)
      count += add_heads(zoo, k, *labels + count);
    else
      (*labels)[count++] =
          models ? zg_strdup(zoo->models[k].name) : zg_zoo_item_name(zoo, k);
  return count;
}

static void add_axis(const zg_zoo *zoo, zg_axis axis, axis_table *table) {
  char **labels;
  int64_t count = list_labels(zoo, axis, &labels);
  table->place[axis] = table->count;
  table->labels[table->count++] =
      (zg_axis_labels){.name = zg_axis_name(axis), .labels = labels, .count = count};
}

static void mark_axes(const zg_call *call, bool used[ZG_AXES]) {
  zg_kept kept[ZG_MAX_KEPT];
  used[zg_call_axis(call)] = true;
  for (int64_t k = 0; k < zg_call_kept(call, kept); k++)
    used[kept[k].axis] = true;
}

static axis_table make_axes(const zg_run *run) {
  axis_table table = {.count = 0};
  bool used[ZG_AXES] = {false};
  for (int64_t k = 0; k < run->call_count; k++)
    mark_axes(&run->calls[k], used);
  for (int axis = 0; axis < ZG_AXES; axis++) {
    table.place[axis] = -1;
    if (used[axis]) add_axis(run->zoo, (zg_axis)axis, &table);
  }
  return table;
}

static void destroy_axes(axis_table *table) {
  for (int64_t a = 0; a < table->count; a++) {
    for (int64_t k = 0; k < table->labels[a].count; k++)
      free(table->labels[a].labels[k]);
    free((void *)table->labels[a].labels);
  }
}

/* Samples along the further axes of what a call keeps. */
static int64_t kept_length(const zg_run *run, int64_t call) {
  const zg_pass *pass = &run->plan->passes[run->plan->pass_of_call[call]];
  int64_t most = 0;
  for (int64_t g = 0; g < pass->group_count; g++)
    most = zg_max(most, pass->groups[g].length);
  return most;
}

static zg_kept_layout *make_kept(const zg_run *run, int64_t call,
                                 const axis_table *axes, int64_t *count) {
  zg_kept kept[ZG_MAX_KEPT];
  *count = zg_call_kept(&run->calls[call], kept);
  zg_kept_layout *layout = ZG_NEW0(zg_kept_layout, *count);
  for (int64_t k = 0; k < *count; k++) {
    layout[k] = (zg_kept_layout){.name = kept[k].name,
                                 .meaning = kept[k].meaning,
                                 .axis = axes->place[kept[k].axis],
                                 .pairs = kept[k].shape == ZG_KEPT_PAIRS};
    if (!layout[k].pairs) layout[k].extra = (int)kept[k].shape;
    if (layout[k].extra) layout[k].length = kept_length(run, call);
  }
  return layout;
}

static zg_tensor_layout *make_tensors(const zg_run *run, const axis_table *axes) {
  zg_tensor_layout *tensors = ZG_NEW0(zg_tensor_layout, run->call_count);
  for (int64_t k = 0; k < run->call_count; k++) {
    const zg_call *call = &run->calls[k];
    tensors[k] = (zg_tensor_layout){.name = call->name,
                                    .axis = axes->place[zg_call_axis(call)],
                                    .attributes = tensor_attributes(call)};
    tensors[k].kept = make_kept(run, k, axes, &tensors[k].kept_count);
  }
  return tensors;
}

static void destroy_tensors(zg_tensor_layout *tensors, int64_t count) {
  for (int64_t k = 0; k < count; k++) {
    free((void *)tensors[k].attributes);
    free((void *)tensors[k].kept);
  }
  free(tensors);
}

/* The columns of /items, in arrays as the file wants them. */
typedef struct item_table {
  char **model, **layer;
  int64_t *n, *d;
} item_table;

static item_table make_items(const zg_zoo *zoo) {
  int64_t N = zoo->layer_count;
  item_table t = {.model = ZG_NEW(char *, N),
                  .layer = ZG_NEW(char *, N),
                  .n = ZG_NEW(int64_t, N),
                  .d = ZG_NEW(int64_t, N)};
  for (int64_t i = 0; i < N; i++) {
    const zg_array *layer = &zoo->arrays[i];
    t.model[i] = zoo->models[layer->model].name;
    t.layer[i] = layer->name;
    t.n[i] = zg_zoo_rows(zoo, layer);
    t.d[i] = layer->d;
  }
  return t;
}

static void destroy_items(item_table *t) {
  free(t->model);
  free(t->layer);
  free(t->n);
  free(t->d);
}

zg_status zg_output_create(const zg_run *run, zg_results **results) {
  item_table items = make_items(run->zoo);
  axis_table axes = make_axes(run);
  zg_tensor_layout *tensors = make_tensors(run, &axes);
  const char *meanings[ZG_CODES];
  for (int k = 0; k < ZG_CODES; k++)
    meanings[k] = zg_code_meaning((zg_code)k);
  const zg_item_column columns[] = {{.name = "model", .texts = items.model},
                                    {.name = "layer", .texts = items.layer},
                                    {.name = "n", .numbers = items.n},
                                    {.name = "d", .numbers = items.d},
                                    {.name = NULL}};
  int64_t item_axis = axes.place[ZG_AXIS_ITEM];
  const zg_results_layout layout = {.attributes = run->attributes,
                                    .axes = axes.labels,
                                    .axis_count = axes.count,
                                    .tensors = tensors,
                                    .tensor_count = run->call_count,
                                    .columns = item_axis >= 0 ? columns : NULL,
                                    .column_axis = item_axis,
                                    .float32 = run->float32,
                                    .code_meanings = meanings,
                                    .code_count = ZG_CODES};
  zg_status status = zg_results_create(run->comm, run->output, &layout, results);
  destroy_tensors(tensors, run->call_count);
  destroy_axes(&axes);
  destroy_items(&items);
  return status;
}
