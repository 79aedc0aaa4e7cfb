/** \file
 * A plan as text, as a line and as JSON. */
#include "base/text.h"
#include "plan/plan.h"

static const char *kernel_name(const zg_pass *pass) {
  return pass->spec.gram.kernel == ZG_KERNEL_RBF ? "rbf" : "linear";
}

static void print_gram(zg_text *text, const zg_pass *pass) {
  zg_text_add(text, "%s", kernel_name(pass));
  if (pass->spec.gram.kernel == ZG_KERNEL_RBF)
    zg_text_add(text, ", bandwidth %g", pass->spec.gram.bandwidth);
  if (pass->spec.gram.batch)
    zg_text_add(text, ", batches of %lld", (long long)pass->spec.gram.batch);
  if (pass->by_features)
    zg_text_add(text, ", by features, %lld samples at a time%s", (long long)pass->piece,
                pass->once ? ", read once" : "");
}

static void print_tangent(zg_text *text, const zg_pass *pass) {
  const zg_tangent_spec *spec = &pass->spec.tangent;
  zg_text_add(text, "tangent kernels of %lld models, %s", (long long)pass->items,
              spec->full ? "all class pairs" : "trace");
  if (spec->sketch) zg_text_add(text, ", sketches of %lld", (long long)spec->sketch);
  for (int64_t g = 0; g < pass->group_count; g++)
    zg_text_add(text, ", %lld rows in pieces of %lld samples",
                (long long)(pass->groups[g].length * pass->groups[g].width),
                (long long)pass->groups[g].piece);
}

/* What a pass is about, and what its tasks are called. */
static const char *print_subject(zg_text *text, const zg_pass *pass) {
  switch (pass->spec.form) {
  case ZG_FORM_GRAM:
    print_gram(text, pass);
    return pass->by_features ? "slice" : "tile";
  case ZG_FORM_TANGENT:
    print_tangent(text, pass);
    return "tile";
  case ZG_FORM_VECTOR:
    zg_text_add(text, "vectors of %lld %ss", (long long)pass->items,
                zg_axis_name(zg_call_axis(pass->call)));
    return "slice";
  case ZG_FORM_PROFILE:
    zg_text_add(text, "profiles of %lld %ss", (long long)pass->items,
                zg_axis_name(zg_call_axis(pass->call)));
    return "task";
  case ZG_FORM_PAIR:
    zg_text_add(text, "pairs of %lld %ss, %lld x %lld at a time",
                (long long)pass->items, zg_axis_name(zg_call_axis(pass->call)),
                (long long)pass->piece, (long long)pass->piece);
    return "block";
  }
  return "";
}

static void print_pass(zg_text *text, const zg_plan *plan, int64_t p) {
  const zg_pass *pass = &plan->passes[p];
  zg_text_add(text, "  pass %-8lld %s: ", (long long)p + 1, pass->call->measure->name);
  const char *task = print_subject(text, pass);
  if (pass->precision != plan->precision && pass->spec.form != ZG_FORM_PROFILE &&
      pass->spec.form != ZG_FORM_PAIR)
    zg_text_add(text, ", in double");
  zg_text_add(text, ": %lld %s%s\n", (long long)pass->tasks, task,
              pass->tasks == 1 ? "" : "s");
}

/* How Gram matrices are cut. */
static void print_tiles(zg_text *text, const zg_plan *plan) {
  zg_text_add(text, "  teams         %d of %d rank%s", plan->teams, plan->team_size,
              plan->team_size == 1 ? "" : "s");
  if (plan->idle) zg_text_add(text, ", %d idle", plan->idle);
  zg_text_add(
      text, "\n  tile          %lld x %lld samples, %lld panels%s, %lld kept%s\n",
      (long long)plan->tile, (long long)plan->tile, (long long)plan->panel_count,
      plan->packed ? " (packed)" : "", (long long)plan->panels_kept,
      plan->resident && plan->local_ranks > 1 ? " once per node" : "");
  if (zg_plan_bands(plan) > 1)
    zg_text_add(text, "  bands         the item by item matrix in %lld\n",
                (long long)zg_plan_bands(plan));
}

/* By samples, by features, both or neither. */
static const char *route_name(const zg_plan *plan) {
  bool tiles = false, features = false;
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.form == ZG_FORM_GRAM) {
      features |= plan->passes[p].by_features;
      tiles |= !plan->passes[p].by_features;
    }
  return tiles ? (features ? "gram+features" : "gram") : features ? "features" : "none";
}

