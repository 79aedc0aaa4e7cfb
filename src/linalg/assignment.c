#include "linalg/assignment.h"

#include "base/watchdog.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Rows i, columns j, prices v: a solution is best when every row's column has the least
 * cost[i, j] - v[j] of that row. */
typedef struct problem {
  int64_t n;
  const double *cost;
  int64_t *column_of, *row_of; /* -1: none */
  double *v, *distance;
  int64_t *free_rows, *columns, *before;
} problem;

enum { ARRAYS = 6 };

int64_t zg_assign_room(int64_t n) {
  return ARRAYS * 8 * n;
}

static problem problem_of(int64_t n, const double *cost, void *room,
                          int64_t *column_of) {
  double *numbers = room;
  int64_t *integers = (int64_t *)(numbers + 2 * n);
  return (problem){.n = n,
                   .cost = cost,
                   .column_of = column_of,
                   .v = numbers,
                   .distance = numbers + n,
                   .row_of = integers,
                   .free_rows = integers + n,
                   .columns = integers + 2 * n,
                   .before = integers + 3 * n};
}

/* Prices begin as the least cost of each column; a row takes the last column whose
 * least cost it has. */
static void reduce_columns(problem *p) {
  int64_t n = p->n, *cheapest = p->columns;
  for (int64_t j = 0; j < n; j++) {
    p->v[j] = INFINITY;
    p->row_of[j] = p->column_of[j] = -1;
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      if (p->cost[i * n + j] < p->v[j]) {
        p->v[j] = p->cost[i * n + j];
        cheapest[j] = i;
      }
  memset(p->before, 0, (size_t)n * sizeof *p->before); /* columns of each row */
  for (int64_t j = n - 1; j >= 0; j--) {
    if (p->before[cheapest[j]]++) continue;
    p->column_of[cheapest[j]] = j;
    p->row_of[j] = cheapest[j];
  }
}

/* The least and the second least reduced cost of a row, and their columns. */
typedef struct two_least {
  double first, second;
  int64_t column, next;
} two_least;

static two_least least_of(const problem *p, int64_t i) {
  const double *cost = p->cost + i * p->n;
  two_least found = {INFINITY, INFINITY, -1, -1};
  for (int64_t j = 0; j < p->n; j++) {
    double reduced = cost[j] - p->v[j];
    if (reduced >= found.second) continue;
    if (reduced < found.first) {
      found = (two_least){reduced, found.first, j, found.column};
    } else {
      found.second = reduced;
      found.next = j;
    }
  }
  return found;
}

/* A row with one column only lowers its price as far as it would still take it. */
static int64_t transfer_reductions(problem *p) {
  int64_t count = 0;
  for (int64_t i = 0; i < p->n; i++) {
    if (p->column_of[i] < 0) p->free_rows[count++] = i;
    if (p->column_of[i] < 0 || p->before[i] > 1) continue;
    two_least found = least_of(p, i);
    double other = found.column == p->column_of[i] ? found.second : found.first;
    double own = p->cost[i * p->n + p->column_of[i]] - p->v[p->column_of[i]];
    if (isfinite(other)) p->v[p->column_of[i]] -= other - own;
  }
  return count;
}

/* Every free row takes its best column and lowers the price to that of its second best;
 * whoever had it looks for another at once, or, when the price did not fall, later.
 * \return how many rows are free then. */
static int64_t augment_rows(problem *p, int64_t count) {
  int64_t k = 0, later = 0, steps = 0, most = 8 * p->n;
  while (k < count) {
    int64_t i = p->free_rows[k++];
    two_least found = least_of(p, i);
    double price = p->v[found.column] - (found.second - found.first);
    bool falls = found.next >= 0 && price < p->v[found.column];
    if (falls)
      p->v[found.column] = price;
    else if (p->row_of[found.column] >= 0 && found.next >= 0)
      found.column = found.next;
    int64_t loser = p->row_of[found.column];
    p->column_of[i] = found.column;
    p->row_of[found.column] = i;
    if (loser < 0) continue;
    p->column_of[loser] = -1;
    if (falls && steps++ < most)
      p->free_rows[--k] = loser;
    else
      p->free_rows[later++] = loser;
  }
  return later;
}

/* Columns in three groups: [0, low) done, [low, high) next, all at distance `least`,
 * and [high, n) to do. */
typedef struct frontier {
  int64_t low, high, done;
  double least;
} frontier;

/* Bring the columns of least distance to [high, ...). \return a free one, or -1. */
static int64_t advance(problem *p, frontier *f) {
  f->done = f->low;
  f->least = p->distance[p->columns[f->high]];
  for (int64_t k = f->high; k < p->n; k++) {
    int64_t j = p->columns[k];
    if (p->distance[j] > f->least) continue;
    if (p->distance[j] < f->least) {
      f->high = f->low;
      f->least = p->distance[j];
    }
    p->columns[k] = p->columns[f->high];
    p->columns[f->high++] = j;
  }
  for (int64_t k = f->low; k < f->high; k++)
    if (p->row_of[p->columns[k]] < 0) return p->columns[k];
  return -1;
}

/* Shorten distances by way of the row that has the next column. \return a free column
 * at the least distance, or -1. */
static int64_t relax(problem *p, frontier *f) {
  int64_t through = p->columns[f->low++], i = p->row_of[through];
  const double *cost = p->cost + i * p->n;
  double offset = cost[through] - p->v[through] - f->least;
  for (int64_t k = f->high; k < p->n; k++) {
    int64_t j = p->columns[k];
    double distance = cost[j] - p->v[j] - offset;
    if (distance >= p->distance[j]) continue;
    p->distance[j] = distance;
    p->before[j] = i;
    if (distance > f->least) continue;
    if (p->row_of[j] < 0) return j;
    p->columns[k] = p->columns[f->high];
    p->columns[f->high++] = j;
  }
  return -1;
}

/* A shortest path from a free row to a free column (Dijkstra), and the prices of the
 * columns that were done. \return the free column. */
static int64_t find_path(problem *p, int64_t start) {
  frontier f = {0};
  int64_t end = -1;
  for (int64_t j = 0; j < p->n; j++) {
    p->columns[j] = j;
    p->before[j] = start;
    p->distance[j] = p->cost[start * p->n + j] - p->v[j];
  }
  while (end < 0) {
    if (f.low == f.high) end = advance(p, &f);
    if (end < 0) end = relax(p, &f);
  }
  for (int64_t k = 0; k < f.done; k++) {
    int64_t j = p->columns[k];
    p->v[j] += p->distance[j] - f.least;
  }
  return end;
}

static void augment(problem *p, int64_t start) {
  int64_t j = find_path(p, start), i;
  do {
    i = p->before[j];
    p->row_of[j] = i;
    int64_t next = p->column_of[i];
    p->column_of[i] = j;
    j = next;
  } while (i != start);
}

void zg_assign(int64_t n, const double *cost, void *room, int64_t *column_of) {
  problem p = problem_of(n, cost, room, column_of);
  reduce_columns(&p);
  int64_t count = transfer_reductions(&p);
  for (int round = 0; round < 2 && count; round++)
    count = augment_rows(&p, count);
  for (int64_t k = 0; k < count; k++) {
    augment(&p, p.free_rows[k]);
    zg_beat();
  }
}
