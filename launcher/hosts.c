/* SPDX-License-Identifier: BSD-3-Clause */
/* hosts.c - machines and how many places each has, as users list them. */
#include "hosts.h"
#include "buffer.h"
#include "cli.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOTS_MOST 65535                        /* of one host */
#define NAME_MOST 253                           /* of the domain name system */
#define RESOLVE_MOST_MS 8000                    /* for all names */

/* ---- one host ------------------------------------------------------------------------------------------ */

static struct host *find(const struct hosts *hosts, const char *name, size_t length)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (strlen(hosts->items[i].name) == length && strncasecmp(hosts->items[i].name, name, length) == 0)
			return &hosts->items[i];
	return NULL;
}

void hosts_append(struct hosts *hosts, const char *name, size_t length, unsigned slots)
{
	struct host *host;

	hosts->items = resized(hosts->items, hosts->count + 1, sizeof *hosts->items);
	host = &hosts->items[hosts->count++];
	*host = (struct host){ .name = resized(NULL, length + 1, 1), .slots = slots ? slots : 1, .said = slots > 0 };
	memcpy(host->name, name, length);
	host->name[length] = 0;
}

int hosts_add(struct hosts *hosts, const char *name, size_t length, unsigned slots)
{
	struct host *host = find(hosts, name, length);

	if (slots > SLOTS_MOST || (host && host->slots + (slots ? slots : 1) > SLOTS_MOST))
		return -1;
	if (host) {
		host->slots += slots ? slots : 1;
		host->said = 1;
		return 0;
	}
	hosts_append(hosts, name, length, slots);
	return 0;
}

void hosts_free(struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++)
		free(hosts->items[i].name);
	free(hosts->items);
	*hosts = (struct hosts){ 0 };
}

static int is_address6(const char *text, size_t length)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;
	const char *zone = memchr(text, '%', length);

	if (zone)
		length = (size_t)(zone - text);
	if (length >= sizeof copy)
		return 0;
	memcpy(copy, text, length);
	copy[length] = 0;
	return inet_pton(AF_INET6, copy, &address) == 1;
}

static int is_name(const char *text, size_t length)
{
	if (length == 0 || length > NAME_MOST || !isalnum((unsigned char)text[0]))
		return 0;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
			return 0;
	return 1;
}

/* A number of slots from 1.  0: it is none. */
static unsigned read_slots(const char *text, size_t length)
{
	unsigned long n = 0;

	if (length == 0 || length > 5)
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]))
			return 0;
		n = n * 10 + (unsigned long)(text[i] - '0');
	}
	return n <= SLOTS_MOST ? (unsigned)n : 0;
}

/* Splits "a", "a:2", "[::1]", "[::1]:2", "::1".  NULL, or what is wrong with it. */
static const char *split(const char *text, size_t length, struct slice *ret_name, unsigned *ret_slots)
{
	const char *end = text + length, *colon;

	*ret_slots = 0;
	if (length && *text == '[') {
		const char *close = memchr(text, ']', length);

		if (!close || !is_address6(text + 1, (size_t)(close - text - 1)))
			return "there is no IPv6 address in the brackets";
		*ret_name = (struct slice){ text + 1, (size_t)(close - text - 1) };
		colon = close + 1;
		if (colon < end && *colon != ':')
			return "behind the brackets :SLOTS can follow, nothing else";
	} else if (is_address6(text, length)) {
		*ret_name = (struct slice){ text, length };
		return NULL;
	} else {
		colon = memchr(text, ':', length);
		if (!colon)
			colon = end;
		*ret_name = (struct slice){ text, (size_t)(colon - text) };
		if (!is_name(ret_name->data, ret_name->size))
			return "that is no host name";
	}
	if (colon == end)
		return NULL;
	*ret_slots = read_slots(colon + 1, (size_t)(end - colon - 1));
	return *ret_slots ? NULL : "behind the colon there has to be a number of slots from 1 to 65535";
}

