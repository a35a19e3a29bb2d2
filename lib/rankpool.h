/* SPDX-License-Identifier: BSD-3-Clause */
/* rankpool.h - ranked, pinned worker processes and a pool that maps functions over data,
 * on one machine or across nodes through MPI.
 *
 *	static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
 *	{
 *		double x = *(const double *)in;
 *
 *		*(double *)out = x * x;
 *		return 0;
 *	}
 *	...
 *	rp_pool_new(&pool, NULL, RP_FATAL);                     one worker on each core
 *	rp_pool_map(pool, square, in, out, n, NULL, RP_FATAL);  out[i] = in[i] * in[i]
 *	pool = rp_pool_free(pool);
 *
 * Errors:  a negative return is a negated errno, 0 or a count is success.  Where a last parameter `err` is
 *          shown it may be NULL (say nothing), the caller's (filled on failure, untouched on success), or
 *          RP_FATAL (print the sentence on stderr and exit(1)).
 * Handles: opaque; a constructor sets *ret to NULL when it fails; every call takes a NULL handle and answers
 *          -EINVAL; _free takes NULL and returns NULL.  A handle that came with a fork is -EPERM in the child, where
 *          _free drops the copy and ends nothing.
 * Options: a struct made by the macro of its name, RP_POOL(.workers = 4), or NULL.  A field of 0 is its default;
 *          a flag that the call does not know is -EINVAL.
 * Threads: a pool may be used by several threads at once, any other handle by one at a time.
 * Memory:  what a call is given is borrowed until it returns; what a handle gives out lives as long as the handle.
 * Times:   nanoseconds in an int64_t.  As a parameter 0 looks and does not wait, RP_FOREVER waits without end; as a
 *          field of options 0 is no limit.
 * Signals: no call returns early because of one, and the library installs no handler. */
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

/* Why a call failed.  Need not be initialised. */
struct rp_error {
	int32_t code;                          /* what the call returned */
	int32_t reserved;
	size_t index;                          /* the item it is about, SIZE_MAX: none */
	char text[496];                        /* one sentence, always 0-terminated */
};

/* Given as `err` it ends the program when the call fails: "PROGRAM: sentence" on stderr, then exit(1). */
extern const struct rp_error rp_fatal;
#define RP_FATAL ((struct rp_error *)&rp_fatal)

/* What a pool's workers are, or what rp_process_start starts. */
enum rp_kind { RP_PROCESSES = 0, RP_THREADS = 1 };

enum rp_state {                                /* what became of an item; 0 is never success */
	RP_PENDING   = 0,                      /* not finished, or never run */
	RP_OK        = 1,
	RP_FAILED    = 2,                      /* the task returned non-zero: code is that value */
	RP_DIED      = 3,                      /* its worker died: code is the exit code, or -signal */
	RP_TIMED_OUT = 4,
	RP_CANCELLED = 5
};

/* "pending", "ok", "failed", "died", "timed out", "cancelled"; "unknown" for any other number.  A constant string. */
const char *rp_state_name(int state);

enum rp_flag {                                 /* one space for all calls: a flag in the wrong place is -EINVAL */
	RP_DAEMON          = 1 << 0,           /* process: terminated at exit instead of joined */
	RP_LOCAL           = 1 << 1,           /* start, pool: this node only, never MPI */
	RP_INHERIT_BINDING = 1 << 2,           /* start, pool: keep the CPUs this process is bound to */
	/* From here on names that are fixed and calls that are still to come: this version refuses them all. */
	RP_FAIL_FAST       = 1 << 3,           /* map: after the first bad item start no other */
	RP_RESUME          = 1 << 4,           /* map: items that are RP_OK in outcomes are not run again */
	RP_RETRY_LOST      = 1 << 5,           /* map, submit: tries counts for RP_DIED and RP_TIMED_OUT only */
	RP_UNORDERED       = 1 << 6,           /* streams: results as they finish */
	RP_TIMES           = 1 << 7            /* map, submit: fill started and ended */
};

struct rp_bytes {                              /* a piece of memory of any size */
	const void *data;
	size_t size;
};

/* The string as a piece of memory, with the 0 that ends it: a task that gets it reads a C string.  Borrows, copies
 * nothing.  NULL gives {NULL, 0}. */
struct rp_bytes rp_text(const char *string);

/* Gives back `count` results of rp_pool_map_bytes and leaves {NULL, 0} in each.  Entries that are {NULL, 0} already, and a
 * NULL array, are left alone.  The array itself is the caller's. */
