/** \file
 * What commands print with: aligned tables, the terminal's abilities, JSON. */
#ifndef ZG_CLI_OUTPUT_H
#define ZG_CLI_OUTPUT_H

#include "base/status.h"
#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>

/** A table; start with {.align = "lrr"}, fill row by row (the first row is the head),
 * end with zg_table_print. */
typedef struct zg_table {
  const char *align; /**< one letter per column: l or r */
  zg_list cells;     /**< row by row */
} zg_table;

/** Append a cell. */
void zg_table_add(zg_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Append several cells, up to NULL. */
void zg_table_add_row(zg_table *table, const char *const *cells);
/** Width in columns of the terminal, without the indent. */
int zg_table_width(const zg_table *table);
/** Print on standard output, two blanks between columns, and clear the table. */
void zg_table_print(zg_table *table, int indent);

/** Columns that a UTF-8 text takes on a terminal. */
int zg_display_width(const char *text);
/** Print a text in a field: cut with an ellipsis when longer, else padded on the right;
 * control characters become '?'. */
void zg_print_field(const char *text, int width);
/** Print a long text in lines of at most the terminal's width, all but the first word
 * indented by `indent`. */
void zg_print_wrapped(const char *text, int indent);

/** Columns of the terminal: COLUMNS, else what the terminal says, else 80. */
int zg_terminal_columns(void);

typedef enum zg_colours { ZG_COLOURS_NONE, ZG_COLOURS_256, ZG_COLOURS_TRUE } zg_colours;
/** What to draw with.
 * \param [in] choice  "always", "never", "auto" or NULL (auto: on a terminal, unless
 * NO_COLOR is set). \return ZG_ERR_USAGE for another word. */
zg_status zg_terminal_colours(const char *choice, zg_colours *colours);

/** A string; when it is no UTF-8, its bytes beyond ASCII are replaced by '?'. */
json_t *zg_json_text(const char *text);
/** A number; null when it is not finite. */
json_t *zg_json_number(double value);
/** A number where the text is one, else a string. */
json_t *zg_json_value(const char *text);
/** A list of strings. */
json_t *zg_json_list(const zg_list *list);
/** Print on standard output and destroy. */
void zg_json_print(json_t *root);

#endif
