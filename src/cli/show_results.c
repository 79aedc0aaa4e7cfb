#include "base/memory.h"
#include "cli/heatmap.h"
#include "cli/show.h"
#include "measures/measure.h"
#include "results/read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether an attribute "key=value" is an option of the tensor's measure. */
static bool is_option(const zg_tensor_info *info, const char *attribute) {
  const zg_measure *measure = zg_measure_find(info->measure);
  for (int64_t k = 0; measure && k < zg_option_count(measure); k++) {
    size_t length = strlen(measure->options[k].name);
    if (!strncmp(attribute, measure->options[k].name, length) &&
        attribute[length] == '=')
      return true;
  }
  return false;
}

static const char *code_name(int code) {
  return code < ZG_CODES ? zg_code_meaning((zg_code)code) : "unknown";
}

/* "kernel=linear estimator=debiased". */
static void add_options(zg_table *table, const zg_tensor_info *info) {
  zg_text text = {0};
  for (int64_t k = 0; k < info->attributes.count; k++)
    if (is_option(info, info->attributes.items[k]))
      zg_text_add(&text, "%s%s", text.length ? " " : "", info->attributes.items[k]);
  zg_table_add(table, "%s", zg_text_get(&text));
  zg_text_clear(&text);
}

/* "3 zero_variance, 1 nonfinite_input", or "-". */
static void add_counts(zg_table *table, const int64_t *counts) {
  zg_text text = {0};
  for (int code = ZG_CODE_OK + 1; code < ZG_CODE_VALUES; code++)
    if (counts[code])
      zg_text_add(&text, "%s%lld %s", text.length ? ", " : "", (long long)counts[code],
                  code_name(code));
  zg_table_add(table, "%s", text.length ? zg_text_get(&text) : "-");
  zg_text_clear(&text);
}

static zg_status print_list(const char *path, const zg_results_info *info) {
  static const char *const head[] = {"tensor", "measure", "kind", "shape",
                                     "not ok", "options", NULL};
  zg_table table = {.align = "llllll"};
  int64_t counts[ZG_CODE_VALUES];
  zg_table_add_row(&table, head);
  for (int64_t k = 0; k < info->tensor_count; k++) {
    const zg_tensor_info *tensor = &info->tensors[k];
    zg_status status = zg_tensor_count_codes(path, tensor->name, counts);
    if (status != ZG_OK) {
      zg_list_clear(&table.cells);
      return status;
    }
    zg_table_add(&table, "%s", tensor->name);
    zg_table_add(&table, "%s", tensor->measure);
    zg_table_add(&table, "%s", tensor->kind);
    zg_table_add(&table, "%lld x %lld", (long long)tensor->rows,
                 (long long)tensor->columns);
    add_counts(&table, counts);
    add_options(&table, tensor);
  }
  zg_table_print(&table, 0);
  printf("\n%s by zoogram %s\n",
         info->complete ? "complete, written" : "NOT complete, written", info->version);
  return ZG_OK;
}

static json_t *attributes_json(const zg_list *attributes) {
  json_t *json = json_object();
  for (int64_t k = 0; k < attributes->count; k++) {
    char *key = zg_strdup(attributes->items[k]);
    char *equals = strchr(key, '=');
    *equals = 0;
    json_object_set_new(json, key, zg_json_value(equals + 1));
    free(key);
  }
  return json;
}

static json_t *counts_json(const int64_t *counts) {
  json_t *json = json_object();
  for (int code = 0; code < ZG_CODE_VALUES; code++)
    if (counts[code])
      json_object_set_new(json, code_name(code), json_integer(counts[code]));
  return json;
}

static json_t *tensor_json(const zg_tensor_info *info) {
  return json_pack("{s:o, s:o, s:o, s:o, s:b, s:[I, I], s:o}", "name",
                   zg_json_text(info->name), "axis", zg_json_text(info->axis),
                   "measure", zg_json_text(info->measure), "kind",
                   zg_json_text(info->kind), "symmetric", info->symmetric, "shape",
                   (json_int_t)info->rows, (json_int_t)info->columns, "attributes",
                   attributes_json(&info->attributes));
}

static zg_status print_list_json(const char *path, const zg_results_info *info) {
  json_t *tensors = json_array();
  zg_status status = ZG_OK;
  int64_t counts[ZG_CODE_VALUES];
  for (int64_t k = 0; k < info->tensor_count && status == ZG_OK; k++) {
    json_t *tensor = tensor_json(&info->tensors[k]);
    status = zg_tensor_count_codes(path, info->tensors[k].name, counts);
    json_object_set_new(tensor, "status_counts", counts_json(counts));
    json_array_append_new(tensors, tensor);
  }
  json_t *root = json_pack("{s:o, s:s, s:b, s:o, s:o, s:o}", "file", zg_json_text(path),
                           "format", "zoogram-results", "complete", info->complete,
                           "zoogram_version", zg_json_text(info->version), "job",
                           zg_json_text(info->job), "tensors", tensors);
  if (status == ZG_OK)
    zg_json_print(root);
  else
    json_decref(root);
  return status;
}