void rp_bytes_free(struct rp_bytes *bytes, size_t count);

/* What became of one item. */
struct rp_outcome {
	uint16_t state;                        /* enum rp_state */
	uint16_t tries;                        /* made so far */
	int32_t code;                          /* see enum rp_state */
	int32_t rank, node;                    /* of the last try; -1: never started */
	int64_t started, ended;                /* with RP_TIMES: ns since the epoch, of the last try; else 0 */
	const char *text;                      /* why, one sentence or what rp_task_fail said, whole; "" when RP_OK, never
	                                        * NULL; the pool's, see .outcomes of struct rp_map_options */
	uint64_t reserved;
};

/* A worker: where it is, and what it has done. */
struct rp_worker_info {
	int32_t rank, node, local_rank;        /* over all nodes, of the node, within the node */
	int32_t pid;                           /* 0 in a plan */
	uint32_t restarts, reserved;           /* how often this rank got a new process */
	uint64_t tasks;                        /* done by this rank */
	int64_t busy;                          /* ns */
	char host[64];
	char cpus[192];                        /* as hwloc lists: "0-3,8"; as its mask when that is too long */
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

/* ---- run time ----------------------------------------------------------------------------------------
 *
 * A program on one machine needs none of these.  One that calls rp_init first thing in main has its workers forked from
 * what it was then: small, without threads, and the same however often pools are opened.  The likeliest mistake is to set
 * a global after rp_init and to read it in a task: tasks see the memory of rp_init, or, in a program that does not call
 * it, the memory of rp_pool_new.  What is set later goes through .arg, .init_arg or rp_alloc. */

/* The same as rp_start(NULL, err); argc and argv may be NULL and are left as they are.  Blocks for a few milliseconds, under
 * a launcher until all ranks have come.  Started by mpirun or srun, rank 0 returns as the manager of all nodes; every other
 * rank works for it, does not return, and exits with 0 when the manager has ended, with 1 when the manager was lost.
 * Negative: nothing was started. */
int rp_init(int *argc, char ***argv, struct rp_error *err);

/* Undoes one rp_start; the last one ends the pools and processes that are still there, whose handles stay to be freed.  0
 * also when there is nothing to undo.  A program may leave without it. */
int rp_finalize(void);

struct rp_start_options {
	size_t size;
	const void *comm;                      /* at an MPI_Comm; NULL: MPI_COMM_WORLD, or RP_LOCAL when there is none */
	uint32_t flags;                        /* RP_LOCAL, RP_INHERIT_BINDING */
	uint32_t reserved;
};

/* For code that does not own main.  Forks the process that will fork all workers, so call it while the program is small
 * and has no threads.  Calls are counted: each wants its rp_finalize, and a library that makes both ends nothing of its
 * caller's.  0 in the manager, which goes on; 1 in a process that has served it and is free again.
 * Under a launcher (OMPI_COMM_WORLD_SIZE, PMIX_RANK, PMI_RANK or PMI_FD is set), and without RP_LOCAL, this initialises MPI
 * in a thread of its own: collective over all ranks, once in the life of a program.  Where every node has one rank, its
 * workers are as many as its cores; where one has several, each rank stands for one worker.  A worker that dies costs its
 * item and never a rank, so that the job goes on.  A node of which nothing was heard for 10 s is lost, and pools that have
 * workers there are broken.
 * -EALREADY: MPI is initialised already; call this before, or with RP_LOCAL.  -EPROTO: the launcher says more ranks than
 * MPI, as with another MPI's mpirun, or ranks run different versions of this library.  -ENOTSUP: .comm. */
int rp_start(const struct rp_start_options *options, struct rp_error *err);

/* "0.1.0": of the library that runs, not of the header that was compiled. */
const char *rp_version(void);

/* CPUs (hardware threads) that this program may use on this node: affinity mask, cgroup cpuset, cgroup quota and
 * what a batch scheduler has given to the job all count.  At least 1. */
int rp_cpu_count(void);

/* CPUs' worth of time that cgroups grant this program on this node, 1.5 for a quota of 150 ms every 100 ms; 0: no limit. */
double rp_cpu_quota(void);

/* CPUs of this node that the batch scheduler (Slurm, PBS, LSF, Grid Engine) has given to the job, where affinity and cgroups
 * would allow more; 0: no limit.  *scheduler is its name or "", a constant string; NULL: not wanted. */
int rp_cpu_grant(const char **scheduler);

/* Nodes of the MPI job, at least 1; the manager's is number 0. */
int rp_node_count(void);

/* ---- one process or thread ---------------------------------------------------------------------------
 *
 * A process runs one function beside its parent, with a copy of the parent's memory: that of rp_process_start, or of
 * rp_init in a program that called it.  stdin is /dev/null; stdout and stderr are flushed before the fork and at the end,
 * so that output appears once; it leaves by _exit, also when it calls exit, and runs no atexit handler of its parent's.
 * When its parent ends, however that happens, it ends too. */

#define RP_RUNNING     INT32_MIN               /* rp_process_exitcode: no exit code yet */
#define RP_NOT_STARTED (INT32_MIN + 1)
#define RP_UNKNOWN     (INT32_MIN + 2)         /* somebody else reaped it */

/* What a process runs.  arg is its own copy, NULL without one.  The value & 255 is the exit code. */
typedef int rp_target(const void *arg, size_t arg_size);

struct rp_process_options {
	size_t size;
	rp_target *target;
	const void *arg;                       /* copied by rp_process_new */
	size_t arg_size;
	const char *name;                      /* NULL: "Process-N" */
	const char *bind;                      /* an hwloc location, "core:3"; NULL: anywhere */
	uint32_t kind;
	uint32_t flags;                        /* RP_DAEMON; what a daemon starts is a daemon without it */
	int32_t node;                          /* 0: the manager's; below rp_node_count */
	uint32_t reserved;
};

/* Makes a handle and starts nothing.  .target is needed, everything else has a default.  *ret is the caller's, for
 * rp_process_free.  -EINVAL: no target, a location that is not on this machine, an unknown kind or node, a thread on
 * another node. */
int rp_process_new(struct rp_process **ret, const struct rp_process_options *options, struct rp_error *err);

/* Starts it, once: a second time is -EINVAL. Returns when it runs. -EAGAIN, -ENOMEM: the system has no room for
 * another process. On another node: -EINVAL (a location that is not there), -ENOEXEC (another build of the program),
 * -ENOLINK (the node is lost). */
int rp_process_start(struct rp_process *process, struct rp_error *err);

/* Waits up to `timeout` for its end.  0: it has ended, also when it had before; -ETIMEDOUT: not yet; -EINVAL: not
 * started; -EDEADLK: a thread that waits for itself. */
int rp_process_join(struct rp_process *process, int64_t timeout);

/* Its exit code 0..255, -signal when a signal killed it, else RP_RUNNING, RP_NOT_STARTED or RP_UNKNOWN, which a handle of
 * another process is, too.  Never an errno, never blocks. */
int rp_process_exitcode(const struct rp_process *process);

/* 1 while it runs, 0 before and after.  Never blocks. */
int rp_process_is_alive(struct rp_process *process);

/* The pid on its node, also after the end; 0 before the start.  A thread has that of its process. */
pid_t rp_process_pid(const struct rp_process *process);

/* The name, as long as the handle lives. */
const char *rp_process_name(const struct rp_process *process);

/* A descriptor that polls readable once it has ended, for poll() beside others.  The handle's: do not close or read it.
 * -EINVAL before the start. */
int rp_process_sentinel(const struct rp_process *process);

/* Sends SIGTERM (terminate) or SIGKILL (kill) and does not wait.  0 also after its end, when no other process can be hit;
 * -EINVAL before the start, -ENOTSUP for a thread. */
int rp_process_terminate(struct rp_process *process);
int rp_process_kill(struct rp_process *process);

/* Gives the handle back and returns NULL.  A process that runs goes on, is reaped, and is waited for when the program
 * exits; with RP_DAEMON it gets SIGTERM then, and SIGKILL a second later. */
struct rp_process *rp_process_free(struct rp_process *process);

/* How many processes that this one has started still run; reaps those that do not. */
int rp_active_children(void);

/* ---- inside a task -----------------------------------------------------------------------------------
 *
 * A task is one call of the user's function on one item, in a worker.  The worker is pinned to its CPUs, has a rank that
 * stays the same when it is replaced, and an environment as that of the program.  stdin is /dev/null.  What a task prints
 * is out when the map returns.  A task that calls exit, or crashes, ends its worker and nothing else.  A pool made in a
 * task is allowed and gets the CPUs of that worker; the pool that runs the task is -EPERM in it. */

/* `in` is the item, not to be written to; NULL in a map without inputs.  `out` is room for one result, not initialised;
 * NULL when results are of any size or there are none.  0 is success, any other value makes the item RP_FAILED with that
 * code. */
typedef int rp_task_fn(struct rp_task *task, const void *in, void *out);

/* Which item of the map this is.  Under rp_pool_submit the number of submits that the pool had before, under
 * rp_pool_apply, .init and .exit 0. */
size_t rp_task_index(const struct rp_task *task);

/* Bytes behind `in`. */
size_t rp_task_in_size(const struct rp_task *task);

/* 1 the first time that the item is run, 2 when it is run again, and so on. */
uint32_t rp_task_try(const struct rp_task *task);

/* 64 well mixed bits that depend on .seed and the index and on nothing else: the same with any number of workers. */
uint64_t rp_task_seed(const struct rp_task *task);

/* Of the worker that runs this, 0..workers - 1. */
int rp_task_rank(const struct rp_task *task);

/* The worker that runs this: rank, pid and CPUs are right, what it has done so far need not be up to date.  Lives as long
 * as the worker. */
const struct rp_worker_info *rp_task_worker(const struct rp_task *task);

/* 1 once the result is no longer wanted: the pool is terminated, or the future of this submit was freed.  Long tasks of a
 * thread pool should look at it, as a thread cannot be killed.  Costs a few nanoseconds. */
int rp_task_cancelled(const struct rp_task *task);

/* .arg of the map and .init_arg of the pool: one read-only copy for all tasks of a node.  NULL and *size = 0 without
 * one; size may be NULL. */
const void *rp_task_arg(const struct rp_task *task, size_t *size);
const void *rp_task_init_arg(const struct rp_task *task, size_t *size);

/* One pointer for each worker (in a thread pool: each thread): set by .init, found by that worker's tasks and by .exit;
 * NULL until it is set. */
void rp_task_set_local(struct rp_task *task, void *local);
void *rp_task_local(const struct rp_task *task);

/* Gives `size` bytes as the result; they are copied.  The last call counts, and none does when the task fails.  Where the
 * results have a fixed size this fills `out`: -EMSGSIZE when it is more than fits.  -ENOMEM: the machine has no room for
 * it.  Whoever gets the result finds a 0 behind it that its size does not count. */
int rp_task_reply(struct rp_task *task, const void *data, size_t size);

/* Sets the text of the item's outcome, of any length, and returns 1:
 *	return rp_task_fail(task, "%s: no such column", name);
 * It is used when the task then returns non-zero; without it the text is "the task returned N". */
int rp_task_fail(struct rp_task *task, const char *format, ...) __attribute__((format(printf, 2, 3), warn_unused_result));

/* ---- pool -------------------------------------------------------------------------------------------- */

struct rp_pool_options {
	size_t size;
	uint32_t workers;                      /* over all nodes; 0: RANKPOOL_WORKERS in the environment, or one per
	                                        * allowed core */
	uint32_t kind;
	const char *cpus;                      /* where they may go: hwloc locations or a list; NULL: all that are allowed */
	const char *bind;                      /* each to a "core" "pu" "l3" "numa" "package", or "none"; NULL: "core" */
	uint32_t cpus_per_worker;              /* 0: 1 */
	uint32_t flags;                        /* RP_LOCAL, RP_INHERIT_BINDING */
	rp_task_fn *init;                      /* once per worker, also per replacement; in: init_arg */
	const void *init_arg;                  /* shipped once per node, read-only there for the life of the pool */
	size_t init_arg_size;
	uint64_t max_tasks;                    /* a worker retires after so many; 0: never */
	rp_task_fn *exit;                      /* once per worker that retires in order */
	uint32_t workers_per_node;             /* on each node; 0: .workers says; not both */
	uint32_t reserved;
};

/* Opens a pool: places the workers on the allowed CPUs, starts and binds them, and returns without waiting for .init.
 * More workers than CPUs are shared out evenly.  They are spread over the machine; ":compact" behind the object in .bind
 * places them side by side.  *ret is the caller's, for rp_pool_free.  Where .init returns non-zero or ends its worker the
 * pool is broken and every later call says why with -EPIPE.  .init and .exit are called with `in` = .init_arg, or NULL,
 * and `out` = NULL.
 * In a program of several nodes the pool is spread over all of them, .workers in proportion to what fits on each, unless
 * it is RP_LOCAL or of threads.  Functions are known there by their module's build-id and their offset in it: static ones,
 * those of shared libraries and of modules loaded later will do.
 * -EINVAL: an unknown bind object, CPUs that are not on this machine or not allowed.  -ENOTSUP: .max_tasks in a pool of
 * threads.  -ENOEXEC: a node has another build of the program or of a module, both of which are named; -ENOENT: it has no
 * such module; -EFAULT: a pointer to no function; -ENOLINK: a node is lost.  Every call that takes a function may return
 * these. */
int rp_pool_new(struct rp_pool **ret, const struct rp_pool_options *options, struct rp_error *err);

/* Where rp_pool_new with these options would put its workers; starts nothing.  topology: NULL is what there is, else the
 * path of an hwloc XML file or a synthetic description, "package:2 core:64 pu:2".  Fills up to `count` infos, `infos` may
 * be NULL when it is 0, and returns the number of workers, which may be more.  -EINVAL: as rp_pool_new, or a malformed
 * topology. */
int rp_pool_plan(const struct rp_pool_options *options, const char *topology,
                 struct rp_worker_info *infos, size_t count, struct rp_error *err);

/* The number of workers. */
int rp_pool_workers(const struct rp_pool *pool);

/* Fills *ret for one rank.  -EINVAL: no such rank. */
int rp_pool_worker(const struct rp_pool *pool, int rank, struct rp_worker_info *ret);

/* No more work is taken: calls that bring some are -EINVAL from now on.  What was submitted is still run.  Does not
 * wait. */
int rp_pool_close(struct rp_pool *pool);

/* Ends the workers now; what was not finished is RP_CANCELLED.  Does not wait: see rp_pool_join. */
int rp_pool_terminate(struct rp_pool *pool);

/* Waits up to `timeout` until all workers have gone.  -ETIMEDOUT: not yet; -EINVAL: neither closed nor terminated. */
int rp_pool_join(struct rp_pool *pool, int64_t timeout);

/* Terminates what still runs, waits for it, gives everything back and returns NULL.  Results of rp_pool_map_bytes
 * stay. */
struct rp_pool *rp_pool_free(struct rp_pool *pool);

/* ---- map --------------------------------------------------------------------------------------------- */

/* .timeout, .tries above 1, .flags, .progress, .finished and .total_timeout are of a version to come: a call that is given
 * one of them is -ENOTSUP and runs nothing. */
struct rp_map_options {
	size_t size;
	size_t chunk;                          /* items that a worker claims at once; 0: chosen */
	int64_t timeout;                       /* of each try of each item; 0: none */
	uint32_t tries;                        /* 0: 1 */
	uint32_t flags;                        /* RP_FAIL_FAST, RP_RESUME, RP_RETRY_LOST, RP_TIMES */
	const void *arg;                       /* shipped once per node and call, read by rp_task_arg */
	size_t arg_size;
	struct rp_outcome *outcomes;           /* one per item, filled before the call returns; their texts live until
	                                        * rp_pool_free or rp_outcomes_clear */
	void (*progress)(size_t done, size_t total, void *user);
	void *user;                            /* of progress and finished */
	int (*finished)(size_t index, const struct rp_outcome *outcome, void *user);   /* non-zero: cancel the rest */
	int64_t total_timeout;                 /* of the whole call; 0: none */
	uint64_t seed;                         /* of rp_task_seed */
};

/* rp_pool_map(pool, fn, in, out, count [, options [, err]])
 *
 * Runs fn on each of `count` items and returns when all have ended; out[i] is the result of in[i].  The sizes are those of
 * *in and *out; NULL is no input (tasks have their index) or no result.  A void *, or an array of C strings, does not
 * tell a size: -EINVAL, use rp_pool_map_array or rp_pool_map_bytes.
 *
 * 0: every item is RP_OK, also when there are none.  Else the worst decides: -ECHILD a worker died, -ETIME out of time,
 * -EREMOTEIO a task failed, -ECANCELED the pool was terminated on the way; err->index is the first bad item and err->text
 * says how many there are and why that one.  Every other item has been run and has its result.  Nothing was run, and out
 * and outcomes are as before: -EINVAL, -EPERM, -ENOMEM, -ENOTSUP, -EDEADLK (from a task of the same pool of threads),
 * -EPIPE (the pool is broken).  A pool that breaks on the way is -EPIPE, too: items that had not ended are RP_CANCELLED. */
#define rp_pool_map(pool, fn, in, out, ...) RP_MAP_CALL(pool, fn, in, out, __VA_ARGS__, NULL, NULL, 0)
#define RP_MAP_CALL(pool, fn, in, out, count, options, err, ...) \
	rp_pool_map_array(pool, fn, in, RP_ITEM_SIZE(in), out, RP_ITEM_SIZE(out), count, options, err)

/* The same with the sizes of one item in bytes.  `in` and `out` may be the same array of items of one size; any other
 * overlap is -EINVAL, as is a count times a size above PTRDIFF_MAX.  out[i] of an item that is not RP_OK is untouched;
 * where out was made by rp_alloc it holds whatever the task wrote.  Arrays made by rp_alloc are used in place, others are
 * copied in and out for the workers of this node; other nodes are sent and send back what they work on. */
int rp_pool_map_array(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                      size_t count, const struct rp_map_options *options, struct rp_error *err);

/* The same for items and results each of its own size; tasks give theirs with rp_task_reply.  in NULL is no input, out
 * NULL no result.  Every out[i] is set: to a result, which is the caller's, for rp_bytes_free (or rp_free of its data),
 * with a 0 behind it; or to {NULL, 0}. */
int rp_pool_map_bytes(struct rp_pool *pool, rp_task_fn *fn, const struct rp_bytes *in, struct rp_bytes *out,
                      size_t count, const struct rp_map_options *options, struct rp_error *err);

/* A map of one item.  A round trip to a worker that has just finished something takes about a microsecond. */
int rp_pool_apply(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                  struct rp_error *err);

/* Gives the texts of `count` outcomes back before the pool is freed and leaves them zeroed, as a first map finds them.
 * Optional: they end with the pool. */
void rp_outcomes_clear(struct rp_outcome *outcomes, size_t count);

/* ---- futures ----------------------------------------------------------------------------------------- */

/* Hands one item to the pool and returns without waiting for it.  `in` is copied.  out_size is what the task finds behind
 * `out`; 0: a result of any size, by rp_task_reply.  *ret is the caller's, for rp_future_free; ret may be NULL when nobody
 * wants the result.  -EINVAL: closed; -EPIPE: broken. */
int rp_pool_submit(struct rp_future **ret, struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size,
                   size_t out_size, const struct rp_map_options *options, struct rp_error *err);

/* Waits up to `timeout` for its end.  0: done, well or badly; -ETIMEDOUT: not yet. */
int rp_future_wait(struct rp_future *future, int64_t timeout);

/* Waits for one of several: the index of the one that ended first.  NULL entries are skipped, so futures[i] =
 * rp_future_free(futures[i]) in a loop takes them as they end.  -ENOENT: all are NULL; -ETIMEDOUT: none yet. */
int rp_future_wait_any(struct rp_future *const *futures, size_t count, int64_t timeout);

/* Waits for all of them, NULL entries left out.  0 or -ETIMEDOUT. */
int rp_future_wait_all(struct rp_future *const *futures, size_t count, int64_t timeout);

/* 1 when it has ended, else 0.  Never blocks. */
int rp_future_done(const struct rp_future *future);

/* Waits, copies the result to out and returns what a map of the item would.  -EMSGSIZE: out_size is too small for it.
 * -ETIMEDOUT: the wait is over and it still runs; -ETIME: the item itself ran out of time. */
int rp_future_get(struct rp_future *future, void *out, size_t out_size, int64_t timeout, struct rp_error *err);

/* The result in place and its size (size may be NULL), as long as the future lives; a 0 stands behind it.  NULL until it
 * is done, and when it is not RP_OK. */
const void *rp_future_data(const struct rp_future *future, size_t *size);

/* What became of it, as long as the future lives.  Never NULL: RP_PENDING until it is done. */
const struct rp_outcome *rp_future_outcome(const struct rp_future *future);

/* Takes it back when it has not started: 0 it never will, -EBUSY it runs, -EALREADY it has ended. */
int rp_future_cancel(struct rp_future *future);

/* Drops the handle and returns NULL.  The task is still run; rp_task_cancelled tells it that nobody waits. */
struct rp_future *rp_future_free(struct rp_future *future);

/* A descriptor of the pool's own that polls readable when a future has ended since it was last read.  Read its 8 bytes
 * (that never blocks once it polled readable) before looking at the futures, so that no end is missed. */
int rp_pool_fd(struct rp_pool *pool);

/* ---- arena memory ------------------------------------------------------------------------------------ */

/* Memory that this program and all its workers share, at the same address: what a task writes there the others see, and
 * maps over arrays in it copy nothing.  Aligned to 64, not zeroed, there until rp_free or rp_finalize.  All of it is real
 * when this returns.  NULL with errno ENOMEM: more than the machine, or the memory cgroup, still has. */
void *rp_alloc(size_t size);

/* Gives memory of rp_alloc, or one result of rp_pool_map_bytes, back.  NULL is left alone. */
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
