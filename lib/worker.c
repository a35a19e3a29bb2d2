/* SPDX-License-Identifier: BSD-3-Clause */
/* worker.c - the loop that a worker runs, and what its tasks can ask (rp_task_*). */
#include "worker.h"

#include "clock.h"
#include "context.h"
#include "image.h"
#include "job.h"
#include "ticket.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLAIM_MOST 64u
#define CLAIM_FAST INT64_C(10000)               /* ns: a claim that took less is followed by a larger one */
#define CLAIM_SLOW INT64_C(50000)

struct rp_task {
	struct crew *crew;
	uint32_t slot;
	int fd;
	/* Of the task that runs. */
	struct ticket *ticket;                  /* NULL: it is an item of a map, or a hook */
	uint64_t index;
	uint64_t seed;
	size_t in_size;
	void *out;
	size_t out_size;                        /* 0: results of any size */
	const void *arg;
	size_t arg_size;
	struct rp_bytes reply;
	char *text;                             /* of the last rp_task_fail, malloc'ed */
	int marked;                             /* reply or text is set */
	/* Of the worker. */
	void *local;
	uint64_t done;                          /* towards max_tasks */
	struct rp_worker_info info;
	rp_task_fn *fn;                         /* of the job that it works in */
	struct rp_error lacking;                /* why a function cannot be had: lacking() is called instead */
};

/* Drops what a task left behind that nobody gets. */
static void discard_reply(struct rp_task *task)
{
	if (task->reply.data)
		arena_drop_pending(task->crew->arena, task->crew->heap + task->slot);
	task->reply = (struct rp_bytes){ 0 };
}

static void discard_text(struct rp_task *task)
{
	free(task->text);
	task->text = NULL;
}

static void clean(struct rp_task *task)
{
	if (!task->marked)
		return;
	discard_reply(task);
	discard_text(task);
	task->marked = 0;
}

/* Why a task failed, in a buffer of the caller's when the task did not say. */
static const char *failure(const struct rp_task *task, int code, char *buffer, size_t size)
{
	if (task->text)
		return task->text;
	snprintf(buffer, size, "the task returned %d", code);
	return buffer;
}

/* Asked once per claim, which may be one cheap item: not by a call. */
static inline int holds_output(FILE *stream)
{
#ifdef __GLIBC__
	if (stream->_mode <= 0)                         /* not for wide characters, whose buffer is elsewhere */
		return stream->_IO_write_ptr > stream->_IO_write_base;
#endif
	return __fpending(stream) > 0;
}

static inline void flush(void)
{
	if (holds_output(stdout))
		fflush(stdout);
	if (holds_output(stderr))
		fflush(stderr);
}

/* Everything but the plain success of an item whose result, if any, was written in place. */
static void settle_item(struct rp_task *task, struct job *job, uint32_t i, int code)
{
	struct crew *crew = task->crew;
	char buffer[64];

	if (code) {
		const char *text = failure(task, code, buffer, sizeof buffer);

		discard_reply(task);
		job_note(crew, task->slot, job, i, RP_FAILED, code, text, strlen(text));
	} else {
		if (job->out_bytes) {
			job->out_bytes[i] = task->reply;
			arena_publish(crew->arena, crew->heap + task->slot);
			task->reply = (struct rp_bytes){ 0 };
		}
		atomic_store_explicit(&job->states[i], RP_OK, memory_order_release);
	}
	clean(task);
}

static int lacking(struct rp_task *task, const void *in, void *out)
{
	(void)in;
	(void)out;
	return rp_task_fail(task, "%s", task->lacking.text) ? task->lacking.code : 0;
}

/* What the manager's function is here.  Threads are the manager's own. */
static rp_task_fn *function_of(struct rp_task *task, rp_task_fn *fn)
{
	struct image *image = task->crew->kind == RP_THREADS ? NULL : context_get()->image;
	void *here = image_function(image, (void *)fn, &task->lacking);

	return here ? (rp_task_fn *)(uintptr_t)here : lacking;
}

/* The hot loop: items and results of fixed sizes, nothing to look up.  Per item: a store that says which one it is, the
 * call, a store that says that it is done. */
static void run_plain(struct rp_task *task, struct job *job, uint32_t begin, uint32_t end)
{
	_Atomic uint64_t *current = &task->crew->slots[task->slot].current;
	_Atomic uint8_t *states = job->states;
	rp_task_fn *fn = task->fn;
	const size_t base = job->base, in_size = job->in ? job->in_size : 0, out_size = job->out ? job->out_size : 0;
	uintptr_t in = (uintptr_t)job->in + begin * in_size, out = (uintptr_t)job->out + begin * out_size;

	for (uint32_t i = begin; i < end; i++, in += in_size, out += out_size) {
		int code;

		atomic_store_explicit(current, (uint64_t)i + 1, memory_order_relaxed);
		task->index = base + i;
		task->out = (void *)out;
		atomic_signal_fence(memory_order_seq_cst);
		code = fn(task, (const void *)in, task->out);
		if (__builtin_expect(!(code | task->marked), 1))
			atomic_store_explicit(&states[i], RP_OK, memory_order_release);
		else
			settle_item(task, job, i, code);
		atomic_signal_fence(memory_order_seq_cst);      /* before the next item is the current one */
	}
}

