/** \file
 * The item form: every item, a model or one array of a kind of data, is summarised by a
 * few numbers, its profile, and profiles are compared. */
#ifndef ZG_MEASURES_PROFILE_H
#define ZG_MEASURES_PROFILE_H

#include "measures/measure.h"
#include "zoo/reader.h"

#include <mpi.h>

enum { ZG_NOTE_BYTES = 256 };

/** What a task has found. */
typedef struct zg_finding {
  const void *shared;       /**< what zg_profile_form.share has made */
  double *values;           /**< [width], zeros to begin with */
  zg_code code;             /**< what is wrong with the data */
  char note[ZG_NOTE_BYTES]; /**< the same in words for the log, or empty */
} zg_finding;

typedef struct zg_profile_form {
  zg_data data;   /**< a task may read other data of its model besides */
  bool per_array; /**< a task is one array of the kind; else all of a model's */
  bool per_item;  /**< so is an item; else it is a model */
  /** Make what the call has to know of the whole zoo before its tasks begin. NULL:
   * nothing. Whatever comes back is given to `release`, also after an error.
   * Collective; the same status, and the same content, on all ranks. */
  zg_status (*share)(MPI_Comm comm, zg_reader *reader, const zg_zoo *zoo,
                     const zg_call *call, void **shared);
  void (*release)(void *shared);
  /** Bytes that it takes. */
  int64_t (*shared_memory)(const zg_call *call, const zg_zoo *zoo);
  /** Numbers that every pair of different items yields in a task of its own; 0: there
   * are no such tasks. */
  int64_t pair_numbers;
  /** Find those of items a > b.
   * \param [out] numbers  [pair_numbers], zeros to begin with. */
  void (*compare)(const zg_call *call, const void *shared, int64_t a, int64_t b,
                  double *numbers);
  /** Numbers that a task yields. */
  int64_t (*width)(const zg_call *call, const zg_zoo *zoo);
  /** Work of a task, in any unit: expensive ones are begun first. */
  double (*cost)(const zg_array *array);
  /** Bytes that a task on this array holds at most. */
  int64_t (*memory)(const zg_array *array);
  /** Bytes more that `measure_together` takes on one of so many ranks; NULL: none. */
  int64_t (*memory_together)(const zg_array *array, int ranks);
  /** Do a task: arrays [first, first + count) of the zoo, all of one model.
   * \return an error of reading; what is wrong with the numbers is a finding. */
  zg_status (*measure)(const zg_call *call, zg_reader *reader, const zg_zoo *zoo,
                       int64_t first, int64_t count, zg_finding *finding);
  /** Do a task that one rank has not done (status 7) again, all ranks together; NULL:
   * it stays. Collective. */
  zg_status (*measure_together)(MPI_Comm comm, zg_reader *reader, const zg_zoo *zoo,
                                int64_t first, zg_finding *finding);
  /** Numbers of a profile; the first ones are what the call keeps, in that order. NULL:
   * as many as a task yields. */
  int64_t (*profile_width)(const zg_call *call, const zg_zoo *zoo);
  /** An item's profile from what its tasks yielded, in order; codes already worst of
   * all. May change the code. NULL: it is what its only task yielded. */
  void (*summarise)(const zg_call *call, int64_t tasks, int64_t width,
                    const double *values, double *profile, zg_code *code);
} zg_profile_form;

/** Whether a task is one array. */
static inline bool zg_profile_by_array(const zg_profile_form *form) {
  return form->per_array || form->per_item;
}
/** Numbers of a profile. */
static inline int64_t zg_profile_numbers(const zg_profile_form *form,
                                         const zg_call *call, const zg_zoo *zoo) {
  return (form->profile_width ? form->profile_width : form->width)(call, zoo);
}

#endif
