#include "cli/heatmap.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  LABEL = 20,   /* columns of a label at most */
  LINES = 24,   /* a small tensor is enlarged up to so many lines, */
  MOST_ZOOM = 8 /* and each entry up to so many pixels */
};

/* A run of neighbouring entries of the same model. */
typedef struct model_run {
  int64_t first, count;
} model_run;

/* The entries [from, to) that one pixel shows; none in a gap between models. */
typedef struct span {
  int64_t from, to;
  int64_t label; /* an entry whose model is named beside this pixel, or -1 */
} span;

/* One side of the picture. */
typedef struct layout {
  span *spans;
  int64_t pixels;
  int64_t block; /* entries per pixel at most */
  bool gaps;
} layout;

typedef struct drawing {
  layout down, across;
  double *values;   /* [down.pixels, across.pixels] means of the finite entries; NaN if
                       none */
  double low, high; /* of these means; low > high when there are none */
} drawing;

/* Length of the model's name in "<model>/<layer>". */
static size_t model_length(const char *name) {
  return strcspn(name, "/");
}

static bool same_model(const char *a, const char *b) {
  size_t length = model_length(a);
  return length == model_length(b) && !strncmp(a, b, length);
}

static model_run *find_groups(const zg_list *names, int64_t *count) {
  model_run *groups = ZG_NEW(model_run, names->count);
  *count = 0;
  for (int64_t k = 0; k < names->count; k++) {
    if (!k || !same_model(names->items[k], names->items[k - 1]))
      groups[(*count)++] = (model_run){.first = k};
    groups[*count - 1].count++;
  }
  return groups;
}

static int64_t pixels_needed(const model_run *groups, int64_t count, int64_t block,
                             bool gaps) {
  int64_t pixels = gaps ? count - 1 : 0;
  for (int64_t g = 0; g < count; g++)
    pixels += zg_ceil_div(groups[g].count, block);
  return pixels;
}

/* Append the pixels of one group, each entry `zoom` times, after a gap if needed. */
static void add_group(layout *side, const model_run *group, int64_t zoom) {
  if (side->gaps && side->pixels) side->spans[side->pixels++] = (span){.label = -1};
  int64_t end = group->first + group->count;
  for (int64_t from = group->first; from < end; from += side->block)
    for (int64_t z = 0; z < zoom; z++) {
      bool starts = from == group->first && z == 0;
      side->spans[side->pixels++] = (span){.from = from,
                                           .to = zg_min(from + side->block, end),
                                           .label = starts ? from : -1};
    }
}

/* Names that are cut into groups so small that not each gets a pixel: one group for
 * all, with labels where a pixel starts in another model than the one before. */
static void label_changes(layout *side, const zg_list *names) {
  for (int64_t p = 1; p < side->pixels; p++) {
    int64_t here = side->spans[p].from, before = side->spans[p - 1].from;
    if (!same_model(names->items[here], names->items[before]))
      side->spans[p].label = here;
  }
}

/* Lay out a side in at most `limit` pixels: models apart from one another if that fits,
 * entries enlarged up to a comfortable number of pixels, or averaged over blocks. */
static layout lay_out(const zg_list *names, int64_t limit, int64_t comfortable) {
  int64_t count;
  model_run *groups = find_groups(names, &count);
  layout side = {.block = 1};
  bool merged = count > limit;
  if (merged) groups[0].count = names->count, count = 1;
  /* A gap is worth a pixel where all entries fit or each model has three pixels. */
  side.gaps = count < names->count &&
              (names->count + count - 1 <= limit || 4 * count - 1 <= limit);
  while (pixels_needed(groups, count, side.block, side.gaps) > limit)
    side.block++;
  int64_t gaps = side.gaps ? count - 1 : 0;
  int64_t zoom = (zg_min(limit, comfortable) - gaps) / names->count;
  zoom = zg_max(1, zg_min(zoom, MOST_ZOOM));
  side.spans = ZG_NEW(span, zg_max(limit, names->count * zoom + gaps));
  for (int64_t g = 0; g < count; g++)
    add_group(&side, &groups[g], zoom);
  if (merged) label_changes(&side, names);
  free(groups);
  return side;
}