/* Items that have a state already are passed over; items and results may be of any size. */
static void run_checked(struct rp_task *task, struct job *job, uint32_t begin, uint32_t end)
{
	struct slot *slot = &task->crew->slots[task->slot];

	for (uint32_t i = begin; i < end; i++) {
		const void *item = job->in ? job->in + i * job->in_size : NULL;

		if (job->check && atomic_load_explicit(&job->states[i], memory_order_relaxed))
			continue;
		atomic_store_explicit(&slot->current, (uint64_t)i + 1, memory_order_relaxed);
		if (job->ranks)
			job->ranks[i] = (int32_t)task->slot;
		if (job->in_bytes) {
			item = job->in_bytes[i].data;
			task->in_size = job->in_bytes[i].size;
		}
		task->index = job->base + i;
		task->out = job->out ? job->out + i * job->out_size : NULL;
		atomic_signal_fence(memory_order_seq_cst);
		settle_item(task, job, i, task->fn(task, item, task->out));
		atomic_signal_fence(memory_order_seq_cst);
	}
}

static void run_items(struct rp_task *task, struct job *job, uint32_t begin, uint32_t end)
{
	if (job->check || job->ranks || job->in_bytes || job->out_bytes)
		run_checked(task, job, begin, end);
	else
		run_plain(task, job, begin, end);
	atomic_store_explicit(&task->crew->slots[task->slot].current, 0, memory_order_relaxed);
}

/* How many items the next claim may have: as many as were done in CLAIM_FAST to CLAIM_SLOW, so that claims are cheap where
 * items are, and slow items are never stuck behind each other. */
static uint32_t next_claim(uint32_t most, int64_t took)
{
	if (took < CLAIM_FAST)
		return most * 2 < CLAIM_MOST ? most * 2 : CLAIM_MOST;
	if (took > CLAIM_SLOW) {
		uint32_t fewer = (uint32_t)(most * CLAIM_SLOW / took);

		return fewer ? fewer : 1;
	}
	return most;
}

static int is_retiring(const struct rp_task *task)
{
	return task->crew->max_tasks && task->done >= task->crew->max_tasks;
}

static void run_ticket(struct rp_task *task, struct ticket *ticket)
{
	struct crew *crew = task->crew;
	enum rp_state state = RP_OK;
	char buffer[64];
	int code;

	task->index = ticket->index;
	task->seed = ticket->seed;
	task->in_size = ticket->in_size;
	task->out = ticket->out;
	task->out_size = ticket->out_size;
	task->arg = ticket->arg;
	task->arg_size = ticket->arg_size;
	task->ticket = ticket;
	code = function_of(task, ticket->fn)(task, ticket->in, ticket->out);
	task->ticket = NULL;
	flush();
	ticket->rank = (int32_t)task->slot;
	ticket->code = code;
	if (code) {
		const char *text = failure(task, code, buffer, sizeof buffer);

		state = RP_FAILED;
		discard_reply(task);
		ticket->note = crew_note(crew, crew->heap + task->slot, state, code, task->slot, text, strlen(text));
	} else {
		ticket->reply = task->reply;
		task->reply = (struct rp_bytes){ 0 };
	}
	arena_publish(crew->arena, crew->heap + task->slot);
	clean(task);
	task->done++;
	atomic_fetch_add_explicit(&crew->slots[task->slot].tasks, 1, memory_order_relaxed);
	ticket_end(crew, task->slot, ticket, state, task->fd);
}

/* Takes a single task, if one waits; wakes the next worker when more do. */
static int do_ticket(struct rp_task *task)
{
	struct crew *crew = task->crew;
	struct ticket *ticket;
	int64_t began;

	if (!ticket_waits(crew) || atomic_load_explicit(&crew->stop, memory_order_relaxed) > CREW_CLOSES)
		return 0;
	ticket = ticket_pop(crew, task->slot);
	if (!ticket)
		return 0;
	if (ticket_waits(crew))
		crew_ring(crew, 1);
	began = clock_now();
	run_ticket(task, ticket);
	atomic_fetch_add_explicit(&crew->slots[task->slot].busy, clock_now() - began, memory_order_relaxed);
	return 1;
}