char *zg_plan_text(const zg_plan *plan) {
  zg_text text = {0};
  char a[ZG_UNIT_BYTES], b[ZG_UNIT_BYTES];
  zg_text_add(&text, "  route         %s, %s precision\n", route_name(plan),
              plan->precision == ZG_SINGLE ? "single" : "double");
  if (plan->tile) print_tiles(&text, plan);
  for (int64_t p = 0; p < plan->pass_count; p++)
    print_pass(&text, plan, p);
  zg_text_add(&text, "  work          %s, %s to read\n",
              zg_format_si(a, plan->flop, "flop"), zg_format_bytes(b, plan->bytes));
  const zg_memory *m = &plan->memory;
  zg_text_add(&text, "  memory        %s per rank",
              zg_format_bytes(a, (double)m->total));
  zg_text_add(&text, " (of %s):", zg_format_bytes(a, (double)plan->memory_limit));
  const struct {
    const char *what;
    int64_t bytes;
  } parts[] = {{"panels", m->panels}, {"tiles", m->tiles},     {"sums", m->sums},
               {"sides", m->sides},   {"reading", m->reading}, {"program", m->program}};
  const char *separator = "";
  for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
    if (parts[k].bytes) {
      zg_text_add(&text, "%s %s %s", separator, parts[k].what,
                  zg_format_bytes(a, (double)parts[k].bytes));
      separator = ",";
    }
  return text.data;
}

char *zg_plan_line(const zg_plan *plan) {
  zg_text text = {0};
  zg_text_add(
      &text,
      "route=%s precision=%s ranks=%d teams=%d team_size=%d tile=%lld "
      "panels=%lld panels_kept=%lld bands=%lld passes=%lld memory_per_rank=%lld",
      route_name(plan), plan->precision == ZG_SINGLE ? "single" : "double", plan->ranks,
      plan->teams, plan->team_size, (long long)plan->tile, (long long)plan->panel_count,
      (long long)plan->panels_kept, (long long)zg_plan_bands(plan),
      (long long)plan->pass_count, (long long)plan->memory.total);
  return text.data;
}

static json_t *pass_json(const zg_pass *pass) {
  json_t *object =
      json_pack("{s:s, s:s, s:I, s:I}", "form", zg_form_name(pass->spec.form),
                "measure", pass->call->measure->name, "items", (json_int_t)pass->items,
                "tiles", (json_int_t)pass->tasks);
  if (pass->spec.form != ZG_FORM_GRAM) return object;
  json_object_set_new(object, "kernel", json_string(kernel_name(pass)));
  json_object_set_new(object, "by_features", json_boolean(pass->by_features));
  if (pass->spec.gram.kernel == ZG_KERNEL_RBF)
    json_object_set_new(object, "bandwidth", json_real(pass->spec.gram.bandwidth));
  if (pass->spec.gram.batch)
    json_object_set_new(object, "batch", json_integer(pass->spec.gram.batch));
  return object;
}

json_t *zg_plan_json(const zg_plan *plan) {
  json_t *passes = json_array();
  for (int64_t p = 0; p < plan->pass_count; p++)
    json_array_append_new(passes, pass_json(&plan->passes[p]));
  const zg_memory *m = &plan->memory;
  json_t *memory =
      json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)m->total,
                "panels", (json_int_t)m->panels, "tiles", (json_int_t)m->tiles, "sums",
                (json_int_t)m->sums, "sides", (json_int_t)m->sides, "reading",
                (json_int_t)m->reading, "program", (json_int_t)m->program);
  return json_pack(
      "{s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o, "
      "s:o, "
      "s:I, s:f, s:f, s:f}",
      "route", route_name(plan), "precision",
      plan->precision == ZG_SINGLE ? "single" : "double", "ranks", plan->ranks, "teams",
      plan->teams, "team_size", plan->team_size, "idle", plan->idle, "items",
      (json_int_t)plan->items, "samples", (json_int_t)plan->samples, "features",
      (json_int_t)plan->features, "tile", (json_int_t)plan->tile, "panels",
      (json_int_t)plan->panel_count, "panels_kept", (json_int_t)plan->panels_kept,
      "bands", (json_int_t)zg_plan_bands(plan), "resident", plan->resident, "passes",
      passes, "memory_per_rank", memory, "memory_limit", (json_int_t)plan->memory_limit,
      "flop", plan->flop, "bytes", plan->bytes, "words_per_rank", plan->words);
}