int hosts_parse(struct hosts *hosts, const char *list, const char *name)
{
	for (const char *at = list;; at++) {
		size_t length = strcspn(at, ",");
		struct slice host;
		unsigned slots;
		const char *wrong = length ? split(at, length, &host, &slots) : "a host is missing between two commas";

		if (!*list)
			wrong = "it names no host";
		else if (!length && (at == list || !at[0]))
			wrong = "a comma has no host beside it";
		if (!wrong && hosts_add(hosts, host.data, host.size, slots) < 0)
			wrong = "these are more than 65535 slots on one host";
		if (wrong) {
			cli_say(name, "--host %s: %s%.*s%s%s; write NAME or NAME:SLOTS with commas between, such as a:2,b",
			        list, length ? "at " : "", (int)length, at, length ? ": " : "", wrong);
			return -1;
		}
		find(hosts, host.data, host.size)->listed = 1;
		at += length;
		if (!*at)
			return 0;
	}
}

/* ---- files of hosts ------------------------------------------------------------------------------------ */

/* "slots=2", "max-slots = 4" behind a host; blanks around the = are as Open MPI reads them.  NULL, or what is wrong. */
static const char *read_keys(const char *text, unsigned *slots, unsigned *most)
{
	for (;;) {
		size_t key, value;
		const char *digits;
		unsigned n;

		text += strspn(text, " \t\r");
		if (!*text)
			return NULL;
		key = strcspn(text, "= \t\r");
		digits = text + key + strspn(text + key, " \t");
		if (*digits != '=')
			return "behind a host there can be slots=N and max_slots=N";
		digits += 1 + strspn(digits + 1, " \t");
		value = strcspn(digits, " \t\r");
		n = read_slots(digits, value);
		if ((key == 5 && strncmp(text, "slots", 5) == 0) || (key == 5 && strncmp(text, "count", 5) == 0) ||
		    (key == 3 && strncmp(text, "cpu", 3) == 0))
			*slots = n;
		else if (key == 9 && (strncmp(text, "max_slots", 9) == 0 || strncmp(text, "max-slots", 9) == 0))
			*most = n;
		else
			return "behind a host there can be slots=N and max_slots=N";
		if (!n)
			return "a number of slots is from 1 to 65535";
		text = digits + value;
	}
}

static const char *read_line(struct hosts *hosts, char *line)
{
	unsigned slots, keyed = 0, most = 0;
	struct slice host;
	const char *wrong;
	size_t length;

	line[strcspn(line, "#\n")] = 0;
	line += strspn(line, " \t\r");
	length = strcspn(line, " \t\r");
	if (!length)
		return NULL;
	if (memchr(line, '@', length))
		return "a user before the host is for ssh's own configuration file";
	wrong = split(line, length, &host, &slots);
	if (!wrong)
		wrong = read_keys(line + length, &keyed, &most);
	if (wrong)
		return wrong;
	if (slots && keyed)
		return "the slots are said twice";
	slots = slots ? slots : keyed;
	if (most && slots > most)
		return "there are more slots than max_slots";
	return hosts_add(hosts, host.data, host.size, slots ? slots : most) < 0 ?
	       "these are more than 65535 slots on one host" : NULL;
}

int hosts_read(struct hosts *hosts, const char *path, const char *name)
{
	size_t before = hosts->count, room = 0;
	const char *wrong = NULL;
	char *line = NULL;
	int number = 0;
	FILE *file = fopen(path, "re");

	if (!file) {
		cli_say(name, "hostfile %s: %s", path, strerror(errno));
		return -1;
	}
	errno = 0;
	while (!wrong && getline(&line, &room, file) >= 0) {
		number++;
		wrong = read_line(hosts, line);
	}
	if (wrong)
		cli_say(name, "hostfile %s:%d: %s; write NAME, NAME:SLOTS or NAME slots=SLOTS on each line", path, number,
		        wrong);
	else if (ferror(file))
		cli_say(name, "hostfile %s: %s", path, strerror(errno ? errno : EIO));
	else if (hosts->count == before && !before)
		cli_say(name, "hostfile %s names no host", path);
	wrong = wrong || ferror(file) || !hosts->count ? path : NULL;
	free(line);
	fclose(file);
	return wrong ? -1 : 0;
}