static uint32_t claim_size(const struct rp_task *task, const struct job *job, uint32_t most)
{
	uint64_t left;

	if (job->chunk)
		return job->chunk;
	if (!task->crew->max_tasks)
		return most;
	left = task->crew->max_tasks - task->done;
	return left < most ? (uint32_t)left : most;
}

static void adopt_job(struct rp_task *task, const struct job *job)
{
	task->fn = function_of(task, job->fn);
	task->seed = job->seed;
	task->in_size = job->in_size;
	task->out_size = job->out ? job->out_size : 0;
	task->arg = job->arg;
	task->arg_size = job->arg_size;
}

/* Works in one job until nothing is left of it.  1 when it ran anything. */
static int do_job(struct rp_task *task, uint64_t seq)
{
	struct crew *crew = task->crew;
	struct slot *slot = &crew->slots[task->slot];
	struct job *job = job_enter(crew, task->slot, seq);
	uint32_t most = 1, begin, count;
	int64_t entered, then, now;
	int ran = 0;

	if (!job)
		return 0;
	entered = then = clock_now();
	adopt_job(task, job);
	while (!is_retiring(task) && atomic_load_explicit(&crew->stop, memory_order_relaxed) <= CREW_CLOSES) {
		count = job_claim(crew, task->slot, seq, claim_size(task, job, most), job->chunk != 0, &begin);
		if (!count)
			break;
		run_items(task, job, begin, begin + count);
		flush();
		ran = 1;
		task->done += job->chunk ? 1 : count;
		atomic_store_explicit(&slot->tasks, atomic_load_explicit(&slot->tasks, memory_order_relaxed) + count,
		                      memory_order_relaxed);
		if (!job->chunk) {
			now = clock_now();
			most = next_claim(most, now - then);
			then = now;
		}
		if (ticket_waits(crew))
			break;                  /* run it outside, so that the map need not wait for it; then come back */
	}
	if (ran)
		atomic_fetch_add_explicit(&slot->busy, clock_now() - entered, memory_order_relaxed);
	job_leave(crew, task->slot, seq);
	return ran;
}

/* One round over all that there is to do.  1 when there was anything. */
static int work(struct rp_task *task)
{
	struct crew *crew = task->crew;
	uint64_t seq = 0;
	int ran = do_ticket(task);

	while (!is_retiring(task) && atomic_load(&crew->stop) <= CREW_CLOSES && (seq = job_next(crew, seq)))
		ran |= do_job(task, seq);
	return ran;
}

static int call_hook(struct rp_task *task, rp_task_fn *hook)
{
	struct crew *crew = task->crew;
	int code;

	task->index = 0;
	task->seed = 0;
	task->in_size = crew->init_arg_size;
	task->out = NULL;
	task->out_size = 0;
	task->arg = NULL;
	task->arg_size = 0;
	code = function_of(task, hook)(task, crew->init_arg, NULL);
	discard_reply(task);
	flush();
	return code;
}

static int start(struct rp_task *task)
{
	struct crew *crew = task->crew;
	struct slot *slot = &crew->slots[task->slot];
	char buffer[64];
	int code;

	if (crew->init) {
		code = call_hook(task, crew->init);
		if (code) {
			crew_break(crew, "the initializer failed: %s (rank %u, host %s)",
			           failure(task, code, buffer, sizeof buffer), crew->first_rank + task->slot, crew->host);
			clean(task);
			return -1;
		}
		clean(task);
	}
	atomic_store(&slot->state, SLOT_READY);
	return 0;
}

static void rest(struct rp_task *task, uint32_t bell, int *ran)
{
	if (!*ran || !crew_spin(task->crew, task->slot, bell))
		crew_sleep(task->crew, task->slot, bell);
	*ran = 0;
}

static int worker_serve(struct rp_task *task)
{
	struct crew *crew = task->crew;
	struct slot *slot = &crew->slots[task->slot];

	if (start(task) < 0)
		return WORKER_INIT_FAILED;
	for (int ran = 0; atomic_load(&crew->stop) == CREW_RUNS && !is_retiring(task);) {
		uint32_t bell = atomic_load(&slot->bell);

		if (work(task))
			ran = 1;
		else if (atomic_load(&crew->stop) == CREW_RUNS)
			rest(task, bell, &ran);
	}
	if (is_retiring(task)) {
		crew_ring(crew, 1);             /* it may have been woken for work that it leaves to others */
		crew_ring_for_range(crew);
	}
	if (crew->exit && atomic_load(&crew->stop) <= CREW_CLOSES)
		call_hook(task, crew->exit);
	clean(task);
	atomic_store(&slot->state, SLOT_RETIRED);
	return WORKER_LEFT;
}

