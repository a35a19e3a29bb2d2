/* SPDX-License-Identifier: BSD-3-Clause */
/* rankpool.h - ranked, pinned worker processes and a pool that maps functions over data,
 * on one machine or across nodes through MPI.
 *
 * Errors:  a negative return is a negated errno, 0 or a count is success.  Where a last parameter `err` is
 *          shown it may be NULL (say nothing), the caller's (filled on failure, untouched on success), or
 *          RP_FATAL (print the sentence on stderr and exit(1)).
 * Handles: opaque; a constructor sets *ret to NULL when it fails; every call takes a NULL handle and answers
 *          -EINVAL; _free takes NULL and returns NULL.
 * Threads: a pool may be used by several threads at once, any other handle by one at a time.
 * Memory:  what a call is given is borrowed until it returns; what a handle gives out lives as long as the handle. */
#ifndef RANKPOOL_H
#define RANKPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rp_process;
struct rp_task;
struct rp_pool;
struct rp_future;

/* ---- words ------------------------------------------------------------------------------------------- */

#define RP_FOREVER     INT64_C(-1)
#define RP_MILLISECOND INT64_C(1000000)
#define RP_SECOND      INT64_C(1000000000)

#define RP_UNUSED __attribute__((unused))      /* static int f(struct rp_task *task RP_UNUSED, ...) */

struct rp_error {
	int32_t code;                          /* what the call returned */
	int32_t reserved;
	size_t index;                          /* the item it is about, SIZE_MAX: none */
	char text[496];                        /* one sentence, always 0-terminated */
};
extern const struct rp_error rp_fatal;
#define RP_FATAL ((struct rp_error *)&rp_fatal)

enum rp_kind { RP_PROCESSES = 0, RP_THREADS = 1 };

enum rp_state {                                /* what became of an item; 0 is never success */
	RP_PENDING   = 0,                      /* not finished, or never run */
	RP_OK        = 1,
	RP_FAILED    = 2,                      /* the task returned non-zero: code is that value */
	RP_DIED      = 3,                      /* its worker died: code is the exit code, or -signal */
	RP_TIMED_OUT = 4,
	RP_CANCELLED = 5
};
const char *rp_state_name(int state);          /* "pending" "ok" "failed" "died" "timed out" "cancelled" */

enum rp_flag {                                 /* one space for all calls: a flag in the wrong place is -EINVAL */
	RP_DAEMON          = 1 << 0,           /* process: terminated at exit instead of joined */
	RP_LOCAL           = 1 << 1,           /* start, pool: this node only, never MPI */
	RP_INHERIT_BINDING = 1 << 2,           /* start, pool: keep the CPUs this process is bound to */
	RP_FAIL_FAST       = 1 << 3,           /* map: after the first bad item start no other */
	RP_RESUME          = 1 << 4,           /* map: items that are RP_OK in outcomes are not run again */
	RP_RETRY_LOST      = 1 << 5,           /* map, imap, submit: tries counts for RP_DIED and RP_TIMED_OUT only */
	RP_UNORDERED       = 1 << 6,           /* imap: results as they finish */
	RP_TIMES           = 1 << 7            /* map, imap, submit: fill started and ended (a clock costs 20 ns an item) */
};

struct rp_bytes {                              /* a piece of memory of any size */
	const void *data;
	size_t size;
};
struct rp_bytes rp_text(const char *string);   /* borrows it; its size counts the 0 */
void rp_bytes_free(struct rp_bytes *bytes, size_t count);   /* gives back results of rp_pool_map_bytes, leaves {NULL, 0} */

struct rp_outcome {
	uint16_t state;                        /* enum rp_state */
	uint16_t tries;                        /* made so far */
	int32_t code;                          /* see enum rp_state */
	int32_t rank, node;                    /* of the last try; -1: never started */
	int64_t started, ended;                /* with RP_TIMES, last try: ns since the epoch; ended - started is monotonic */
	const char *text;                      /* why, one sentence or what rp_task_fail said, whole; "" when RP_OK, never NULL */
	uint64_t reserved;
};

struct rp_worker_info {
	int32_t rank, node, local_rank;        /* over all nodes, of the node, within the node */
	int32_t pid;
	uint32_t restarts, reserved;
	uint64_t tasks;                        /* done by this rank */
	int64_t busy;                          /* ns */
	char host[64];
	char cpus[192];                        /* as hwloc lists: "0-3,8" */
};

/* Keyword arguments: RP_POOL(.workers = 4).  C: lives to the end of the block; C++: of the full expression. */
#define RP_START(...)   RP_OPTIONS(rp_start_options, __VA_ARGS__)
#define RP_PROCESS(...) RP_OPTIONS(rp_process_options, __VA_ARGS__)
#define RP_THREAD(...)  RP_OPTIONS(rp_process_options, __VA_ARGS__, .kind = RP_THREADS)
#define RP_POOL(...)    RP_OPTIONS(rp_pool_options, __VA_ARGS__)
#define RP_MAP(...)     RP_OPTIONS(rp_map_options, __VA_ARGS__)