static double block_mean(const zg_tensor *tensor, const span *down,
                         const span *across) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = down->from; i < down->to; i++)
    for (int64_t j = across->from; j < across->to; j++) {
      double value = tensor->values[i * tensor->columns + j];
      if (isfinite(value)) sum += value, count++;
    }
  return count ? sum / (double)count : NAN;
}

static void find_range(drawing *picture) {
  picture->low = INFINITY, picture->high = -INFINITY;
  for (int64_t k = 0; k < picture->down.pixels * picture->across.pixels; k++) {
    picture->low = fmin(picture->low, picture->values[k]); /* fmin and fmax skip NaN */
    picture->high = fmax(picture->high, picture->values[k]);
  }
}

static drawing make_picture(const zg_tensor *tensor, int64_t limit,
                            int64_t comfortable) {
  drawing picture = {.down = lay_out(&tensor->row_names, limit, comfortable),
                     .across = lay_out(&tensor->column_names, limit, comfortable)};
  int64_t width = picture.across.pixels;
  picture.values = ZG_NEW(double, picture.down.pixels *width);
  for (int64_t p = 0; p < picture.down.pixels; p++)
    for (int64_t q = 0; q < width; q++)
      picture.values[p * width + q] =
          block_mean(tensor, &picture.down.spans[p], &picture.across.spans[q]);
  find_range(&picture);
  return picture;
}

static void clear_picture(drawing *picture) {
  free(picture->down.spans);
  free(picture->across.spans);
  free(picture->values);
}

typedef enum ink_kind { INK_GAP, INK_UNDEFINED, INK_VALUE } ink_kind;

/* What a pixel shows: its kind and, of a value, its place between low (0) and high (1).
 */
typedef struct pixel {
  ink_kind kind;
  double level;
} pixel;

static double level_of(const drawing *picture, double value) {
  double range = picture->high - picture->low;
  return range > 0 ? fmin(fmax((value - picture->low) / range, 0), 1) : 1;
}

static pixel ink_at(const drawing *picture, int64_t p, int64_t q) {
  if (p >= picture->down.pixels) return (pixel){.kind = INK_GAP};
  const span *down = &picture->down.spans[p], *across = &picture->across.spans[q];
  double value = picture->values[p * picture->across.pixels + q];
  if (down->from == down->to || across->from == across->to)
    return (pixel){.kind = INK_GAP};
  if (isnan(value)) return (pixel){.kind = INK_UNDEFINED};
  return (pixel){.kind = INK_VALUE, .level = level_of(picture, value)};
}

typedef struct colour {
  int red, green, blue;
} colour;

/* From dark blue over green to yellow, rising evenly in lightness, so that it reads in
 * grey and by those who do not tell red from green. Red itself is left for what is
 * undefined. */
static const colour ramp[] = {
    {68, 1, 84},    {71, 39, 119},  {62, 73, 137},  {49, 103, 142}, {38, 130, 142},
    {31, 157, 138}, {54, 183, 121}, {109, 205, 89}, {180, 221, 44}, {253, 231, 37}};
static const colour undefined_colour = {220, 50, 47};

static int mix(int a, int b, double part) {
  return (int)lround(a + part * (b - a));
}

static colour colour_of(pixel ink) {
  enum { STEPS = sizeof ramp / sizeof *ramp - 1 };
  if (ink.kind != INK_VALUE) return undefined_colour;
  int k = (int)fmin(ink.level * STEPS, STEPS - 1);
  double part = ink.level * STEPS - k;
  return (colour){mix(ramp[k].red, ramp[k + 1].red, part),
                  mix(ramp[k].green, ramp[k + 1].green, part),
                  mix(ramp[k].blue, ramp[k + 1].blue, part)};
}

/* Nearest of the six levels 0, 95, 135, 175, 215, 255 of the 256-colour cube. */
static int cube_level(int value) {
  return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
}

/* Escape sequence for a foreground (38) or background (48). */
static void print_colour(int layer, pixel ink, zg_colours colours) {
  colour c = colour_of(ink);
  if (colours == ZG_COLOURS_TRUE)
    printf("\033[%d;2;%d;%d;%dm", layer, c.red, c.green, c.blue);
  else
    printf("\033[%d;5;%dm", layer,
           16 + 36 * cube_level(c.red) + 6 * cube_level(c.green) + cube_level(c.blue));
}

