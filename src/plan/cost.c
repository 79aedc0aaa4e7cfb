#include "plan/cost.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>

/* Share of all tasks that the busiest of so many workers has. */
static double busiest_share(int64_t tasks, int64_t workers) {
  return tasks ? (double)zg_ceil_div(tasks, workers) / (double)tasks : 0;
}

static bool has_medians(const zg_pass *pass) {
  return pass->spec.gram.kernel == ZG_KERNEL_RBF && !pass->spec.gram.batch;
}

/* Sample pairs of a pass that the busiest team forms; never less than a whole tile. */
static double busiest_pairs(const zg_plan *plan, const zg_pass *pass) {
  double n = (double)plan->samples, batch = (double)pass->spec.gram.batch;
  double edge = batch > 0 ? fmin(batch, n) : (double)plan->tile;
  double all = n * ((batch > 0 ? edge : n) - 1) / 2;
  bool whole = !(batch > 0) && plan->panel_count > 1; /* a tile off the diagonal */
  double largest = whole ? edge * edge : edge * (edge - 1) / 2;
  return fmin(all, fmax(largest, all * busiest_share(pass->tasks, plan->teams)));
}

/* ---- reading ---- */

/* Panels that a team loads in one sweep over its tiles. Those that stay: the rows that
 * its tiles need at least, 1/sqrt(T) of all. Else every row of tiles loads those of its
 * columns that have not stayed since the row before. */
static double panel_loads(const zg_plan *plan) {
  double panels = (double)plan->panel_count, kept = (double)plan->panels_kept;
  double needed = panels / sqrt((double)plan->teams);
  if (needed <= kept) return needed;
  double rows = fmax(0, panels - kept), loads = kept + rows * (rows + 3) / 2;
  return fmax(needed, loads / plan->teams);
}

/* The busiest rank reads this share of the gram data in so many runs per item, all
 * ranks together read them so many times. */
static void add_reading(const zg_plan *plan, const zg_pass *pass, double share,
                        double times, double runs, zg_amounts *a) {
  a->of[ZG_RATE_READ_RANK] += share * pass->bytes;
  a->of[ZG_RATE_READ_TOTAL] += times * pass->bytes;
  a->of[ZG_RATE_READ_PIECE] += runs * (double)plan->items;
}

/* So many sweeps over tiles of all items, whose panels the ranks of a team share. */
static void add_sweeps(const zg_plan *plan, const zg_pass *pass, double count,
                       zg_amounts *a) {
  if (plan->resident && !pass->spec.gram.batch) return; /* they are there */
  double loads = count * panel_loads(plan);
  double times = loads / (double)plan->panel_count;
  add_reading(plan, pass, times / plan->team_size, times * plan->teams, loads, a);
}

/* Means and traces of all items, once for all passes; with panels that are kept on
 * every node each reads everything. */
static void add_statistics(const zg_plan *plan, const zg_pass *pass, zg_amounts *a) {
  int readers = plan->resident ? plan->local_ranks : plan->ranks;
  if (zg_plan_reads_once(plan)) return;
  double nodes = (double)plan->ranks / readers;
  add_reading(plan, pass, 1.0 / readers, nodes, 1.0 / readers, a);
}

/* ---- the gram form ---- */

/* Distances of the sample that the search for a median starts from: of 512 rows, or of
 * all where these are few, and then there is nothing to search. */
static double sample_pairs(double n) {
  const double sample_rows = 512;
  double rows = n <= ZG_PLAN_MEDIAN_ALL ? n : sample_rows;
  return rows * (rows - 1) / 2;
}

static void add_medians(const zg_plan *plan, const zg_pass *pass, double pairs,
                        zg_amounts *a) {
  double n = (double)plan->samples;
  a->of[ZG_RATE_MEDIAN_SAMPLE] +=
      (double)zg_ceil_div(plan->items, plan->ranks) * sample_pairs(n);
  if (sample_pairs(n) >= n * (n - 1) / 2) return;
  if (pass->spec.gram.sampled) {
    double rows = fmin(n, ZG_PLAN_MEDIAN_ROWS);
    a->of[ZG_RATE_MEDIAN_FORM] += (double)plan->features * rows * rows / plan->ranks;
    return;
  }
  zg_rate form = plan->team_size == 1 ? ZG_RATE_MEDIAN_FORM : ZG_RATE_MEDIAN_TEAM;
  a->of[form] += 2 * (double)plan->features * pairs;
  a->of[ZG_RATE_MEDIAN_ENTRIES] += (double)plan->items * pairs;
  if (!zg_plan_keeps_tile(plan, pass)) add_sweeps(plan, pass, 1, a);
}

/* Words of ranks that share one tile: p?syrk and p?gemm spread both panels over rows
 * and columns of the team's grid. */
