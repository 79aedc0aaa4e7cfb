/** \file
 * Ends that libraries bring about. Where an allocation of ours fails, base/memory.h
 * ends the program with 71. A library may do anything then: say so (HDF5: zoo/h5.h),
 * follow the null pointer, or call abort() (FFTW), or exit() with a code of its own.
 * The last three become the same end here: 71, and one message. Not collective. */
#ifndef ZG_BASE_CRASH_H
#define ZG_BASE_CRASH_H

/** Watch the process, and the children that it forks, from now on.
 *
 * A segmentation fault next to address zero, or abort(), while errno still says ENOMEM
 * is memory that was not there: errno is the thread's own, and no other call of it has
 * failed since. The handler calls nothing but write and _exit. Any other such fault
 * ends the process as it would have done, after a trace of the calls, which Open MPI
 * would have printed. Call it before MPI starts, and first of all. */
void zg_crash_watch(void);
/** MPI has started, and what it uses may have taken the signals for itself (UCX does):
 * take them back; other faults go there. Nothing happens where nothing is watched. */
void zg_crash_keep_watching(void);

/** From here on exit() is what the program wants. \return `code`, for the end of main.
 */
int zg_crash_leave(int code);

/** Whether an address sanitizer is there, which reserves terabytes and tells of faults
 * itself, on standard error. */
#ifdef __SANITIZE_ADDRESS__
enum { ZG_SANITIZED = 1 };
#else
enum { ZG_SANITIZED = 0 };
#endif

#endif