/* Two pixels, one above the other, as one character; a gap keeps the terminal's ground.
 */
static void print_halves(pixel upper, pixel lower, zg_colours colours) {
  enum { FOREGROUND = 38, BACKGROUND = 48 };
  if (upper.kind == INK_GAP && lower.kind == INK_GAP) {
    printf(" ");
    return;
  }
  if (upper.kind == INK_GAP) {
    print_colour(FOREGROUND, lower, colours);
    printf("▄\033[0m");
    return;
  }
  print_colour(FOREGROUND, upper, colours);
  if (lower.kind != INK_GAP) print_colour(BACKGROUND, lower, colours);
  printf("▀\033[0m");
}

static void print_shade(pixel ink) {
  static const char *const shades[] = {"  ", "░░", "▒▒", "▓▓", "██"};
  enum { SHADES = sizeof shades / sizeof *shades };
  if (ink.kind == INK_VALUE)
    printf("%s", shades[(int)fmin(ink.level * SHADES, SHADES - 1)]);
  else
    printf("%s", ink.kind == INK_UNDEFINED ? "??" : "  ");
}

/* The model that is named beside the pixels [from, to), or an empty field. */
static void print_label(const layout *side, int64_t from, int64_t to,
                        const zg_list *names, int width) {
  int64_t entry = -1;
  for (int64_t p = from; p < zg_min(to, side->pixels) && entry < 0; p++)
    entry = side->spans[p].label;
  char *label = zg_strdup(entry < 0 ? "" : names->items[entry]);
  label[model_length(label)] = 0;
  zg_print_field(label, width);
  free(label);
  printf(" ");
}

static int label_width(const zg_list *names) {
  int width = 0;
  for (int64_t k = 0; k < names->count && width < LABEL; k++) {
    char *label = zg_strdup(names->items[k]);
    label[model_length(label)] = 0;
    width = (int)zg_max(width, zg_display_width(label));
    free(label);
  }
  return (int)zg_min(width, LABEL);
}

static void print_rows(const drawing *picture, const zg_list *names, int width,
                       zg_colours colours) {
  int64_t step = colours == ZG_COLOURS_NONE ? 1 : 2;
  for (int64_t p = 0; p < picture->down.pixels; p += step) {
    print_label(&picture->down, p, p + step, names, width);
    for (int64_t q = 0; q < picture->across.pixels; q++)
      if (colours == ZG_COLOURS_NONE)
        print_shade(ink_at(picture, p, q));
      else
        print_halves(ink_at(picture, p, q), ink_at(picture, p + 1, q), colours);
    printf("\n");
  }
}

static void print_scale(zg_colours colours) {
  enum { STEPS = 24 };
  if (colours == ZG_COLOURS_NONE)
    for (int k = 0; k < 5; k++)
      print_shade((pixel){INK_VALUE, k / 4.0});
  else
    for (int k = 0; k < STEPS; k++) {
      pixel ink = {INK_VALUE, k / (STEPS - 1.0)};
      print_halves(ink, ink, colours);
    }
}

static void print_legend(const drawing *picture, int width, zg_colours colours) {
  pixel undefined = {.kind = INK_UNDEFINED};
  printf("%*s", width + 1, "");
  if (picture->low <= picture->high) {
    printf("%.4g [", picture->low);
    print_scale(colours);
    printf("] %.4g   ", picture->high);
  }
  if (colours == ZG_COLOURS_NONE)
    print_shade(undefined);
  else
    print_halves(undefined, undefined, colours);
  printf(" undefined\n");
  if (picture->down.block > 1)
    printf("%*seach block is a mean of up to %lld x %lld entries\n", width + 1, "",
           (long long)picture->down.block, (long long)picture->across.block);
}

void zg_heatmap_print(const zg_tensor *tensor, zg_colours colours, int columns) {
  if (!tensor->rows || !tensor->columns) return;
  int width = label_width(&tensor->row_names);
  int room = columns - width - 1;
  bool halves = colours != ZG_COLOURS_NONE;
  drawing picture = halves ? make_picture(tensor, room, 2 * LINES)
                           : make_picture(tensor, room / 2, LINES);
  print_rows(&picture, &tensor->row_names, width, colours);
  print_legend(&picture, width, colours);
  clear_picture(&picture);
}
