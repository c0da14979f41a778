// SPDX-License-Identifier: BSD-2-Clause
/* Policies against this host: addresses, secrets, where a log goes. */
#include "config/policies.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_secret(const char *path, const char *key, struct mg_findings *f)
{
	char plain[MG_QUOTE_BYTES];
	struct stat st;

	mg_plain(plain, path);
	if (stat(path, &st) || access(path, R_OK))
		mg_finding_path(f, key, "%s cannot be read: %s, expected a file with a secret",
				plain, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		mg_finding_path(f, key, "%s is no regular file, expected one with a secret", plain);
	else if (st.st_mode & (S_IROTH | S_IWOTH))
		mg_finding_path(f, key,
				"%s is open to everybody, expected a file that only its owner and "
				"group read",
				plain);
	else if (!st.st_size)
		mg_finding_path(f, key, "%s is empty, expected a file with a secret", plain);
}

static void check_address(const struct in6_addr *ip, const char *key, struct mg_findings *f)
{
	struct mg_ep ep = { .ip = *ip };
	char text[MG_IP_STRLEN];
	int err = mg_config_try_bind(&ep);

	mg_ip_format(text, ip);
	if (err == -EADDRNOTAVAIL)
		mg_finding_path(f, key, "%s is not an address of this host, expected a local one",
				text);
	else if (err)
		mg_finding_path(f, key, "%s cannot be used: %s, expected a local address", text,
				strerror(-err));
}

static void check_log(const struct mg_config_sharing *s, struct mg_findings *f)
{
	char dir[4096], plain[MG_QUOTE_BYTES];
	char *slash;
	struct stat st;

	if (s->log != MG_LOG_TO_FILE)
		return;
	snprintf(dir, sizeof(dir), "%s", s->log_file);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	if (stat(dir, &st) || access(dir, W_OK))
		mg_finding_path(f, "sharing.log_file",
				"the directory %s cannot be written to: %s, expected one that can",
				mg_plain(plain, dir), strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		mg_finding_path(f, "sharing.log_file", "%s is no directory, expected one",
				mg_plain(plain, dir));
}

void mg_policies_check_host(const struct mg_config *c, struct mg_findings *f)
{
	const struct mg_config_policies *p = &c->policies;
	char key[64];

	if (p->radius.on)
		check_address(&p->radius.listen.ip, "radius.listen", f);
	for (size_t i = 0; i < p->radius.n_clients; i++) {
		snprintf(key, sizeof(key), "radius.clients[%zu].secret_file", i);
		check_secret(p->radius.clients[i].secret_file, key, f);
	}
	check_log(&p->sharing, f);
}