/* Fill .arg and .arg_size together: from a variable (not a pointer), from a string. */
#define RP_ARG(variable)     .arg = &(variable), .arg_size = sizeof(variable)
#define RP_ARG_TEXT(string)  .arg = rp_text(string).data, .arg_size = rp_text(string).size

/* ---- run time ---------------------------------------------------------------------------------------- */

int rp_init(int *argc, char ***argv, struct rp_error *err);
int rp_finalize(void);

struct rp_start_options {
	size_t size;
	const void *comm;                      /* points at an MPI_Comm; NULL: MPI_COMM_WORLD, or RP_LOCAL when there is none */
	uint32_t flags;                        /* RP_LOCAL, RP_INHERIT_BINDING */
	uint32_t reserved;
};
int rp_start(const struct rp_start_options *options, struct rp_error *err);   /* 0: manager; 1: has served, is free again */

const char *rp_version(void);
int rp_cpu_count(void);
int rp_node_count(void);

/* ---- one process or thread --------------------------------------------------------------------------- */

#define RP_RUNNING     INT32_MIN               /* rp_process_exitcode: no exit code yet */
#define RP_NOT_STARTED (INT32_MIN + 1)
#define RP_UNKNOWN     (INT32_MIN + 2)         /* somebody else reaped it */

typedef int rp_target(const void *arg, size_t arg_size);

struct rp_process_options {
	size_t size;
	rp_target *target;
	const void *arg;                       /* copied by rp_process_new */
	size_t arg_size;
	const char *name;                      /* NULL: "Process-N" */
	const char *bind;                      /* an hwloc location, "core:3"; NULL: anywhere */
	uint32_t kind;
	uint32_t flags;                        /* RP_DAEMON */
	int32_t node;                          /* 0: the manager's */
	uint32_t reserved;
};
int rp_process_new(struct rp_process **ret, const struct rp_process_options *options, struct rp_error *err);
int rp_process_start(struct rp_process *process, struct rp_error *err);
int rp_process_join(struct rp_process *process, int64_t timeout);
int rp_process_exitcode(const struct rp_process *process);
int rp_process_is_alive(struct rp_process *process);
pid_t rp_process_pid(const struct rp_process *process);
const char *rp_process_name(const struct rp_process *process);
int rp_process_sentinel(const struct rp_process *process);
int rp_process_terminate(struct rp_process *process);
int rp_process_kill(struct rp_process *process);
struct rp_process *rp_process_free(struct rp_process *process);
int rp_active_children(void);

/* ---- inside a task ----------------------------------------------------------------------------------- */

typedef int rp_task_fn(struct rp_task *task, const void *in, void *out);

size_t rp_task_index(const struct rp_task *task);
size_t rp_task_in_size(const struct rp_task *task);
uint32_t rp_task_try(const struct rp_task *task);                   /* 1 the first time */
uint64_t rp_task_seed(const struct rp_task *task);                  /* depends on .seed and the index, on nothing else */
int rp_task_rank(const struct rp_task *task);
const struct rp_worker_info *rp_task_worker(const struct rp_task *task);
int rp_task_cancelled(const struct rp_task *task);                  /* out of time, or nobody waits for the result */

const void *rp_task_arg(const struct rp_task *task, size_t *size);        /* .arg of the map */
const void *rp_task_init_arg(const struct rp_task *task, size_t *size);   /* .init_arg of the pool */
void rp_task_set_local(struct rp_task *task, void *local);          /* a pointer of this worker's own: set by init, */
void *rp_task_local(const struct rp_task *task);                    /* read by its tasks and by exit */

int rp_task_reply(struct rp_task *task, const void *data, size_t size);
int rp_task_fail(struct rp_task *task, const char *format, ...) __attribute__((format(printf, 2, 3), warn_unused_result));

/* ---- pool -------------------------------------------------------------------------------------------- */

struct rp_pool_options {
	size_t size;
	uint32_t workers;                      /* 0: one per allowed core, over all nodes */
	uint32_t kind;
	const char *cpus;                      /* where they may go: hwloc locations or a list; NULL: all that are allowed */
	const char *bind;                      /* what each is bound to: "core" "pu" "l3" "numa" "package" "none"; NULL: "core" */
	uint32_t cpus_per_worker;              /* 0: 1 */
	uint32_t flags;                        /* RP_LOCAL, RP_INHERIT_BINDING */
	rp_task_fn *init;                      /* once per worker, also per replacement; in: init_arg */
	const void *init_arg;                  /* shipped once per node, read-only there for the life of the pool */
	size_t init_arg_size;
	uint64_t max_tasks;                    /* a worker retires after so many; 0: never */
	rp_task_fn *exit;                      /* once per worker that retires in order */
};
int rp_pool_new(struct rp_pool **ret, const struct rp_pool_options *options, struct rp_error *err);
int rp_pool_plan(const struct rp_pool_options *options, const char *topology,
                 struct rp_worker_info *infos, size_t count, struct rp_error *err);
