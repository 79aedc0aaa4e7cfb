#include "zoo/data.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const zg_data_form forms[ZG_DATA] = {
    [ZG_ACTIVATIONS] = {.name = "activations",
                        .group = "activations",
                        .word = "layer",
                        .axes = "[n, ...]",
                        .least = 1,
                        .most = ZG_MAX_DIMS,
                        .by_layer = true,
                        .sampled = true},
    [ZG_WEIGHTS] = {.name = "weights",
                    .group = "weights",
                    .word = "parameter",
                    .axes = "[...]",
                    .most = ZG_MAX_DIMS},
    [ZG_GRADIENTS] = {.name = "gradients",
                      .group = "gradients",
                      .word = "gradient",
                      .axes = "[p]",
                      .least = 1,
                      .most = 1},
    [ZG_SAMPLE_GRADIENTS] = {.name = "sample_gradients",
                             .group = "sample_gradients",
                             .axes = "[m, p]",
                             .least = 2,
                             .most = 2},
    [ZG_JACOBIAN] = {.name = "jacobian",
                     .group = "jacobian",
                     .axes = "[m, C, p]",
                     .least = 3,
                     .most = 3},
    [ZG_NTK_INPUT] = {.name = "ntk/input",
                      .group = "ntk",
                      .member = "input",
                      .word = "layer",
                      .axes = "[m, in] or [m, S, in]",
                      .least = 2,
                      .most = 3},
    [ZG_NTK_INDEX] = {.name = "ntk/index",
                      .group = "ntk",
                      .member = "index",
                      .word = "layer",
                      .axes = "[m, S]",
                      .least = 2,
                      .most = 2,
                      .holds = ZG_HOLDS_INTEGERS,
                      .positive = true},
    [ZG_NTK_SIGNAL] = {.name = "ntk/signal",
                       .group = "ntk",
                       .member = "signal",
                       .word = "layer",
                       .axes = "[m, C, out] or [m, C, S, out]",
                       .least = 3,
                       .most = 4},
    [ZG_NTK_DIRECT] = {.name = "ntk/direct",
                       .group = "ntk",
                       .member = "direct",
                       .word = "layer",
                       .axes = "[m, C, q]",
                       .least = 3,
                       .most = 3},
    [ZG_LOGITS] = {.name = "logits",
                   .group = "logits",
                   .axes = "[n, C]",
                   .least = 2,
                   .most = 2,
                   .sampled = true},
    [ZG_SHARPNESS] = {.name = "sharpness",
                      .group = "sharpness",
                      .axes = "[radii, batches]",
                      .least = 2,
                      .most = 2},
    [ZG_MARGIN_GRADIENTS] = {.name = "margin_gradients",
                             .group = "margin_gradients",
                             .axes = "[n, C]",
                             .least = 2,
                             .most = 2,
                             .sampled = true,
                             .gaps = true,
                             .positive = true},
    [ZG_ATTENTION] = {.name = "attention",
                      .group = "attention",
                      .word = "attention",
                      .axes = "[n, heads, queries, keys]",
                      .least = 4,
                      .most = 4,
                      .by_layer = true,
                      .sampled = true,
                      .positive = true,
                      .shares = 1},
    [ZG_HEAD_IMPORTANCE] = {.name = "head_importance",
                            .group = "head_importance",
                            .word = "head_importance",
                            .axes = "[heads]",
                            .least = 1,
                            .most = 1,
                            .by_layer = true},
    [ZG_CROSS_ATTENTION] = {.name = "cross_attention",
                            .group = "cross_attention",
                            .word = "cross_attention",
                            .axes = "[n, tokens, h, w]",
                            .least = 4,
                            .most = 4,
                            .by_layer = true,
                            .sampled = true,
                            .positive = true,
                            .shares = 2},
    [ZG_MAPS] = {.name = "maps",
                 .group = "maps",
                 .word = "map",
                 .axes = "[n, 2 or 3]",
                 .least = 2,
                 .most = 2,
                 .narrow = 2,
                 .wide = 3,
                 .by_layer = true,
                 .sampled = true},
    [ZG_GRAPH_OP] = {.name = "graph/op",
                     .group = "graph/op",
                     .axes = "[nodes]",
                     .least = 1,
                     .most = 1,
                     .holds = ZG_HOLDS_STRINGS},
    [ZG_GRAPH_EDGE] = {.name = "graph/edge",
                       .group = "graph/edge",
                       .axes = "[edges, 2]",
                       .least = 2,
                       .most = 2,
                       .narrow = 2,
                       .wide = 2,
                       .holds = ZG_HOLDS_INTEGERS,
                       .empty = true,
                       .positive = true}};

static const char *const kinds[] = {
    [ZG_WEIGHT_LINEAR] = "linear", [ZG_WEIGHT_CONV] = "conv",
    [ZG_WEIGHT_NORM] = "norm",     [ZG_WEIGHT_EMBEDDING] = "embedding",
    [ZG_WEIGHT_BIAS] = "bias",     [ZG_WEIGHT_OTHER] = "other"};

const zg_data_form *zg_data_form_of(zg_data data) {
  return &forms[data];
}

const char *zg_data_name(zg_data data) {
  return forms[data].name;
}

const char *zg_weight_kind_name(zg_weight_kind kind) {
  return kinds[kind];
}

bool zg_weight_kind_of(const char *word, zg_weight_kind *kind) {
  for (int k = 0; k < ZG_WEIGHT_KINDS; k++)
    if (!strcmp(word, kinds[k])) {
      *kind = (zg_weight_kind)k;
      return true;
    }
  return false;
}

void zg_data_path(const zg_zoo *zoo, const zg_array *array, zg_text *path) {
  const zg_data_form *form = &forms[array->data];
  zg_text_add(path, "/models/%s/%s", zoo->models[array->model].name, form->group);
  if (form->word) zg_text_add(path, "/%s", array->name);
  if (form->member) zg_text_add(path, "/%s", form->member);
}

char *zg_zoo_where(const zg_zoo *zoo, int64_t index) {
  const zg_array *array = &zoo->arrays[index];
  const zg_data_form *form = &forms[array->data];
  const zg_model *model = &zoo->models[array->model];
  zg_text where = {0};
  zg_text_add(&where, "%s: model '%s', ", zoo->files[model->file].path, model->name);
  if (form->word)
    zg_text_add(&where, "%s '%s'", form->word, array->name);
  else
    zg_text_add(&where, "%s", form->name);
  if (form->member) zg_text_add(&where, ", %s", form->name);
  return where.data;
}

zg_status zg_array_fail(const zg_zoo *zoo, int64_t array, const char *format, ...) {
  char *where = zg_zoo_where(zoo, array), what[ZG_MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  zg_fail(ZG_ERR_DATA, "%s: %s", where, what);
  free(where);
  return ZG_ERR_DATA;
}
