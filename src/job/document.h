/** \file
 * A YAML text as a tree that remembers lines, so that whoever reads it can say where
 * something is wrong. Knows nothing of jobs. Not collective.
 *
 * Access never follows more than one step, so anchors that contain themselves are
 * harmless. */
#ifndef ZG_JOB_DOCUMENT_H
#define ZG_JOB_DOCUMENT_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct zg_document zg_document;
/** A value of the document, borrowed from it. */
typedef struct yaml_node_s zg_node;

typedef enum zg_node_type {
  ZG_NODE_EMPTY, /**< nothing, ~ or null */
  ZG_NODE_SCALAR,
  ZG_NODE_LIST,
  ZG_NODE_MAPPING
} zg_node_type;

/** Load a text of exactly one document, in UTF-8.
 * \param [in]  path      only for messages.
 * \param [out] document  created; destroy with zg_document_destroy.
 * \return ZG_ERR_JOB, naming path and line, for what is no YAML, empty, several
 * documents or nested beyond reason. */
zg_status zg_document_load(const char *path, const char *text, zg_document **document);
void zg_document_destroy(zg_document **document);
const zg_node *zg_document_root(const zg_document *document);

/** Record a failure "path:line: ..." at this node. \return ZG_ERR_JOB. */
zg_status zg_document_fail(const zg_document *document, const zg_node *node,
                           const char *format, ...)
    __attribute__((format(printf, 3, 4)));

zg_node_type zg_node_type_of(const zg_node *node);
/** First line of the value, from 1. */
int zg_node_line(const zg_node *node);
/** Entries of a list or mapping; 0 for others. */
int64_t zg_node_count(const zg_node *node);
/** Entry `k` of a list, or the value of entry `k` of a mapping. */
const zg_node *zg_node_item(const zg_document *document, const zg_node *node,
                            int64_t k);
/** The key of entry `k` of a mapping. */
const zg_node *zg_node_key(const zg_document *document, const zg_node *node, int64_t k);

/** The characters of a scalar, quoted or not; "" for anything else. */
const char *zg_node_scalar(const zg_node *node);
/** The value as text: a scalar that is not empty and, unless quoted, does not read as a
 * number, a boolean or null. \return NULL when it is none. */
const char *zg_node_as_text(const zg_node *node);
/** The value as a finite decimal number, which must not be quoted. */
bool zg_node_as_number(const zg_node *node, double *value);

enum { ZG_NODE_WORDS = 80 };
/** What a value is, for "expected ..., found ...": "'many'", "the text \"4\"", "a
 * list". \return the buffer. */
char *zg_node_describe(const zg_node *node, char buffer[ZG_NODE_WORDS]);

/** Record "unknown option 'bandwith' of measure cka: did you mean 'bandwidth'?" at a
 * node.
 * \param [in] noun  "key", "option", "measure".
 * \param [in] owner  " of measure cka", or "".
 * \param [in] known  what is known instead.
 * \return ZG_ERR_JOB. */
zg_status zg_document_unknown(const zg_document *document, const zg_node *node,
                              const char *noun, const char *owner,
                              const char *const *known, int64_t count);

/** Find where each of the known names stands among the keys of a mapping.
 * \param [in]  noun, owner  as for zg_document_unknown.
 * \param [out] place        [count]; the entry whose key is known[k], or -1.
 * \return ZG_ERR_JOB for a key that is not known or is there twice. */
zg_status zg_document_find_keys(const zg_document *document, const zg_node *map,
                                const char *noun, const char *owner,
                                const char *const *known, int64_t count,
                                int64_t *place);

#endif
