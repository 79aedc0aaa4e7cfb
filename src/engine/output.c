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
  if (option->type == ZG_OPTION_CHOICE)
    attribute.text = option->choices[(int)call->values[k]];
  return attribute;
}

static zg_attribute *tensor_attributes(const zg_call *call) {
  const zg_measure *m = call->measure;
  zg_attribute *a = ZG_NEW0(zg_attribute, COMMON_ATTRIBUTES + ZG_MAX_OPTIONS + 1);
  int64_t count = 0;
  a[count++] = (zg_attribute){.name = "measure", .text = m->name};
  a[count++] = (zg_attribute){
      .name = "kind", .text = m->kind == ZG_DISTANCE ? "distance" : "similarity"};
  a[count++] =
      (zg_attribute){.name = "symmetric", .number = m->symmetric, .integer = true};
  a[count++] = (zg_attribute){.name = "formula", .text = m->formula};
  a[count++] = (zg_attribute){.name = "reference", .text = m->reference};
  if (m->remark) a[count++] = (zg_attribute){.name = "remark", .text = m->remark};
  for (int64_t k = 0; k < zg_option_count(m); k++)
    if (zg_option_in_effect(call, k)) a[count++] = option_attribute(call, k);
  return a;
}

static bool keeps_median(const zg_call *call) {
  zg_gram_spec spec = call->measure->gram->spec(call);
  return spec.kernel == ZG_KERNEL_RBF && !spec.batch;
}

static zg_tensor_layout *make_tensors(const zg_run *run) {
  zg_tensor_layout *tensors = ZG_NEW0(zg_tensor_layout, run->call_count);
  for (int64_t k = 0; k < run->call_count; k++) {
    tensors[k] = (zg_tensor_layout){.name = run->calls[k].name,
                                    .attributes = tensor_attributes(&run->calls[k])};
    if (!keeps_median(&run->calls[k])) continue;
    tensors[k].kept = "median";
    tensors[k].kept_meaning = "median of all n^2 squared distances between samples";
  }
  return tensors;
}

/* The columns of /items, in arrays as the file wants them. */
typedef struct item_table {
  char **label, **model, **layer; /* label owned */
  int64_t *n, *d;
} item_table;

static item_table make_items(const zg_zoo *zoo) {
  int64_t N = zoo->layer_count;
  item_table t = {.label = ZG_NEW(char *, N),
                  .model = ZG_NEW(char *, N),
                  .layer = ZG_NEW(char *, N),
                  .n = ZG_NEW(int64_t, N),
                  .d = ZG_NEW(int64_t, N)};
  for (int64_t i = 0; i < N; i++) {
    const zg_layer *layer = &zoo->layers[i];
    t.label[i] = zg_zoo_item_name(zoo, i);
    t.model[i] = zoo->models[layer->model].name;
    t.layer[i] = layer->name;
    t.n[i] = zg_zoo_rows(zoo, layer);
    t.d[i] = layer->d;
  }
  return t;
}

static void destroy_items(item_table *t, int64_t N) {
  for (int64_t i = 0; i < N; i++)
    free(t->label[i]);
  free(t->label);
  free(t->model);
  free(t->layer);
  free(t->n);
  free(t->d);
}

zg_status zg_output_create(const zg_run *run, zg_results **results) {
  item_table items = make_items(run->zoo);
  zg_tensor_layout *tensors = make_tensors(run);
  const char *meanings[ZG_CODES];
  for (int k = 0; k < ZG_CODES; k++)
    meanings[k] = zg_code_meaning((zg_code)k);
  const zg_axis_labels axis = {.name = zg_axis_name(ZG_AXIS_ITEM),
                               .labels = items.label,
                               .count = run->zoo->layer_count};
  const zg_item_column columns[] = {{.name = "model", .texts = items.model},
                                    {.name = "layer", .texts = items.layer},
                                    {.name = "n", .numbers = items.n},
                                    {.name = "d", .numbers = items.d},
                                    {.name = NULL}};
  const zg_results_layout layout = {.attributes = run->attributes,
                                    .axes = &axis,
                                    .axis_count = 1,
                                    .tensors = tensors,
                                    .tensor_count = run->call_count,
                                    .columns = columns,
                                    .float32 = run->float32,
                                    .code_meanings = meanings,
                                    .code_count = ZG_CODES};
  zg_status status = zg_results_create(run->comm, run->output, &layout, results);
  for (int64_t k = 0; k < run->call_count; k++)
    free((void *)tensors[k].attributes);
  free(tensors);
  destroy_items(&items, run->zoo->layer_count);
  return status;
}