/* ---- which machines these are -------------------------------------------------------------------------- */

static int same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	if (!a || !b || a->sa_family != b->sa_family)
		return 0;
	if (a->sa_family == AF_INET)
		return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
		              &((const struct sockaddr_in *)(const void *)b)->sin_addr, sizeof(struct in_addr)) == 0;
	return a->sa_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
	              &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

/* One that begins with 127. is everybody's own, whether an interface has it or not. */
static int is_loopback(const struct sockaddr *address)
{
	return address->sa_family == AF_INET &&
	       ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
}

static int is_own_address(const struct ifaddrs *own, const struct sockaddr *address)
{
	int found = is_loopback(address);

	for (const struct ifaddrs *i = own; i && !found; i = i->ifa_next)
		found = same_address(i->ifa_addr, address);
	return found;
}

/* A short name stands for the long one, but two long ones are two machines. */
static int is_own_name(const char *host)
{
	char name[HOST_NAME_MAX + 1];
	size_t shorter;

	if (strcasecmp(host, "localhost") == 0)
		return 1;
	if (gethostname(name, sizeof name) < 0)
		return 0;
	shorter = strcspn(name, ".");
	return strcasecmp(host, name) == 0 || (strlen(host) == shorter && strncasecmp(host, name, shorter) == 0);
}

static enum host_place look_up(const char *host, const struct ifaddrs *own)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	enum host_place place = HOST_ELSEWHERE;

	if (is_own_name(host))
		return HOST_HERE;
	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return HOST_UNKNOWN;
	for (const struct addrinfo *i = found; i; i = i->ai_next)
		if (is_own_address(own, i->ai_addr))
			place = HOST_HERE;
	freeaddrinfo(found);
	return place;
}

/* Runs in a child, which can be given up: getaddrinfo has no limit of its own that could be relied on. */
static _Noreturn void look_up_all(const struct hosts *hosts, int known, int way)
{
	struct ifaddrs *own = NULL;
	int found = 0;

	getifaddrs(&own);
	for (size_t i = 0; i < hosts->count && known && !found; i++)
		found = is_own_name(hosts->items[i].name);
	for (size_t i = 0; i < hosts->count; i++) {
		const char *host = hosts->items[i].name;
		unsigned char place = !found ? look_up(host, own) : is_own_name(host) ? HOST_HERE : HOST_ELSEWHERE;

		if (write(way, &place, 1) < 1)
			break;
	}
	_exit(0);
}

static void take_answers(struct hosts *hosts, int way)
{
	struct pollfd poller = { .fd = way, .events = POLLIN };
	struct timespec start, now;
	unsigned char place;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (size_t i = 0; i < hosts->count; i++)
		hosts->items[i].place = HOST_SILENT;
	for (size_t i = 0; i < hosts->count; i++) {
		int left;

		clock_gettime(CLOCK_MONOTONIC, &now);
		left = RESOLVE_MOST_MS - (int)((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000);
		while (left > 0 && poll(&poller, 1, left) < 0)
			;
		if (left <= 0 || !poller.revents || read(way, &place, 1) < 1)
			return;
		hosts->items[i].place = place;
	}
}

static void here_first(struct hosts *hosts)
{
	struct host here = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < hosts->count; i++) {
		struct host *host = &hosts->items[i];

		if (host->place != HOST_HERE) {
			hosts->items[kept++] = *host;
		} else if (!here.name) {
			here = *host;
		} else {
			here.slots += host->slots;
			here.said = 1;
			free(host->name);
		}
	}
	hosts->count = kept;
	if (!here.name)
		return;
	memmove(hosts->items + 1, hosts->items, kept * sizeof *hosts->items);
	hosts->items[0] = here;
	hosts->count++;
}

void hosts_locate(struct hosts *hosts, int known)
{
	int ends[2], status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		look_up_all(hosts, known, ends[1]);
	}
	close(ends[1]);
	if (pid > 0) {
		take_answers(hosts, ends[0]);
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
	here_first(hosts);
}
