/* SPDX-License-Identifier: BSD-3-Clause */
/* courier.c - what copies on all nodes write, brought to the manager by whole lines.
 *
 * The pool has one worker on each node and as many tasks at any time, all alike, so that each worker has one: which of
 * them a task goes to makes no difference.  A courier whose escorts have all ended says so once and keeps its next task. */
#include "courier.h"
#include "buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 200                             /* between looks whether anybody still wants to know */
#define LOAD ((size_t)1 << 18)                  /* bytes that are enough for one way */
#define PIECE ((size_t)64 << 10)
#define CONNECT_MS 20
#define CONNECTS_MOST 1000

/* What a courier brings: struct load, frames. */
struct load {
	int32_t ended, reserved;                /* all of its escorts have ended, and this is the last of them */
};

struct orders {                                 /* init_arg: of all couriers */
	char name[COURIER_NAME_SIZE];
	int32_t nodes;
	int32_t copies[];                       /* of each node */
};

struct courier {
	int copies, ended;                      /* escorts that there will be, and have been */
	int told;                               /* that all have ended */
	struct pollfd *polls;                   /* the listening socket, then one for each escort that is connected */
	struct buffer *coming;                  /* of each of these: no whole frame yet */
	nfds_t count;
	struct buffer load;
};

/* ---- sockets without a place ---------------------------------------------------------------------------- */

static socklen_t address_of(const char *name, int node, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* Two nodes may be on one machine, in tests. */
	snprintf(ret->sun_path + 1, sizeof ret->sun_path - 1, "%s-%d", name, node);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(ret->sun_path + 1));
}

