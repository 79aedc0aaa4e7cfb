#include "job/job.h"

#include "base/memory.h"
#include "job/calls.h"
#include "job/document.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_FILE = 1 << 20 };

typedef struct job_key job_key;

/* Check a value and store it in the job. */
typedef zg_status setter(const zg_document *document, const job_key *key,
                         const zg_node *node, zg_job *job);

/* A key of the job file: a row of a table. */
struct job_key {
  const char *name;
  const char *expected; /* in words, for messages */
  setter *set;
  size_t field;           /* offset in zg_job */
  const char *choices[2]; /* of a flag: the words for false and true */
  bool required;
};

static void *field_of(const job_key *key, zg_job *job) {
  return (char *)job + key->field;
}

static zg_status wrong(const zg_document *document, const job_key *key,
                       const zg_node *node) {
  char found[ZG_NODE_WORDS];
  return zg_document_fail(document, node, "'%s': expected %s, found %s", key->name,
                          key->expected, zg_node_describe(node, found));
}

enum { MAX_KEYS = 16 };

/* Read a mapping whose keys are the rows of a table. */
static zg_status read_table(const zg_document *document, const zg_node *map,
                            const job_key *table, int64_t count, const char *owner,
                            zg_job *job) {
  const char *names[MAX_KEYS] = {NULL};
  int64_t place[MAX_KEYS];
  for (int64_t k = 0; k < count; k++)
    names[k] = table[k].name;
  ZG_TRY(zg_document_find_keys(document, map, "key", owner, names, count, place));
  for (int64_t k = 0; k < count; k++) {
    if (place[k] >= 0)
      ZG_TRY(table[k].set(document, &table[k], zg_node_item(document, map, place[k]),
                          job));
    else if (table[k].required)
      return zg_document_fail(document, map, "'%s' is missing: expected %s", names[k],
                              table[k].expected);
  }
  return ZG_OK;
}

static zg_status set_texts(const zg_document *document, const job_key *key,
                           const zg_node *node, zg_job *job) {
  if (zg_node_type_of(node) != ZG_NODE_LIST || !zg_node_count(node))
    return wrong(document, key, node);
  for (int64_t k = 0; k < zg_node_count(node); k++) {
    const zg_node *item = zg_node_item(document, node, k);
    if (!zg_node_as_text(item)) return wrong(document, key, item);
    zg_list_add(field_of(key, job), zg_node_as_text(item));
  }
  return ZG_OK;
}

/* A path below the directory of the job. */
static zg_status set_path(const zg_document *document, const job_key *key,
                          const zg_node *node, zg_job *job) {
  const char *path = zg_node_as_text(node);
  if (!path || path[strlen(path) - 1] == '/') return wrong(document, key, node);
  *(char **)field_of(key, job) = zg_path_join(job->directory, path);
  return ZG_OK;
}

static zg_status set_flag(const zg_document *document, const job_key *key,
                          const zg_node *node, zg_job *job) {
  for (int k = 0; k < 2; k++)
    if (!strcmp(zg_node_scalar(node), key->choices[k])) {
      *(bool *)field_of(key, job) = k;
      return ZG_OK;
    }
  return wrong(document, key, node);
}

/* A whole number that a double holds exactly. */
static bool as_count(const zg_node *node, int64_t least, int64_t *count) {
  double value;
  if (!zg_node_as_number(node, &value) || value != floor(value)) return false;
  if (value < (double)least || value > 0x1p53) return false;
  *count = (int64_t)value;
  return true;
}

static zg_status set_count(const zg_document *document, const job_key *key,
                           const zg_node *node, zg_job *job) {
  return as_count(node, 0, field_of(key, job)) ? ZG_OK : wrong(document, key, node);
}

static zg_status set_seconds(const zg_document *document, const job_key *key,
                             const zg_node *node, zg_job *job) {
  double value;
  if (!zg_node_as_number(node, &value) || value <= 0) return wrong(document, key, node);
  *(double *)field_of(key, job) = value;
  return ZG_OK;
}