int rp_pool_workers(const struct rp_pool *pool);
int rp_pool_worker(const struct rp_pool *pool, int rank, struct rp_worker_info *ret);
int rp_pool_close(struct rp_pool *pool);
int rp_pool_terminate(struct rp_pool *pool);
int rp_pool_join(struct rp_pool *pool, int64_t timeout);
struct rp_pool *rp_pool_free(struct rp_pool *pool);                  /* terminates and joins what still runs */

/* ---- map --------------------------------------------------------------------------------------------- */

struct rp_map_options {
	size_t size;
	size_t chunk;                          /* 0: chosen */
	int64_t timeout;                       /* of each try of each item; 0: none */
	uint32_t tries;                        /* 0: 1 */
	uint32_t flags;                        /* RP_FAIL_FAST, RP_RESUME, RP_RETRY_LOST */
	const void *arg;                       /* shipped once per node and call, read by rp_task_arg */
	size_t arg_size;
	struct rp_outcome *outcomes;           /* one per item */
	void (*progress)(size_t done, size_t total, void *user);
	void *user;                            /* of progress and finished */
	int (*finished)(size_t index, const struct rp_outcome *outcome, void *user);   /* non-zero: cancel the rest */
	int64_t total_timeout;                 /* of the whole call; 0: none */
	uint64_t seed;                         /* of rp_task_seed */
};

/* rp_pool_map(pool, fn, in, out, count [, options [, err]]) */
#define rp_pool_map(pool, fn, in, out, ...) RP_MAP_CALL(pool, fn, in, out, __VA_ARGS__, NULL, NULL, 0)
#define RP_MAP_CALL(pool, fn, in, out, count, options, err, ...) \
	rp_pool_map_array(pool, fn, in, RP_ITEM_SIZE(in), out, RP_ITEM_SIZE(out), count, options, err)

int rp_pool_map_array(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                      size_t count, const struct rp_map_options *options, struct rp_error *err);
int rp_pool_map_bytes(struct rp_pool *pool, rp_task_fn *fn, const struct rp_bytes *in, struct rp_bytes *out,
                      size_t count, const struct rp_map_options *options, struct rp_error *err);
int rp_pool_apply(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                  struct rp_error *err);
void rp_outcomes_clear(struct rp_outcome *outcomes, size_t count);  /* gives the texts back early; optional */

/* ---- futures ----------------------------------------------------------------------------------------- */

int rp_pool_submit(struct rp_future **ret, struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size,
                   size_t out_size, const struct rp_map_options *options, struct rp_error *err);
int rp_pool_map_async(struct rp_future **ret, struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size,
                      void *out, size_t out_size, size_t count, const struct rp_map_options *options,
                      struct rp_error *err);
int rp_future_wait(struct rp_future *future, int64_t timeout);
int rp_future_wait_any(struct rp_future *const *futures, size_t count, int64_t timeout);
int rp_future_wait_all(struct rp_future *const *futures, size_t count, int64_t timeout);
int rp_future_done(const struct rp_future *future);
int rp_future_get(struct rp_future *future, void *out, size_t out_size, int64_t timeout, struct rp_error *err);
const void *rp_future_data(const struct rp_future *future, size_t *size);
const struct rp_outcome *rp_future_outcome(const struct rp_future *future);
int rp_future_cancel(struct rp_future *future);
int rp_future_kill(struct rp_future *future);
struct rp_future *rp_future_free(struct rp_future *future);

/* A descriptor of the pool's own that polls readable when a future has ended since it was last read.  Read its 8 bytes
 * (that never blocks once it polled readable) before looking at the futures, so that no end is missed. */
int rp_pool_fd(struct rp_pool *pool);

/* ---- arena memory ------------------------------------------------------------------------------------ */

void *rp_alloc(size_t size);                   /* NULL and errno; aligned to 64; not zeroed; lives until rp_free or rp_finalize */
void rp_free(const void *memory);

#ifdef __cplusplus
}
#endif

/* ---- what the macros above are made of --------------------------------------------------------------- */

/* Size of one item behind a typed pointer.  0 for pointers that say nothing about it (void *), and for arrays of
 * C strings, whose items would be addresses: the call then answers -EINVAL unless the pointer is NULL. */
#ifdef __cplusplus
template <typename T> struct rp_item_ { enum : size_t { size = sizeof(T) }; };
template <> struct rp_item_<char *> { enum : size_t { size = 0 }; };
template <> struct rp_item_<const char *> { enum : size_t { size = 0 }; };
template <typename T> inline size_t rp_item_size_(const T *) { return rp_item_<T>::size; }
inline size_t rp_item_size_(const void *) { return 0; }
template <typename T> inline const T *rp_borrow_(const T &options) { return &options; }
#define RP_ITEM_SIZE(p) rp_item_size_(p)
#define RP_OPTIONS(type, ...) (rp_borrow_(type{ .size = sizeof(type), __VA_ARGS__ }))
#else
#define RP_ITEM_SIZE(p) _Generic((p), \
	void *: 0, const void *: 0, char **: 0, const char **: 0, char *const *: 0, const char *const *: 0, \
	default: sizeof *_Generic((p), void *: "", const void *: "", default: (p)))
#define RP_OPTIONS(type, ...) (&(const struct type){ .size = sizeof(struct type), __VA_ARGS__ })
#endif

#endif