static int is_own_user(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

int courier_connect(const char *name, int node)
{
	struct sockaddr_un address;
	socklen_t size = address_of(name, node, &address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r = fd < 0 ? -errno : -EAGAIN;

	for (int i = 0; fd >= 0 && r < 0 && i < CONNECTS_MOST; i++) {
		r = connect(fd, (struct sockaddr *)&address, size) < 0 ? -errno : 0;
		if (r < 0)
			nanosleep(&(struct timespec){ .tv_nsec = CONNECT_MS * 1000000L }, NULL);
	}
	if (r == 0 && !is_own_user(fd))
		r = -EPERM;
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* ---- the courier ---------------------------------------------------------------------------------------- */

static int init(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	const struct orders *orders = in;
	struct courier *courier = resized(NULL, 1, sizeof *courier);
	const int node = rp_task_worker(task)->node;
	struct sockaddr_un address;
	socklen_t size = address_of(orders->name, node, &address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*courier = (struct courier){ .copies = node < orders->nodes ? orders->copies[node] : 0 };
	courier->polls = resized(NULL, (size_t)courier->copies + 1, sizeof *courier->polls);
	courier->coming = resized(NULL, (size_t)courier->copies + 1, sizeof *courier->coming);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, courier->copies + 1) < 0)
		return rp_task_fail(task, "no socket for what copies write: %s", strerror(errno));
	courier->polls[courier->count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	rp_task_set_local(task, courier);
	return 0;
}

static void take_escort(struct courier *courier)
{
	int fd = accept4(courier->polls[0].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 && (courier->count > (nfds_t)courier->copies || !is_own_user(fd))) {
		close(fd);
	} else if (fd >= 0) {
		courier->coming[courier->count] = (struct buffer){ 0 };
		courier->polls[courier->count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
}

/* Takes over the whole frames. */
static void load_frames(struct courier *courier, struct buffer *coming)
{
	size_t at = 0;
	struct frame frame;

	while (coming->size - at >= sizeof frame) {
		memcpy(&frame, coming->data + at, sizeof frame);
		if (coming->size - at - sizeof frame < frame.size)
			break;
		at += sizeof frame + frame.size;
	}
	buffer_add(&courier->load, coming->data, at);
	coming->size -= at;
	memmove(coming->data, coming->data + at, coming->size);
}

static void take_output(struct courier *courier, nfds_t i)
{
	struct buffer *coming = &courier->coming[i];
	ssize_t n = read(courier->polls[i].fd, buffer_space(coming, PIECE), PIECE);

	if (n > 0) {
		coming->size += (size_t)n;
		load_frames(courier, coming);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(courier->polls[i].fd);
		courier->polls[i].fd = -1;
		buffer_free(coming);
		courier->ended++;
	}
}

static int serve(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	struct courier *courier = rp_task_local(task);
	struct load load = { 0 };
	int any = 0;

	courier->load.size = 0;
	buffer_add(&courier->load, &load, sizeof load);
	/* Once something has come, only what is there already. */
	while (!rp_task_cancelled(task) && courier->load.size < LOAD) {
		int n = poll(courier->polls, courier->count, any ? 0 : LOOK_MS);

		if (n == 0 && any)
			break;
		for (nfds_t i = courier->count; n > 0 && i-- > 1;)
			if (courier->polls[i].revents)
				take_output(courier, i);
		if (n > 0 && courier->polls[0].revents)
			take_escort(courier);
		any = courier->load.size > sizeof load;
		if (courier->ended >= courier->copies && !courier->told) {
			courier->told = load.ended = 1;
			memcpy(courier->load.data, &load, sizeof load);
			break;
		}
	}
	return rp_task_reply(task, courier->load.data, courier->load.size) < 0 ? rp_task_fail(task, "out of memory") : 0;
}

/* ---- the manager's part --------------------------------------------------------------------------------- */

static int make_name(char name[COURIER_NAME_SIZE])
{
	unsigned char random[16];
	int length = snprintf(name, COURIER_NAME_SIZE, "rankpool-");

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return -EIO;
	for (size_t i = 0; i < sizeof random; i++)
		length += snprintf(name + length, COURIER_NAME_SIZE - (size_t)length, "%02x", random[i]);
	return 0;
}

static int ask(struct couriers *couriers, int i)
{
	return rp_pool_submit(&couriers->asked[i], couriers->pool, serve, NULL, 0, 0, NULL, NULL);
}

int couriers_open(struct couriers *couriers, const struct rp_worker_info *copies, int count, struct rp_error *err)
{
	const int nodes = rp_node_count();
	const size_t size = sizeof(struct orders) + (size_t)nodes * sizeof(int32_t);
	struct orders *orders = resized(NULL, 1, size);
	int r;

	memset(orders, 0, size);
	orders->nodes = nodes;
	for (int i = 0; i < count; i++)
		orders->copies[copies[i].node]++;
	*err = (struct rp_error){ .text = "no random numbers for a name" };
	r = make_name(couriers->name);
	memcpy(orders->name, couriers->name, sizeof orders->name);
	if (r == 0)
		r = rp_pool_new(&couriers->pool,
		                RP_POOL(.workers_per_node = 1, .bind = "none", .init = init, .init_arg = orders,
		                        .init_arg_size = size),
		                err);
	free(orders);
	if (r < 0)
		return -1;
	couriers->count = couriers->left = rp_pool_workers(couriers->pool);
	couriers->asked = resized(NULL, (size_t)couriers->count, sizeof(struct rp_future *));
	for (int i = 0; i < couriers->count; i++)
		if (ask(couriers, i) < 0)
			couriers->asked[i] = NULL;
	return 0;
}

void couriers_wait(const struct couriers *couriers, struct pollfd *ret)
{
	*ret = (struct pollfd){ .fd = couriers->pool ? rp_pool_fd(couriers->pool) : -1, .events = POLLIN };
}

static int print(const char *data, size_t size)
{
	struct frame frame;

	for (size_t at = 0; size - at >= sizeof frame; at += frame.size) {
		memcpy(&frame, data + at, sizeof frame);
		at += sizeof frame;
		for (size_t done = 0; done < frame.size;) {
			ssize_t n = write(frame.stream, data + at + done, frame.size - done);

			if (n < 0 && errno != EINTR)
				return -errno;
			done += n > 0 ? (size_t)n : 0;
		}
	}
	return 0;
}

/* 1: it will bring no more. */
static int take_load(const struct rp_future *future, int *ret_error)
{
	size_t size;
	const char *data = rp_future_data(future, &size);
	struct load load = { .ended = 1 };

	if (!data || size < sizeof load)
		return 1;
	memcpy(&load, data, sizeof load);
	*ret_error = print(data + sizeof load, size - sizeof load);
	return load.ended;
}

int couriers_run(struct couriers *couriers, const struct pollfd *polled)
{
	uint64_t ends;
	int error = 0;

	if (polled->fd < 0 || !polled->revents || read(polled->fd, &ends, sizeof ends) < 0)
		return 0;
	for (int i = 0; i < couriers->count; i++) {
		struct rp_future *future = couriers->asked[i];

		if (!future || !rp_future_done(future))
			continue;
		couriers->left -= take_load(future, &error);
		couriers->asked[i] = rp_future_free(future);
		if (ask(couriers, i) < 0)
			couriers->asked[i] = NULL;
		if (error)
			return error;
	}
	return 0;
}

void couriers_close(struct couriers *couriers)
{
	for (int i = 0; i < couriers->count; i++)
		rp_future_free(couriers->asked[i]);
	free(couriers->asked);
	couriers->pool = rp_pool_free(couriers->pool);
	couriers->count = couriers->left = 0;
	couriers->asked = NULL;
}