static zg_status set_team(const zg_document *document, const job_key *key,
                          const zg_node *node, zg_job *job) {
  int64_t *team = field_of(key, job);
  if (!strcmp(zg_node_scalar(node), "auto"))
    *team = ZG_TEAM_AUTO;
  else if (!strcmp(zg_node_scalar(node), "all"))
    *team = ZG_TEAM_ALL;
  else if (!as_count(node, 1, team))
    return wrong(document, key, node);
  return ZG_OK;
}

static zg_status set_bytes(const zg_document *document, const job_key *key,
                           const zg_node *node, zg_job *job) {
  const char *text = zg_node_scalar(node);
  int64_t *bytes = field_of(key, job);
  if (!strcmp(text, "auto"))
    *bytes = 0;
  else if (!zg_parse_bytes(text, bytes) || !*bytes) /* less than a byte is not "auto" */
    return wrong(document, key, node);
  return ZG_OK;
}

static const job_key select_keys[] = {
    {.name = "models",
     .expected = "a list of shell patterns, such as [\"resnet*\"]",
     .set = set_texts,
     .field = offsetof(zg_job, select.models)},
    {.name = "layers",
     .expected = "a list of shell patterns, such as [\"conv*\"]",
     .set = set_texts,
     .field = offsetof(zg_job, select.layers)},
    {.name = "samples",
     .expected = "a whole number >= 0 (0: all samples)",
     .set = set_count,
     .field = offsetof(zg_job, select.samples)},
};
enum { SELECT_KEYS = sizeof select_keys / sizeof *select_keys };

static zg_status set_select(const zg_document *document, const job_key *key,
                            const zg_node *node, zg_job *job) {
  zg_node_type type = zg_node_type_of(node);
  if (type == ZG_NODE_EMPTY) return ZG_OK;
  if (type != ZG_NODE_MAPPING) return wrong(document, key, node);
  return read_table(document, node, select_keys, SELECT_KEYS, " of select", job);
}

static zg_status set_measures(const zg_document *document, const job_key *key,
                              const zg_node *node, zg_job *job) {
  if (zg_node_type_of(node) != ZG_NODE_LIST || !zg_node_count(node))
    return wrong(document, key, node);
  return zg_calls_read(document, node, job);
}

static const job_key keys[] = {
    {.name = "zoo",
     .expected = "a list of paths or globs, such as [zoo.h5]",
     .set = set_texts,
     .field = offsetof(zg_job, zoo),
     .required = true},
    {.name = "output",
     .expected = "the path of a file, such as results.h5",
     .set = set_path,
     .field = offsetof(zg_job, output),
     .required = true},
    {.name = "select", .expected = "models, layers or samples", .set = set_select},
    {.name = "precision",
     .expected = "single or double",
     .set = set_flag,
     .field = offsetof(zg_job, double_precision),
     .choices = {"single", "double"}},
    {.name = "storage",
     .expected = "float64 or float32",
     .set = set_flag,
     .field = offsetof(zg_job, float32_storage),
     .choices = {"float64", "float32"}},
    {.name = "team_size",
     .expected = "auto, all or a number of ranks >= 1",
     .set = set_team,
     .field = offsetof(zg_job, team_size)},
    {.name = "memory_per_rank",
     .expected = "auto or a size such as 2GiB",
     .set = set_bytes,
     .field = offsetof(zg_job, memory_per_rank)},
    {.name = "checkpoint",
     .expected = "a number of seconds > 0",
     .set = set_seconds,
     .field = offsetof(zg_job, checkpoint)},
    {.name = "digest",
     .expected = "sample or full",
     .set = set_flag,
     .field = offsetof(zg_job, full_digest),
     .choices = {"sample", "full"}},
    {.name = "measures",
     .expected = "a list of entries such as 'measure: cka'",
     .set = set_measures,
     .required = true},
};
enum { KEYS = sizeof keys / sizeof *keys };

/* What holds when a key is absent; everything else is zero. */
static const zg_job defaults = {.team_size = ZG_TEAM_AUTO, .checkpoint = 60};

