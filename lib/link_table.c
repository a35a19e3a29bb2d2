/* SPDX-License-Identifier: BSD-3-Clause */
/* link_table.c - the requests under way: one array, so that one call of MPI tests them all. */
#include "link_inner.h"

#include <errno.h>
#include <stdlib.h>

static int grow(void *array, size_t count, size_t size)
{
	void *grown = reallocarray(*(void **)array, count, size);

	if (!grown)
		return -ENOMEM;
	*(void **)array = grown;
	return 0;
}

int link_reserve(struct link *link, int letters)
{
	int wanted = link->fixed + letters, capacity = 2 * link->capacity > wanted ? 2 * link->capacity : wanted;

	if (link->capacity >= wanted)
		return 0;
	if (grow(&link->requests, (size_t)capacity, sizeof *link->requests) ||
	    grow(&link->rides, (size_t)capacity, sizeof *link->rides) ||
	    grow(&link->done, (size_t)capacity, sizeof *link->done) ||
	    grow(&link->status, (size_t)capacity, sizeof *link->status))
		return -ENOMEM;
	link->capacity = capacity;
	return 0;
}

void link_track(struct link *link, MPI_Request request, struct ride ride)
{
	link->requests[link->count] = request;
	link->rides[link->count++] = ride;
}

/* Keeps the order: requests that were started early are looked at first. */
static void compact(struct link *link)
{
	int kept = 0;

	for (int i = 0; i < link->count; i++) {
		if (link->rides[i].motion == NO_MOTION)
			continue;
		link->requests[kept] = link->requests[i];
		link->rides[kept++] = link->rides[i];
	}
	link->count = kept;
}

int link_test(struct link *link, link_complete_fn *complete, void *user)
{
	int count = 0, code = MPI_SUCCESS, class = MPI_SUCCESS;

	if (!link->count)
		return 0;
	/* Open MPI looks at the requests first and moves things then: what has come is seen by the second call. */
	for (int i = 0; i < 2 && count == 0 && code == MPI_SUCCESS; i++)
		code = MPI_Testsome(link->count, link->requests, &count, link->done, link->status);
	if (code != MPI_SUCCESS) {
		MPI_Error_class(code, &class);
		if (class != MPI_ERR_IN_STATUS)
			return -EIO;
	}
	if (count == MPI_UNDEFINED || count == 0)
		return 0;
	for (int i = 0; i < count; i++) {
		/* Copies: what is called may send, and then the arrays may grow and move. */
		MPI_Status status = link->status[i];
		struct ride ride = link->rides[link->done[i]];

		link->rides[link->done[i]].motion = NO_MOTION;
		complete(link, ride, &status, class == MPI_SUCCESS ? MPI_SUCCESS : status.MPI_ERROR, user);
	}
	compact(link);
	return count;
}

size_t link_piece(struct cursor *cursor, const struct letter *letter)
{
	for (; cursor->part < letter->parts; cursor->part++, cursor->offset = 0) {
		size_t left = letter->sizes[cursor->part] - cursor->offset;

		if (!(letter->carried & 1u << cursor->part) && left)
			return left < LINK_PIECE ? left : LINK_PIECE;
	}
	return 0;
}
