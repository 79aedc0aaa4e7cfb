/** \file
 * A plan as text, as a line and as JSON. */
#include "base/text.h"
#include "plan/plan.h"

static const char *kernel_name(const zg_pass *pass) {
  return pass->kernel == ZG_KERNEL_RBF ? "rbf" : "linear";
}

static void print_pass(zg_text *text, const zg_plan *plan, int64_t p) {
  const zg_pass *pass = &plan->passes[p];
  zg_text_add(text, "  pass %lld        %s", (long long)p + 1, kernel_name(pass));
  if (pass->kernel == ZG_KERNEL_RBF)
    zg_text_add(text, ", bandwidth %g", pass->bandwidth);
  if (pass->batch) zg_text_add(text, ", batches of %lld", (long long)pass->batch);
  if (pass->precision != plan->precision)
    zg_text_add(text, ", in double (few samples)");
  zg_text_add(text, ": %lld tiles\n", (long long)zg_plan_tiles(plan, pass));
}

char *zg_plan_text(const zg_plan *plan) {
  zg_text text = {0};
  char a[ZG_UNIT_BYTES], b[ZG_UNIT_BYTES];
  zg_text_add(&text, "  route         Gram tiles, %s precision\n",
              plan->precision == ZG_SINGLE ? "single" : "double");
  zg_text_add(&text, "  teams         %d of %d rank%s", plan->teams, plan->team_size,
              plan->team_size == 1 ? "" : "s");
  if (plan->idle) zg_text_add(&text, ", %d idle", plan->idle);
  zg_text_add(&text, "\n  tile          %lld x %lld samples, %lld panels, %lld kept\n",
              (long long)plan->tile, (long long)plan->tile,
              (long long)plan->panel_count, (long long)plan->panels_kept);
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
  for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
    if (parts[k].bytes)
      zg_text_add(&text, "%s %s %s", k ? "," : "", parts[k].what,
                  zg_format_bytes(a, (double)parts[k].bytes));
  return text.data;
}

char *zg_plan_line(const zg_plan *plan) {
  zg_text text = {0};
  zg_text_add(&text,
              "route=gram precision=%s ranks=%d teams=%d team_size=%d tile=%lld "
              "panels=%lld panels_kept=%lld passes=%lld memory_per_rank=%lld",
              plan->precision == ZG_SINGLE ? "single" : "double", plan->ranks,
              plan->teams, plan->team_size, (long long)plan->tile,
              (long long)plan->panel_count, (long long)plan->panels_kept,
              (long long)plan->pass_count, (long long)plan->memory.total);
  return text.data;
}

static json_t *pass_json(const zg_plan *plan, const zg_pass *pass) {
  json_t *object = json_pack("{s:s, s:I}", "kernel", kernel_name(pass), "tiles",
                             (json_int_t)zg_plan_tiles(plan, pass));
  if (pass->kernel == ZG_KERNEL_RBF)
    json_object_set_new(object, "bandwidth", json_real(pass->bandwidth));
  if (pass->batch) json_object_set_new(object, "batch", json_integer(pass->batch));
  return object;
}

json_t *zg_plan_json(const zg_plan *plan) {
  json_t *passes = json_array();
  for (int64_t p = 0; p < plan->pass_count; p++)
    json_array_append_new(passes, pass_json(plan, &plan->passes[p]));
  const zg_memory *m = &plan->memory;
  json_t *memory =
      json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)m->total,
                "panels", (json_int_t)m->panels, "tiles", (json_int_t)m->tiles, "sums",
                (json_int_t)m->sums, "sides", (json_int_t)m->sides, "reading",
                (json_int_t)m->reading, "program", (json_int_t)m->program);
  return json_pack(
      "{s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:I, "
      "s:f, "
      "s:f}",
      "route", "gram", "precision", plan->precision == ZG_SINGLE ? "single" : "double",
      "ranks", plan->ranks, "teams", plan->teams, "team_size", plan->team_size, "idle",
      plan->idle, "items", (json_int_t)plan->items, "samples",
      (json_int_t)plan->samples, "features", (json_int_t)plan->features, "tile",
      (json_int_t)plan->tile, "panels", (json_int_t)plan->panel_count, "panels_kept",
      (json_int_t)plan->panels_kept, "passes", passes, "memory_per_rank", memory,
      "memory_limit", (json_int_t)plan->memory_limit, "flop", plan->flop, "bytes",
      plan->bytes);
}
