/** \file
 * Gram tiles on a team: K = X_I X_J' for two runs of samples, and the panels X_I it is
 * made of. On a team of one rank everything is local and the products are BLAS calls;
 * on a larger one tiles and panels are block-cyclic on the team's square grid and the
 * products PBLAS's.
 *
 * How fast PBLAS is depends on which of its algorithms it takes. What is best for a
 * symmetric product, both factors copied to where K is and then one local product of
 * many columns, it takes for X X' but not for Y'Y with Y = X' on a grid of one process
 * row, where it makes blocks of rows of the result and adds these up (0.83 and 0.62 to
 * 0.75 of the speed of a rank alone with n = 16,384, d = 1024 on two ranks). Hence the
 * panel of a symmetric product is transposed first. */
#ifndef ZG_GRID_TILE_H
#define ZG_GRID_TILE_H

#include "grid/team.h"
#include "linalg/kernel.h"

/** What PBLAS multiplies and sends at a time: features, or rows or columns of a result;
 * its buffers are as wide. */
enum { ZG_PRODUCT_STEP = 512 };

/** How a rows x columns tile lies on a team: which positions this rank holds.
 *
 *     columns   0 1 | 2 3 | 4          blocks of 2 on a 1 x 2 grid:
 *     process    0     1    0          rank 0 holds columns 0 1 4, rank 1 holds 2 3 */
typedef struct zg_tile {
  int64_t rows, columns;             /**< of the whole tile */
  int64_t local_rows, local_columns; /**< of this rank's part */
  int64_t *row_of, *column_of; /**< position in the tile of each local row and column,
                                    ascending; owned */
  int64_t longest;             /**< numbers of the largest part in the team */
  int block;                   /**< edge of the cyclic blocks */
  int descriptor[9];           /**< ScaLAPACK's; unused on a team of one rank */
} zg_tile;

/** Not collective. */
void zg_tile_create(const zg_team *team, int64_t rows, int64_t columns, zg_tile *tile);
void zg_tile_destroy(zg_tile *tile);
/** Numbers of the largest part that any rank of a team of so many has of a tile whose
 * edges are `edge` or one less, as those of nearly equal panels are. Not collective. */
int64_t zg_tile_largest(int team_size, int64_t edge);
/** Numbers left free between the tiles of two items: tiles are mostly whole pages, and
 * the same place in several of them would fall on the same few lines of a cache. */
enum { ZG_TILE_PADDING = 64 };
/** This rank's part of a tile whose values lie at `values`, column-major with leading
 * dimension local_rows. Borrows from the tile. Not collective. */
zg_block zg_tile_block(const zg_tile *tile, zg_precision precision, void *values,
                       bool diagonal);

/** Rows of a panel that this rank reads: [*first, *first + *count) of `rows`.
 * Consecutive ranks of a team read consecutive runs; the last may read fewer or none.
 * Not collective. */
void zg_panel_share(const zg_team *team, int64_t rows, int64_t *first, int64_t *count);
/** Numbers of this rank's part of a panel of rows x d. Not collective. */
int64_t zg_panel_size(const zg_team *team, int64_t rows, int64_t d);

/** Numbers of the largest part that any rank of a team of so many has. */
int64_t zg_panel_largest(int team_size, int64_t rows, int64_t d);

/** Turn the rows that the ranks have read into the team's panel. On a team of one rank
 * the rows are the panel and `panel` may be `rows` itself.
 * \param [in] read  this rank's share, [count, d] row-major.
 * \param [out] panel  zg_panel_size numbers. Collective over the team. */
void zg_panel_distribute(const zg_team *team, zg_precision precision, int64_t rows,
                         int64_t d, const void *read, void *panel);

/** Centre and scale a panel of rows that were distributed as they were read, in double.
 * \param [in]  mean  [d]
 * \param [out] wide  zg_panel_size numbers: (x - mean) * scale. Not collective. */
void zg_panel_widen(const zg_team *team, int64_t rows, int64_t d, const float *panel,
                    const double *mean, double scale, double *wide);

/** Strips of a larger team's tile: runs of columns that are whole blocks on every rank,
 * of which a product can be formed where there is no room for all of it. Not
 * collective. */
int64_t zg_tile_strips(const zg_team *team, const zg_tile *tile);
/** Numbers of the largest strip that any rank has of a tile whose edges are at most
 * `edge`; of the tile on a team of one rank. Not collective. */
int64_t zg_tile_strip_largest(const zg_team *team, int64_t edge);
/** The part of strip k that this rank holds, as zg_tile_block has that of the tile. Its
 * columns begin behind block.column_of - tile->column_of others. */
zg_block zg_tile_strip(const zg_tile *tile, int64_t k, zg_precision precision,
                       void *values, bool diagonal);
/** zg_tile_product of strip k alone: p?gemm.
 * \param [out] K  this rank's part, local_rows x the strip's local columns; with I == J
 * what lies above the strip's square on the diagonal is left as it is. Collective over
 * the team. */
void zg_tile_strip_product(const zg_team *team, zg_precision precision,
                           const zg_tile *tile, int64_t k, int64_t d, const void *left,
                           const void *right, void *K);

/** K := X_I X_J'. With I == J (the same pointer) only the lower triangle is formed:
 * p?syrk; else p?gemm.
 * \param [in] left, right  panels of tile->rows x d and tile->columns x d.
 * \param [out] K  this rank's part, local_rows x local_columns. Collective over the
 * team. */
void zg_tile_product(const zg_team *team, zg_precision precision, const zg_tile *tile,
                     int64_t d, const void *left, const void *right, void *K);

#endif
