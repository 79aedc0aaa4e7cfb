#include "plan/partition.h"

#include "base/memory.h"
#include "linalg/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Groups of panels, the tiles between two of which are one cell, and who does which.
 * Work is counted in halves of a tile. */
typedef struct parts {
  int64_t panels, groups;
  int teams;
  int64_t *size; /* [groups] panels */
  int32_t *team; /* [cells] */
  int32_t *held; /* [teams, groups]: with how many panels a team pairs a group's */
  int64_t *work; /* [teams] */
  int64_t slack; /* deviation of a team's work from the mean that costs nothing */
  int64_t price; /* of any further one */
  const int64_t *worth; /* [panels + 1] what it costs to hold so many */
  uint64_t random;
} parts;

enum {
  UNIT = 1024,         /* of worth */
  CANDIDATES = 8,      /* sizes of groups that are tried; */
  FEW_CANDIDATES = 3,  /* where each takes long */
  COARSE_MOVES = 500,  /* per cell of groups */
  FINE_MOVES = 100,    /* per tile, */
  MOST_MOVES = 1 << 19 /* and in all */
};

static int64_t cell_count(int64_t groups) {
  return groups * (groups + 1) / 2;
}

static void create(int64_t panels, int64_t size, int teams, const int64_t *worth,
                   parts *p) {
  int64_t groups = zg_ceil_div(panels, size);
  *p = (parts){.panels = panels,
               .groups = groups,
               .teams = teams,
               .size = ZG_NEW(int64_t, groups),
               .team = ZG_NEW(int32_t, cell_count(groups)),
               .held = ZG_NEW0(int32_t, teams * groups),
               .work = ZG_NEW0(int64_t, teams),
               .slack = size * size,
               .price = 1 + (int64_t)(0.7 * UNIT * sqrt(sqrt(teams) / (double)panels)),
               .worth = worth,
               .random = 1};
  for (int64_t g = 0; g < groups; g++)
    p->size[g] = zg_min(size, panels - g * size);
}

static void destroy(parts *p) {
  free(p->size);
  free(p->team);
  free(p->held);
  free(p->work);
}

static uint64_t draw(parts *p) {
  return zg_random_mix(p->random += ZG_RANDOM_STEP);
}

static int64_t draw_below(parts *p, int64_t count) {
  return (int64_t)((draw(p) >> 32) * (uint64_t)count >> 32);
}

static int64_t work_of(const parts *p, zg_cell c) {
  return p->size[c.a] * p->size[c.b] * (c.a == c.b ? 1 : 2);
}

static int64_t hold(parts *p, int32_t *held, int64_t group, int64_t more) {
  int64_t before = p->worth[*held];
  *held += (int32_t)more;
  return p->size[group] * (p->worth[*held] - before);
}

/* Let a team hold a cell (sign 1) or no longer (-1). \return what that costs. */
static int64_t shift(parts *p, int64_t team, zg_cell c, int sign) {
  int32_t *held = p->held + team * p->groups;
  int64_t cost = hold(p, held + c.a, c.a, sign * p->size[c.b]);
  return c.a == c.b ? cost : cost + hold(p, held + c.b, c.b, sign * p->size[c.a]);
}

/* From `team` alone to what is held and worked. */
static void count(parts *p) {
  memset(p->held, 0, (size_t)(p->teams * p->groups) * sizeof *p->held);
  memset(p->work, 0, (size_t)p->teams * sizeof *p->work);
  for (int64_t a = 0; a < p->groups; a++)
    for (int64_t b = 0; b <= a; b++) {
      int32_t team = p->team[zg_cell_at(a, b)];
      shift(p, team, (zg_cell){a, b}, 1);
      p->work[team] += work_of(p, (zg_cell){a, b});
    }
}

/* Panels touched by all teams together. */
static int64_t touched(const parts *p) {
  int64_t sum = 0;
  for (int64_t t = 0; t < p->teams; t++)
    for (int64_t g = 0; g < p->groups; g++)
      sum += p->held[t * p->groups + g] ? p->size[g] : 0;
  return sum;
}

/* ---- a beginning: cliques, one after the other ---- */

typedef struct clique {
  int64_t *members, count;
  int64_t *joining; /* [groups] free cells with members; -1: is one */
  int64_t *degree;  /* [groups] free cells */
  int64_t room;     /* for work */
} clique;