static void print_tensor_json(const zg_tensor_info *info, const zg_tensor *tensor) {
  json_t *root = tensor_json(info), *values = json_array(), *codes = json_array();
  for (int64_t i = 0; i < tensor->rows; i++) {
    json_t *value_row = json_array(), *code_row = json_array();
    for (int64_t k = i * tensor->columns; k < (i + 1) * tensor->columns; k++) {
      json_array_append_new(value_row, zg_json_number(tensor->values[k]));
      json_array_append_new(code_row, json_integer(tensor->codes[k]));
    }
    json_array_append_new(values, value_row);
    json_array_append_new(codes, code_row);
  }
  json_object_set_new(root, "rows", zg_json_list(&tensor->row_names));
  json_object_set_new(root, "columns", zg_json_list(&tensor->column_names));
  json_object_set_new(root, "values", values);
  json_object_set_new(root, "status", codes);
  zg_json_print(root);
}

/* Four decimals where they say enough, else four digits. */
static void add_value(zg_table *table, double value) {
  double size = fabs(value);
  bool plain = size == 0 || (size >= 1e-3 && size < 1e4);
  zg_table_add(table, plain ? "%.4f" : "%.3e", value);
}

/* Print the numbers, if all columns fit the terminal. */
static void print_numbers(const zg_tensor *tensor, int columns) {
  enum { NARROWEST = 8 };
  if (tensor->columns * NARROWEST > columns) return;
  char *align = ZG_NEW(char, tensor->columns + 3);
  memset(align, 'r', (size_t)tensor->columns + 2);
  align[1] = 'l', align[tensor->columns + 2] = 0;
  zg_table table = {.align = align};
  zg_table_add(&table, "#");
  zg_table_add(&table, "row");
  for (int64_t j = 0; j < tensor->columns; j++)
    zg_table_add(&table, "%lld", (long long)j + 1);
  for (int64_t i = 0; i < tensor->rows; i++) {
    zg_table_add(&table, "%lld", (long long)i + 1);
    zg_table_add(&table, "%s", tensor->row_names.items[i]);
    for (int64_t j = 0; j < tensor->columns; j++)
      add_value(&table, tensor->values[i * tensor->columns + j]);
  }
  if (zg_table_width(&table) <= columns) {
    zg_table_print(&table, 0);
    printf("\n");
  }
  zg_list_clear(&table.cells);
  free(align);
}

static void print_head(const zg_tensor_info *info) {
  printf("%s: %s, %s, %lld x %lld%s\n", info->name, info->measure, info->kind,
         (long long)info->rows, (long long)info->columns,
         info->symmetric ? ", symmetric" : ", not symmetric");
  for (int64_t k = 0; k < info->attributes.count; k++) {
    const char *attribute = info->attributes.items[k];
    int key = (int)strcspn(attribute, "=");
    printf("  %-10.*s ", key, attribute);
    zg_print_wrapped(attribute + key + 1, (int)zg_max(13, key + 3));
  }
  printf("\n");
}

static bool has_code(const zg_tensor *tensor, bool symmetric, int64_t k, int code) {
  bool twin = symmetric && k / tensor->columns > k % tensor->columns;
  return tensor->codes[k] == code && !twin;
}

/* The pairs of one code, with some of them by name. */
static void print_code(const zg_tensor *tensor, bool symmetric, int code) {
  enum { EXAMPLES = 5 };
  int64_t count = 0, shown = 0;
  for (int64_t k = 0; k < tensor->rows * tensor->columns; k++)
    count += has_code(tensor, symmetric, k, code);
  if (!count) return;
  printf("%lld pair%s of status %d, %s:\n", (long long)count, count == 1 ? "" : "s",
         code, code_name(code));
  for (int64_t k = 0; shown < zg_min(count, EXAMPLES); k++) {
    if (!has_code(tensor, symmetric, k, code)) continue;
    printf("  %s, %s\n", tensor->row_names.items[k / tensor->columns],
           tensor->column_names.items[k % tensor->columns]);
    shown++;
  }
  if (count > EXAMPLES) printf("  and %lld more\n", (long long)(count - EXAMPLES));
}

static void print_tensor(const zg_tensor_info *info, const zg_tensor *tensor,
                         zg_colours colours) {
  int columns = zg_terminal_columns();
  print_head(info);
  print_numbers(tensor, columns);
  zg_heatmap_print(tensor, colours, columns);
  for (int code = ZG_CODE_OK + 1; code < ZG_CODE_VALUES; code++)
    print_code(tensor, info->symmetric, code);
}

static zg_status show_tensor(const char *path, const char *name,
                             const zg_results_info *info, bool json,
                             zg_colours colours) {
  zg_tensor *tensor;
  ZG_TRY(zg_tensor_read(path, name, &tensor));
  const zg_tensor_info *found = info->tensors;
  while (strcmp(found->name, name))
    found++;
  if (json)
    print_tensor_json(found, tensor);
  else
    print_tensor(found, tensor, colours);
  zg_tensor_destroy(&tensor);
  return ZG_OK;
}

zg_status zg_show_results(const char *path, const char *name, bool json,
                          zg_colours colours) {
  zg_results_info *info;
  zg_status status;
  ZG_TRY(zg_results_inspect(path, &info));
  if (name)
    status = show_tensor(path, name, info, json, colours);
  else
    status = json ? print_list_json(path, info) : print_list(path, info);
  zg_results_info_destroy(&info);
  return status;
}