static void prepare(struct rp_task *task, struct crew *crew, uint32_t slot, int fd)
{
	*task = (struct rp_task){ .crew = crew, .slot = slot, .fd = fd };
	worker_info(crew, slot, &task->info);
}

int worker_run(struct crew *crew, uint32_t slot, int fd)
{
	struct rp_task task;

	prepare(&task, crew, slot, fd);
	return worker_serve(&task);
}

_Noreturn void worker_process(struct crew *crew, uint32_t slot, int fd)
{
	struct rp_task task;
	struct context *context = context_get();

	arena_forked(crew->arena);
	atomic_store(&crew->slots[slot].pid, context->pid);
	snprintf(context->name, sizeof context->name, "Worker-%u", crew->first_rank + slot);
	prepare(&task, crew, slot, fd);
	context->task = &task;
	exit(worker_serve(&task));
}

void worker_info(const struct crew *crew, uint32_t slot, struct rp_worker_info *ret)
{
	const struct slot *s = &crew->slots[slot];

	*ret = (struct rp_worker_info){
		.rank = (int32_t)(crew->first_rank + slot),
		.node = (int32_t)crew->node,
		.local_rank = (int32_t)slot,
		.pid = crew->kind == RP_THREADS ? (int32_t)getpid() : atomic_load(&s->pid),
		.restarts = atomic_load(&s->restarts),
		.tasks = atomic_load(&s->tasks),
		.busy = atomic_load(&s->busy),
	};
	memcpy(ret->host, crew->host, sizeof ret->host);
	memcpy(ret->cpus, s->place.list, sizeof ret->cpus);
}

void *worker_alloc(struct rp_task *task, size_t size)
{
	return arena_alloc(task->crew->arena, task->crew->heap + task->slot, size ? size : 1);
}

size_t rp_task_index(const struct rp_task *task)
{
	return task ? task->index : 0;
}

size_t rp_task_in_size(const struct rp_task *task)
{
	return task ? task->in_size : 0;
}

uint32_t rp_task_try(const struct rp_task *task)
{
	return task ? 1 : 0;
}

/* Two rounds of the splitmix64 finalizer (Steele, Lea, Flood 2014), so that neighbouring seeds and indexes share nothing. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t rp_task_seed(const struct rp_task *task)
{
	return task ? mix(mix(task->seed) + task->index) : 0;
}

int rp_task_rank(const struct rp_task *task)
{
	return task ? (int)(task->crew->first_rank + task->slot) : -EINVAL;
}

const struct rp_worker_info *rp_task_worker(const struct rp_task *task)
{
	return task ? &task->info : NULL;
}

int rp_task_cancelled(const struct rp_task *task)
{
	if (!task)
		return 0;
	if (atomic_load_explicit(&task->crew->stop, memory_order_relaxed) > CREW_CLOSES)
		return 1;
	return task->ticket && atomic_load_explicit(&task->ticket->unwanted, memory_order_relaxed);
}

static const void *read_argument(const void *arg, size_t arg_size, size_t *size)
{
	if (size)
		*size = arg_size;
	return arg;
}

const void *rp_task_arg(const struct rp_task *task, size_t *size)
{
	return task ? read_argument(task->arg, task->arg_size, size) : read_argument(NULL, 0, size);
}

const void *rp_task_init_arg(const struct rp_task *task, size_t *size)
{
	return task ? read_argument(task->crew->init_arg, task->crew->init_arg_size, size) : read_argument(NULL, 0, size);
}

void rp_task_set_local(struct rp_task *task, void *local)
{
	if (task)
		task->local = local;
}

void *rp_task_local(const struct rp_task *task)
{
	return task ? task->local : NULL;
}

int rp_task_reply(struct rp_task *task, const void *data, size_t size)
{
	struct crew *crew;
	char *block;

	if (!task || (!data && size))
		return -EINVAL;
	crew = task->crew;
	if (task->out_size) {
		if (size > task->out_size)
			return -EMSGSIZE;
		memcpy(task->out, data, size);
		return 0;
	}
	if (size > PTRDIFF_MAX - 1)
		return -EMSGSIZE;
	discard_reply(task);
	block = arena_alloc_pending(crew->arena, crew->heap + task->slot, size + 1);
	if (!block)
		return -ENOMEM;
	task->marked = 1;
	task->reply = (struct rp_bytes){ block, size };
	if (size)
		memcpy(block, data, size);
	block[size] = 0;
	return 0;
}

int rp_task_fail(struct rp_task *task, const char *format, ...)
{
	char *text = NULL;
	va_list list;

	if (!task)
		return 1;
	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		text = NULL;
	va_end(list);
	discard_text(task);
	task->text = text;
	task->marked = 1;
	return 1;
}