static double team_bytes(const zg_plan *plan, const zg_pass *pass) {
  double real = (double)zg_real_size(pass->precision), side = sqrt(plan->team_size);
  double tiles = (double)pass->tasks * busiest_share(pass->tasks, plan->teams);
  if (plan->team_size == 1) return 0;
  return tiles * 2 * (double)plan->tile / side * (double)plan->features * real;
}

/* Flop of products, at the rate of a rank alone in either precision, or of one in a
 * team, which is known in single precision and takes twice as long in double. */
static void add_flop(const zg_plan *plan, bool single, const zg_rate rates[3],
                     double flop, zg_amounts *a) {
  if (plan->team_size == 1)
    a->of[rates[single ? 0 : 1]] += flop;
  else
    a->of[rates[2]] += single ? flop : 2 * flop;
}

static void add_tiles(const zg_plan *plan, const zg_pass *pass, zg_amounts *a) {
  static const zg_rate form[] = {ZG_RATE_FORM_SINGLE, ZG_RATE_FORM_DOUBLE,
                                 ZG_RATE_FORM_TEAM};
  static const zg_rate reduce[] = {ZG_RATE_REDUCE_SINGLE, ZG_RATE_REDUCE_DOUBLE,
                                   ZG_RATE_REDUCE_TEAM};
  double N = (double)plan->items, D = (double)plan->features, Q = plan->team_size;
  double pairs = busiest_pairs(plan, pass) / Q;
  double share = busiest_share(pass->tasks, plan->teams), tasks = (double)pass->tasks;
  bool single = pass->precision == ZG_SINGLE, batches = pass->spec.gram.batch > 0;
  bool rbf = pass->spec.gram.kernel == ZG_KERNEL_RBF;
  double times = zg_plan_formations(plan);
  if (!zg_plan_keeps_tile(plan, pass)) /* else its search for medians forms it */
    add_flop(plan, single && !batches, form, times * 2 * D * pairs, a);
  add_flop(plan, single, reduce, N * N * pairs, a);
  a->of[rbf ? ZG_RATE_KERNEL_RBF : ZG_RATE_KERNEL_LINEAR] += times * N * pairs;
  a->of[ZG_RATE_REDUCE_ENTRIES] += times * N * pairs;
  a->of[ZG_RATE_NETWORK] += team_bytes(plan, pass);
  if (batches) /* formed in double; every rank of a team reads all of one */
    add_reading(plan, pass, share, Q, share * tasks, a);
  else
    add_sweeps(plan, pass, times, a);
  if (has_medians(pass)) add_medians(plan, pass, pairs, a);
}

static void add_features(const zg_plan *plan, const zg_pass *pass, zg_amounts *a) {
  double D = (double)plan->features, share = busiest_share(pass->tasks, plan->ranks);
  a->of[ZG_RATE_FEATURES] += D * D * (double)plan->samples * share;
  a->of[ZG_RATE_NETWORK] += 2 * 8 * D * D * (1 - 1.0 / plan->ranks);
  add_reading(plan, pass, share, 1, share * (double)pass->tasks, a);
}

/* ---- the other forms ---- */

static void add_vectors(const zg_plan *plan, const zg_pass *pass, zg_amounts *a) {
  double share = busiest_share(pass->tasks, plan->ranks), numbers = 0;
  double weight = pass->precision == ZG_SINGLE ? 1 : 2;
  zg_vector_kind kind = pass->spec.vector->kind;
  for (int64_t g = 0; g < pass->group_count; g++) {
    const zg_group *group = &pass->groups[g];
    numbers += (double)(group->count * group->length * group->width);
  }
  a->of[ZG_RATE_VECTORS] += weight * pass->flop * share;
  a->of[ZG_RATE_VECTOR_NUMBERS] += numbers * share;
  a->of[ZG_RATE_READ_VECTORS] += pass->bytes * share;
  a->of[ZG_RATE_READ_TOTAL] += pass->bytes;
  a->coarse |= kind == ZG_VECTOR_ROWS || kind == ZG_VECTOR_QUADRATIC;
}

/* Of the plan's flop and bytes alone: tiles need 1/sqrt(P) of the samples. */
static void add_coarse(const zg_plan *plan, const zg_pass *pass, zg_rate rate,
                       double work, double share_read, zg_amounts *a) {
  a->of[rate] += work * busiest_share(pass->tasks, plan->ranks);
  a->of[ZG_RATE_READ_VECTORS] += pass->bytes * share_read;
  a->of[ZG_RATE_READ_TOTAL] += pass->bytes * share_read * plan->ranks;
  a->coarse = true;
}

/* ---- from sums to the file ---- */