/* Who has most free cells with the members: of several the one with fewest others, so
 * that little is left over; at the beginning the one with most. */
static int64_t next_member(const parts *p, const clique *c) {
  int64_t best = -1;
  for (int64_t g = 0; g < p->groups; g++) {
    if (c->joining[g] < 0 || !c->degree[g]) continue;
    bool first = best < 0 || c->joining[g] > c->joining[best];
    bool equal = !first && c->joining[g] == c->joining[best];
    bool fewer = !first && c->degree[g] < c->degree[best];
    bool more = !first && c->degree[g] > c->degree[best];
    if (first || (equal && (c->count ? fewer : more))) best = g;
  }
  return best;
}

/* A new member brings its free cells with the others, as far as there is room. */
static void join(parts *p, clique *c, int32_t team, int64_t member) {
  c->members[c->count++] = member;
  c->joining[member] = -1;
  for (int64_t k = 0; k < c->count; k++) {
    int64_t other = c->members[k], work = work_of(p, (zg_cell){member, other});
    int32_t *at = &p->team[zg_cell_at(member, other)];
    if (*at >= 0 || 2 * c->room < work) continue;
    *at = team;
    c->room -= work;
    c->degree[member]--;
    if (other != member) c->degree[other]--;
  }
  for (int64_t g = 0; g < p->groups; g++)
    if (c->joining[g] >= 0 && p->team[zg_cell_at(g, member)] < 0) c->joining[g]++;
}

static int64_t grow(parts *p, clique *c, int32_t team, int64_t room) {
  c->room = room;
  c->count = 0;
  memset(c->joining, 0, (size_t)p->groups * sizeof *c->joining);
  int64_t member, least = p->size[0] * p->size[0];
  while (c->room >= least && (member = next_member(p, c)) >= 0)
    join(p, c, team, member);
  return room - c->room;
}

static int32_t least_busy(const parts *p) {
  int32_t least = 0;
  for (int32_t t = 1; t < p->teams; t++)
    if (p->work[t] < p->work[least]) least = t;
  return least;
}

static void begin(parts *p) {
  clique c = {.members = ZG_NEW(int64_t, p->groups),
              .joining = ZG_NEW(int64_t, p->groups),
              .degree = ZG_NEW(int64_t, p->groups)};
  int64_t left = p->panels * p->panels, cells = cell_count(p->groups);
  memset(p->team, -1, (size_t)cells * sizeof *p->team);
  for (int64_t g = 0; g < p->groups; g++)
    c.degree[g] = p->groups;
  for (int32_t t = 0; t < p->teams; t++)
    left -= p->work[t] = grow(p, &c, t, zg_ceil_div(left, p->teams - t));
  for (int64_t a = 0; a < p->groups; a++)
    for (int64_t b = 0; b <= a; b++) {
      int32_t *at = &p->team[zg_cell_at(a, b)];
      if (*at >= 0) continue;
      *at = least_busy(p);
      p->work[*at] += work_of(p, (zg_cell){a, b});
    }
  free(c.members);
  free(c.joining);
  free(c.degree);
}

/* ---- exchange ---- */

/* What it costs when the work of a team becomes another. */
static int64_t imbalance(const parts *p, int64_t work) {
  int64_t away = llabs(work * p->teams - p->panels * p->panels) / p->teams;
  return p->price * zg_max(0, away - p->slack);
}

static int64_t imbalance_of_moving(const parts *p, int64_t from, int64_t to,
                                   int64_t work) {
  return imbalance(p, p->work[from] - work) - imbalance(p, p->work[from]) +
         imbalance(p, p->work[to] + work) - imbalance(p, p->work[to]);
}

/* Try to give a cell to the team of another cell in the same row or column, mostly in
 * exchange for that one. It is done when it costs no more than `threshold`. */
