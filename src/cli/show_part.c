#include "base/memory.h"
#include "cli/show.h"
#include "engine/part.h"
#include "job/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The part of one shard, what its job would give, and which others lie beside it. */
typedef struct shown {
  zg_shard_part *part;
  zg_job *job;      /* NULL where this program cannot read it */
  double bytes;     /* of the file */
  int64_t *missing; /* [missing_count] shards whose parts do not; owned */
  int64_t missing_count;
  bool named; /* as run has named it, so that the others can be looked for */
} shown;

static void look_beside(shown *s) {
  int64_t count = s->part->shard.count;
  s->missing = ZG_NEW(int64_t, count);
  s->named = true;
  for (int64_t number = 1; s->named && number <= count; number++) {
    char *path = zg_part_beside(s->part, number);
    s->named = path != NULL;
    if (path && access(path, F_OK) != 0) s->missing[s->missing_count++] = number;
    free(path);
  }
}

static zg_status look(const char *path, shown *s) {
  struct stat entry;
  *s = (shown){0};
  ZG_TRY(zg_part_read(path, &s->part));
  s->bytes = stat(path, &entry) == 0 ? (double)entry.st_size : 0;
  if (zg_job_parse(s->part->job_path, s->part->job_text, &s->job) != ZG_OK)
    s->job = NULL; /* of another version, with measures that this one lacks */
  look_beside(s);
  return ZG_OK;
}

static void clear(shown *s) {
  free(s->missing);
  zg_job_destroy(&s->job);
  zg_part_destroy(&s->part);
}

/* ---- as text ---- */

static void print_beside(const shown *s) {
  enum { NAMED = 10 };
  long long count = s->part->shard.count, missing = s->missing_count;
  if (!s->named) return;
  if (!missing) {
    printf("  beside it  the parts of all %lld shards: ready for zoogram merge\n",
           count);
    return;
  }
  printf("  beside it  parts of %lld of %lld shards; missing", count - missing, count);
  for (int64_t k = 0; k < zg_min(missing, NAMED); k++)
    printf("%s %lld", k ? "," : "", (long long)s->missing[k]);
  if (missing > NAMED) printf(" and %lld more", missing - NAMED);
  printf("\n");
}

static void print_head(const shown *s) {
  const zg_shard_part *part = s->part;
  char bytes[ZG_UNIT_BYTES];
  printf("%s: the part of shard %lld of %lld, complete\n", part->path,
         (long long)part->shard.number, (long long)part->shard.count);
  printf("  job        %s\n", part->job_path);
  printf("  plan       ");
  zg_print_wrapped(part->plan, 13);
  printf("  sums       of %lld pass%s, %s\n", (long long)part->segment_count,
         part->segment_count == 1 ? "" : "es", zg_format_bytes(bytes, s->bytes));
  printf("  written    by zoogram %s\n", part->version);
  print_beside(s);
}

/* "kernel=linear estimator=debiased". */
static void add_options(zg_table *table, const zg_call *call) {
  char value[ZG_VALUE_BYTES];
  zg_text text = {0};
  for (int64_t k = 0; k < zg_option_count(call->measure); k++)
    if (zg_option_in_effect(call, k))
      zg_text_add(&text, "%s%s=%s", text.length ? " " : "",
                  call->measure->options[k].name, zg_option_print(call, k, value));
  zg_table_add(table, "%s", zg_text_get(&text));
  zg_text_clear(&text);
}

static void print_tensors(const zg_job *job) {
  static const char *const head[] = {"tensor", "measure", "kind",
                                     "axis",   "options", NULL};
  zg_table table = {.align = "lllll"};
  zg_table_add_row(&table, head);
  for (int64_t k = 0; k < job->call_count; k++) {
    const zg_call *call = &job->calls[k];
    zg_table_add(&table, "%s", call->name);
    zg_table_add(&table, "%s", call->measure->name);
    zg_table_add(&table, "%s", zg_kind_name(call->measure->kind));
    zg_table_add(&table, "%s", zg_axis_name(zg_call_axis(call)));
    add_options(&table, call);
  }
  printf("\n");
  zg_table_print(&table, 0);
}

/* ---- as JSON ---- */

static json_t *options_json(const zg_call *call) {
  char value[ZG_VALUE_BYTES];
  json_t *json = json_object();
  for (int64_t k = 0; k < zg_option_count(call->measure); k++)
    if (zg_option_in_effect(call, k))
      json_object_set_new(json, call->measure->options[k].name,
                          zg_json_value(zg_option_print(call, k, value)));
  return json;
}

static json_t *tensors_json(const zg_job *job) {
  if (!job) return json_null();
  json_t *tensors = json_array();
  for (int64_t k = 0; k < job->call_count; k++) {
    const zg_call *call = &job->calls[k];
    json_array_append_new(tensors, json_pack("{s:o, s:s, s:s, s:s, s:b, s:o}", "name",
                                             zg_json_text(call->name), "axis",
                                             zg_axis_name(zg_call_axis(call)),
                                             "measure", call->measure->name, "kind",
                                             zg_kind_name(call->measure->kind),
                                             "symmetric", call->measure->symmetric,
                                             "options", options_json(call)));
  }
  return tensors;
}

static json_t *missing_json(const shown *s) {
  if (!s->named) return json_null();
  json_t *missing = json_array();
  for (int64_t k = 0; k < s->missing_count; k++)
    json_array_append_new(missing, json_integer(s->missing[k]));
  return missing;
}

static void print_json(const shown *s) {
  const zg_shard_part *part = s->part;
  zg_json_print(
      json_pack("{s:o, s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:s, s:I, s:o, s:o}",
                "file", zg_json_text(part->path), "format", "zoogram-part", "complete",
                true, "shard", (json_int_t)part->shard.number, "shards",
                (json_int_t)part->shard.count, "zoogram_version",
                zg_json_text(part->version), "job_path", zg_json_text(part->job_path),
                "job", zg_json_text(part->job_text), "plan", zg_json_text(part->plan),
                "job_digest", part->digest, "passes", (json_int_t)part->segment_count,
                "missing", missing_json(s), "tensors", tensors_json(s->job)));
}

zg_status zg_show_part(const char *path, bool json) {
  shown s;
  ZG_TRY(look(path, &s));
  if (json) {
    print_json(&s);
  } else {
    print_head(&s);
    if (s.job)
      print_tensors(s.job);
    else
      printf("\nits job cannot be read by this version: %s\n", zg_message());
  }
  clear(&s);
  return ZG_OK;
}
