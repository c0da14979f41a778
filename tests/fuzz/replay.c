// SPDX-License-Identifier: BSD-2-Clause
/*
 * Feeds every seed of a fuzz target to it, each in a process of its own: replay_NAME reads
 * tests/fuzz/seeds/NAME (or the folder given as argument). TAP, one test per seed file.
 */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define SEED_MAX_BYTES (1 << 20)

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The file's bytes at their exact size, so that a sanitizer sees reads beyond them. */
static uint8_t *load(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *all, *exact = NULL;

	if (!f)
		return NULL;
	all = malloc(SEED_MAX_BYTES);
	if (all) {
		*len = fread(all, 1, SEED_MAX_BYTES, f);
		exact = malloc(*len ? *len : 1);
		if (exact)
			memcpy(exact, all, *len);
		free(all);
	}
	fclose(f);
	return exact;
}

static int replay(const char *path)
{
	size_t len;
	uint8_t *bytes = load(path, &len);

	if (!bytes) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	LLVMFuzzerTestOneInput(bytes, len);
	free(bytes);
	return 0;
}

/* A seed that aborts ends its own process, not the report. */
static int replay_apart(const char *path)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		exit(replay(path));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return status == 0 ? 0 : -EFAULT;
}

int main(int argc, char **argv)
{
	const char *prefix = "replay_", *name = basename(argv[0]);
	struct dirent **seeds;
	char dir[PATH_MAX];
	int n, failed = 0;

	if (strncmp(name, prefix, strlen(prefix)) == 0)
		name += strlen(prefix);
	snprintf(dir, sizeof(dir), "tests/fuzz/seeds/%s", name);
	if (argc > 1)
		snprintf(dir, sizeof(dir), "%s", argv[1]);
	n = scandir(dir, &seeds, visible, alphasort);
	if (n <= 0) {
		printf("1..1\nnot ok 1 - fuzz %s: no seeds in %s\n", name, dir);
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX + NAME_MAX + 2];
		int err;

		snprintf(path, sizeof(path), "%s/%s", dir, seeds[i]->d_name);
		err = replay_apart(path);
		failed |= err;
		printf("%s %d - fuzz %s: %s\n", err ? "not ok" : "ok", i + 1, name,
		       seeds[i]->d_name);
		free(seeds[i]);
	}
	free(seeds);
	return failed ? 1 : 0;
}