static zg_status check_text(const char *path, const char *text, size_t length) {
  if (length > LARGEST_FILE)
    return zg_fail(ZG_ERR_JOB, "%s:1: larger than 1 MiB: this is no job file", path);
  if (strlen(text) == length) return ZG_OK;
  int line = 1;
  for (const char *c = text; *c; c++)
    line += *c == '\n';
  return zg_fail(ZG_ERR_JOB, "%s:%d: a zero byte: expected text", path, line);
}

zg_status zg_job_read(const char *path, char **text) {
  *text = NULL;
  FILE *file = fopen(path, "r");
  if (!file) return zg_fail(ZG_ERR_INPUT, "%s: %s", path, strerror(errno));
  char *buffer = ZG_NEW(char, LARGEST_FILE + 2);
  size_t length = fread(buffer, 1, LARGEST_FILE + 1, file);
  zg_status status = ZG_OK;
  buffer[length] = 0;
  if (ferror(file))
    status = zg_fail(ZG_ERR_INPUT, "%s: %s", path, strerror(errno));
  else
    status = check_text(path, buffer, length);
  fclose(file);
  if (status == ZG_OK) *text = zg_strdup(buffer);
  free(buffer);
  return status;
}

static zg_status read_root(const zg_document *document, zg_job *job) {
  const zg_node *root = zg_document_root(document);
  zg_node_type type = zg_node_type_of(root);
  if (type == ZG_NODE_EMPTY)
    return zg_document_fail(document, root, "the file is empty");
  if (type != ZG_NODE_MAPPING)
    return zg_document_fail(document, root,
                            "expected keys such as 'zoo:' and 'measures:'");
  return read_table(document, root, keys, KEYS, "", job);
}

zg_status zg_job_parse(const char *path, const char *text, zg_job **job) {
  zg_document *document;
  *job = NULL;
  ZG_TRY(zg_document_load(path, text, &document));
  *job = ZG_NEW(zg_job, 1);
  **job = defaults;
  (*job)->path = zg_strdup(path);
  (*job)->directory = zg_directory(path);
  (*job)->text = zg_strdup(text);
  zg_status status = read_root(document, *job);
  zg_document_destroy(&document);
  if (status != ZG_OK) zg_job_destroy(job);
  return status;
}

void zg_job_destroy(zg_job **job) {
  zg_job *j = *job;
  if (!j) return;
  for (int64_t k = 0; k < j->call_count; k++)
    free(j->calls[k].name);
  free(j->calls);
  zg_list_clear(&j->zoo);
  zg_list_clear(&j->select.models);
  zg_list_clear(&j->select.layers);
  free(j->path);
  free(j->directory);
  free(j->text);
  free(j->output);
  free(j);
  *job = NULL;
}

/* No patterns mean the same as the pattern that everything matches. */
static void add_patterns(zg_hash *hash, const zg_list *patterns) {
  zg_hash_add_int(hash, zg_max(patterns->count, 1));
  if (!patterns->count) zg_hash_add_text(hash, "*");
  for (int64_t k = 0; k < patterns->count; k++)
    zg_hash_add_text(hash, patterns->items[k]);
}

static void add_call(zg_hash *hash, const zg_call *call) {
  zg_hash_add_text(hash, call->measure->name);
  zg_hash_add_text(hash, call->name);
  for (int64_t k = 0; k < zg_option_count(call->measure); k++) {
    if (!zg_option_in_effect(call, k)) continue;
    zg_hash_add_text(hash, call->measure->options[k].name);
    zg_hash_add(hash, &call->values[k], sizeof call->values[k]);
    if (call->measure->options[k].type == ZG_OPTION_LIST)
      zg_hash_add(hash, call->list, (size_t)call->values[k] * sizeof *call->list);
  }
}

void zg_job_digest(const zg_job *job, char digest[ZG_DIGEST_BYTES]) {
  zg_hash *hash = zg_hash_create();
  add_patterns(hash, &job->select.models);
  add_patterns(hash, &job->select.layers);
  zg_hash_add_int(hash, job->select.samples);
  zg_hash_add_int(hash, job->double_precision);
  zg_hash_add_int(hash, job->float32_storage);
  zg_hash_add_int(hash, job->call_count);
  for (int64_t k = 0; k < job->call_count; k++)
    add_call(hash, &job->calls[k]);
  zg_hash_finish(&hash, digest);
}