static void add_results(const zg_plan *plan, int64_t call, zg_amounts *a) {
  const zg_pass *pass = &plan->passes[plan->pass_of_call[call]];
  double N = (double)pass->items, P = plan->ranks;
  a->of[ZG_RATE_COMBINE] += N * N / P;
  a->of[ZG_RATE_WRITE_TOTAL] += N * N * (8 + 1);
}

static void add_pass(const zg_plan *plan, const zg_pass *pass, zg_amounts *a) {
  double P = plan->ranks, N = (double)pass->items;
  a->of[ZG_RATE_NETWORK] += 16 * N * N / 2 * (1 - 1 / P);
  a->of[ZG_RATE_LATENCY] += 8 * ceil(log2(P));
  switch (pass->spec.form) {
  case ZG_FORM_GRAM:
    if (pass->by_features)
      add_features(plan, pass, a);
    else
      add_tiles(plan, pass, a);
    break;
  case ZG_FORM_VECTOR:
    add_vectors(plan, pass, a);
    break;
  case ZG_FORM_TANGENT:
    add_coarse(plan, pass, ZG_RATE_TANGENT, pass->flop, 1 / sqrt(P), a);
    break;
  case ZG_FORM_PROFILE:
    add_coarse(plan, pass, ZG_RATE_PROFILE, pass->bytes, 0, a);
    break;
  case ZG_FORM_PAIR: /* products in double are most of it, or as fast */
    add_coarse(plan, pass, ZG_RATE_TANGENT, pass->flop, fmin(1, sqrt(2 / P)), a);
    break;
  }
}

zg_amounts zg_plan_amounts(const zg_plan *plan) {
  zg_amounts a = {.of[ZG_RATE_START] = 1, .of[ZG_RATE_HEADER] = (double)plan->arrays};
  bool measured = false;
  for (int64_t p = 0; p < plan->pass_count; p++) {
    const zg_pass *pass = &plan->passes[p];
    if (pass->spec.form == ZG_FORM_GRAM && !measured) add_statistics(plan, pass, &a);
    measured |= pass->spec.form == ZG_FORM_GRAM;
    add_pass(plan, pass, &a);
  }
  for (int64_t k = 0; k < plan->call_count; k++)
    add_results(plan, k, &a);
  return a;
}

/* ---- seconds ---- */

static double seconds_of(const zg_amounts *amounts, const zg_machine *m, zg_rate rate) {
  return zg_rate_is_duration(rate) ? amounts->of[rate] * m->rates[rate]
                                   : amounts->of[rate] / m->rates[rate];
}

zg_cost zg_cost_of(const zg_amounts *amounts, const zg_machine *machine) {
  zg_cost cost = {.coarse = amounts->coarse};
  double total_read = seconds_of(amounts, machine, ZG_RATE_READ_TOTAL);
  for (int r = 0; r < ZG_RATES; r++)
    if (r != ZG_RATE_READ_TOTAL)
      cost.parts[zg_rate_infos[r].part] += seconds_of(amounts, machine, (zg_rate)r);
  /* What a rank does with its data goes on while the file system is busy. */
  cost.parts[ZG_COST_READ] = fmax(cost.parts[ZG_COST_READ], total_read);
  for (int p = 0; p < ZG_COST_PARTS; p++)
    cost.total += cost.parts[p];
  return cost;
}

/* ---- printing ---- */

char *zg_cost_text(const zg_cost *cost, const zg_machine *machine, int ranks) {
  zg_text text = {0};
  char a[ZG_UNIT_BYTES];
  zg_text_add(&text, "  predicted     %s%s", cost->coarse ? "roughly " : "",
              zg_format_duration(a, cost->total));
  if (machine->name[0]) zg_text_add(&text, " on %s", machine->name);
  if (machine->ranks_per_node > 0 && ranks > machine->ranks_per_node)
    zg_text_add(&text, ", %.0f nodes", ceil(ranks / machine->ranks_per_node));
  const char *separator = ":";
  for (int p = 0; p < ZG_COST_PARTS; p++)
    if (cost->parts[p] >= 1e-3 * cost->total) {
      zg_text_add(&text, "%s %s %s", separator, zg_cost_part_name((zg_cost_part)p),
                  zg_format_duration(a, cost->parts[p]));
      separator = ",";
    }
  return text.data;
}

json_t *zg_cost_json(const zg_cost *cost, const zg_machine *machine) {
  json_t *object = json_object();
  for (int p = 0; p < ZG_COST_PARTS; p++)
    json_object_set_new(object, zg_cost_part_key((zg_cost_part)p),
                        json_real(cost->parts[p]));
  json_object_set_new(object, "total", json_real(cost->total));
  json_object_set_new(object, "coarse", json_boolean(cost->coarse));
  json_object_set_new(object, "machine", json_string(machine->name));
  return object;
}