static void try_move(parts *p, int64_t threshold) {
  zg_cell mine = {draw_below(p, p->groups), draw_below(p, p->groups)};
  zg_cell theirs = {mine.a, draw_below(p, p->groups)};
  int32_t *from = &p->team[zg_cell_at(mine.a, mine.b)];
  int32_t *to = &p->team[zg_cell_at(theirs.a, theirs.b)], t = *from, u = *to;
  if (t == u) return;
  bool swaps = draw_below(p, 4) > 0;
  int64_t work = work_of(p, mine) - (swaps ? work_of(p, theirs) : 0);
  int64_t cost = imbalance_of_moving(p, t, u, work);
  cost += shift(p, t, mine, -1) + shift(p, u, mine, 1);
  if (swaps) cost += shift(p, u, theirs, -1) + shift(p, t, theirs, 1);
  if (cost <= threshold) {
    *from = u;
    if (swaps) *to = t;
    p->work[t] -= work;
    p->work[u] += work;
    return;
  }
  shift(p, t, mine, 1);
  shift(p, u, mine, -1);
  if (swaps) shift(p, u, theirs, 1), shift(p, t, theirs, -1);
}

/* Threshold accepting (Dueck & Scheuer 1990): worse is taken as well, less and less of
 * it. As the worth of a panel grows ever more slowly with what is done with it, work
 * gathers where there is some already. */
static void exchange(parts *p, int64_t moves, int64_t tenths) {
  int64_t most = tenths * UNIT / 10 * p->size[0];
  for (int64_t k = 0; k < moves; k++)
    try_move(p, most * (moves - k) / moves);
}

/* ---- exact balance ---- */

/* The cells of every team, from time to time brought up to date. */
typedef struct listing {
  int64_t *first; /* [teams + 1] */
  zg_cell *cells;
} listing;

static int32_t busiest(const parts *p) {
  int32_t most = 0;
  for (int32_t t = 1; t < p->teams; t++)
    if (p->work[t] > p->work[most]) most = t;
  return most;
}

/* Of the teams with less than the mean the one that has most panels in common. */
static int32_t closest(const parts *p, int32_t team) {
  const int32_t *own = p->held + team * p->groups;
  int32_t most = -1, best = least_busy(p);
  for (int32_t t = 0; t < p->teams; t++) {
    const int32_t *held = p->held + t * p->groups;
    int32_t common = 0;
    if (p->work[t] * p->teams >= p->panels * p->panels) continue;
    if (p->work[t] + 2 >= p->work[team]) continue;
    for (int64_t g = 0; g < p->groups; g++)
      common += (own[g] > 0) & (held[g] > 0);
    if (common > most) most = common, best = t;
  }
  return best;
}

static void move(parts *p, int32_t from, int32_t to, zg_cell c) {
  shift(p, from, c, -1);
  shift(p, to, c, 1);
  p->team[zg_cell_at(c.a, c.b)] = to;
  p->work[from] -= work_of(p, c);
  p->work[to] += work_of(p, c);
}

/* A tile on its way from one team to another. */
typedef struct transfer {
  int32_t from, to;
  zg_cell best;
  int64_t cost; /* of the best */
} transfer;

static void consider(parts *p, transfer *x, zg_cell c) {
  int64_t room = p->work[x->from] - p->work[x->to];
  if (p->team[zg_cell_at(c.a, c.b)] != x->from || work_of(p, c) >= room) return;
  int64_t cost = shift(p, x->from, c, -1) + shift(p, x->to, c, 1);
  shift(p, x->from, c, 1);
  shift(p, x->to, c, -1);
  if (cost >= x->cost) return;
  x->cost = cost;
  x->best = c;
}

/* Hand over the tile that costs least: of those in a row or column with the last one,
 * whose panels the taker has already, else of all. \return false when no tile leaves
 * the taker with less than the giver had. */
static bool hand_over(parts *p, const listing *list, transfer *x) {
  zg_cell last = x->best;
  x->cost = INT64_MAX;
  for (int64_t g = 0; last.a >= 0 && g < p->groups; g++) {
    consider(p, x, (zg_cell){last.a, g});
    consider(p, x, (zg_cell){last.b, g});
  }
  if (x->cost < INT64_MAX) return true;
  for (int64_t k = list->first[x->from]; k < list->first[x->from + 1]; k++)
    consider(p, x, list->cells[k]);
  return x->cost < INT64_MAX;
}

/* Single tiles go from teams with too many to those with too few, until none has more
 * than one tile more than another. Every step makes the sum of squares smaller. */
static void balance(parts *p) {
  listing list = {.first = ZG_NEW(int64_t, p->teams + 1),
                  .cells = ZG_NEW(zg_cell, cell_count(p->groups))};
  int64_t mean = p->panels * p->panels / p->teams;
  for (bool moved = false;;) {
    int32_t from = busiest(p);
    if (p->work[from] - p->work[least_busy(p)] <= 2) break;
    bool anew = !moved; /* what a team has been given is not in the list yet */
    if (anew) zg_list_cells(p->groups, p->teams, p->team, list.first, list.cells);
    transfer x = {.from = from, .to = closest(p, from), .best = {-1, -1}};
    moved = false;
    while (hand_over(p, &list, &x)) {
      move(p, x.from, x.to, x.best);
      moved = true;
      if (p->work[x.from] <= mean + 1 || p->work[x.to] >= mean) break;
    }
    if (!moved && anew) break;
  }
  free(list.first);
  free(list.cells);
}

/* ---- all together ---- */

void zg_list_cells(int64_t groups, int teams, const int32_t *team, int64_t *first,
                   zg_cell *cells) {
  memset(first, 0, (size_t)(teams + 1) * sizeof *first);
  for (int64_t k = 0; k < cell_count(groups); k++)
    first[team[k] + 1]++;
  for (int t = 0; t < teams; t++)
    first[t + 1] += first[t];
  for (int64_t a = 0; a < groups; a++)
    for (int64_t b = 0; b <= a; b++)
      cells[first[team[zg_cell_at(a, b)]]++] = (zg_cell){a, b};
  memmove(first + 1, first, (size_t)teams * sizeof *first);
  first[0] = 0; /* every beginning had become the end */
}

/* Tiles as the cells of groups that they lie in. */
static void refine(const parts *coarse, parts *fine) {
  int64_t size = coarse->size[0];
  for (int64_t a = 0; a < fine->groups; a++)
    for (int64_t b = 0; b <= a; b++)
      fine->team[zg_cell_at(a, b)] = coarse->team[zg_cell_at(a / size, b / size)];
  count(fine);
}

/* A partition that begins with groups of `size` panels. */
static void attempt(int64_t size, parts *fine) {
  parts coarse;
  create(fine->panels, size, fine->teams, fine->worth, &coarse);
  begin(&coarse);
  count(&coarse);
  exchange(&coarse, COARSE_MOVES * cell_count(coarse.groups), 3);
  refine(&coarse, fine);
  balance(fine);
  destroy(&coarse);
}

static void polish(parts *fine) {
  exchange(fine, zg_min(MOST_MOVES, FINE_MOVES * cell_count(fine->groups)), 1);
  balance(fine);
}

/* Sizes such that there are about twice to six times as many groups as a team has at
 * least. Equal groups are worth much, so there are as few sizes as numbers. */
static int64_t sizes_to_try(int64_t panels, int teams, int64_t *sizes) {
  double root = sqrt((double)teams);
  int64_t most = teams <= 64 && panels <= 256 ? CANDIDATES : FEW_CANDIDATES, tried = 0;
  for (int64_t k = 0; k < most; k++) {
    double factor = 6 - 4.3 * (double)k / (double)(most - 1);
    int64_t groups = (int64_t)(factor * root) + 1;
    int64_t size = zg_max(1, (panels + groups / 2) / groups);
    if (!tried || size != sizes[tried - 1]) sizes[tried++] = size;
  }
  return tried;
}

static int64_t *make_worth(int64_t panels) {
  int64_t *worth = ZG_NEW(int64_t, panels + 1);
  for (int64_t k = 0; k <= panels; k++)
    worth[k] = (int64_t)(UNIT * sqrt((double)k)); /* rounded alike everywhere */
  return worth;
}

void zg_partition(int64_t panels, int teams, int32_t *team) {
  size_t bytes = (size_t)cell_count(panels) * sizeof *team;
  int64_t sizes[CANDIDATES], tried = sizes_to_try(panels, teams, sizes);
  int64_t *worth = make_worth(panels), least = INT64_MAX;
  memset(team, 0, bytes);
  if (teams == 1) tried = 0;
  for (int64_t k = 0; k <= tried && tried; k++) {
    parts fine;
    create(panels, 1, teams, worth, &fine);
    memcpy(fine.team, team, bytes);
    if (k < tried) {
      attempt(sizes[k], &fine);
    } else { /* the best so far */
      count(&fine);
      polish(&fine);
    }
    if (touched(&fine) < least) {
      least = touched(&fine);
      memcpy(team, fine.team, bytes);
    }
    destroy(&fine);
  }
  free(worth);
}
