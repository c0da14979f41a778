// SPDX-License-Identifier: BSD-2-Clause
/* The configuration against this host, and against the one that is running. */
#include "config/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Binding tells more than a list of addresses does: a `local` route makes an address ours as well,
 * and an IPv6 address still under duplicate detection is not ours yet.
 */
static int try_bind(const struct mg_ep *ep)
{
	struct mg_ep any_port = { .ip = ep->ip };
	struct sockaddr_storage ss;
	socklen_t len = mg_ep_to_sockaddr(&any_port, &ss);
	int fd, err = 0;

	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&ss, len))
		err = -errno;
	close(fd);
	return err;
}

static void check_local(const struct mg_config *c, struct mg_findings *f)
{
	char path[64], text[MG_EP_STRLEN];
	int err;

	for (size_t i = 0; i < c->converter.n_listen; i++) {
		snprintf(path, sizeof(path), "converter.listen[%zu]", i);
		mg_ep_format(text, &c->converter.listen[i]);
		err = try_bind(&c->converter.listen[i]);
		if (err == -EADDRNOTAVAIL)
			mg_finding_path(f, path,
					"%s is not an address of this host, expected a local one",
					text);
		else if (err)
			mg_finding_path(f, path, "%s cannot be used: %s, expected a local address",
					text, strerror(-err));
	}
}

static void check_exists(const char *name, const char *path, struct mg_findings *f)
{
	if (!if_nametoindex(name))
		mg_finding_path(f, path,
				"%s does not exist, expected an interface of this network "
				"namespace",
				name);
}

static void check_links(const struct mg_config *c, struct mg_findings *f)
{
	char path[64];

	for (size_t i = 0; i < c->n_interfaces; i++) {
		snprintf(path, sizeof(path), "interfaces[%zu].name", i);
		check_exists(c->interfaces[i].name, path, f);
	}
	for (size_t i = 0; i < c->cpe.n_lan; i++) {
		snprintf(path, sizeof(path), "cpe.lan[%zu]", i);
		check_exists(c->cpe.lan[i], path, f);
	}
}

static void check_isp(const struct mg_config *c, struct mg_findings *f)
{
	char text[MG_EP_STRLEN];

	if (c->cpe.has_converter && !try_bind(&c->cpe.converter))
		mg_finding_path(f, "cpe.converter",
				"%s is an address of this host, expected another host's",
				mg_ep_format(text, &c->cpe.converter));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int decode_key(uint8_t key[MG_CONFIG_COOKIE_KEY_BYTES], const char *buf, ssize_t n)
{
	if (n == MG_CONFIG_COOKIE_KEY_BYTES) {
		memcpy(key, buf, MG_CONFIG_COOKIE_KEY_BYTES);
		return 0;
	}
	if (n == 2 * MG_CONFIG_COOKIE_KEY_BYTES + 1 && buf[n - 1] == '\n')
		n--;
	if (n != 2 * MG_CONFIG_COOKIE_KEY_BYTES)
		return -EINVAL;
	for (size_t i = 0; i < MG_CONFIG_COOKIE_KEY_BYTES; i++) {
		int high = hex_digit(buf[2 * i]), low = hex_digit(buf[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		key[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int mg_config_cookie_key(const struct mg_config *c, uint8_t key[MG_CONFIG_COOKIE_KEY_BYTES])
{
	char buf[64];
	ssize_t n;
	int fd, err;

	if (!c->converter.cookie_key_file)
		return -ENOENT;
	/* Not to wait for a writer, should it be a FIFO. */
	fd = open(c->converter.cookie_key_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, sizeof(buf));
	err = n < 0 ? -errno : decode_key(key, buf, n);
	close(fd);
	explicit_bzero(buf, sizeof(buf));
	return err;
}

static void check_cookie_key(const struct mg_config *c, struct mg_findings *f)
{
	uint8_t key[MG_CONFIG_COOKIE_KEY_BYTES];
	char quoted[MG_QUOTE_BYTES];
	int err;

	if (!c->converter.cookie_key_file)
		return;
	err = mg_config_cookie_key(c, key);
	explicit_bzero(key, sizeof(key));
	mg_plain(quoted, c->converter.cookie_key_file);
	if (err == -EINVAL)
		mg_finding_path(f, "converter.cookie_key_file",
				"%s holds no key, expected 16 bytes or 32 hex digits", quoted);
	else if (err)
		mg_finding_path(f, "converter.cookie_key_file",
				"%s cannot be read: %s, expected a file of 16 bytes or 32 hex "
				"digits",
				quoted, strerror(-err));
}

int mg_config_check_host(const struct mg_config *c, FILE *errors)
{
	struct mg_findings f = { .out = errors, .tree = c->tree };

	check_links(c, &f);
	check_local(c, &f);
	check_isp(c, &f);
	check_cookie_key(c, &f);
	mg_findings_end(&f);
	return f.count ? -EINVAL : 0;
}

static bool same_value(const struct mg_key *k, const struct mg_config *a, const struct mg_config *b)
{
	const char *x, *y;

	if (k->kind != MG_KEY_TEXT)
		return mg_key_number(k, a) == mg_key_number(k, b);
	x = mg_key_text(k, a);
	y = mg_key_text(k, b);
	return x && y ? strcmp(x, y) == 0 : x == y;
}

static void refuse_change(const struct mg_key *k, const struct mg_config *running,
			  struct mg_findings *f)
{
	static const char why[] = "cannot change while running, expected";
	char plain[MG_QUOTE_BYTES];
	uint32_t value;

	if (k->kind == MG_KEY_TEXT) {
		const char *text = mg_key_text(k, running);

		mg_finding_path(f, k->path, "%s %s as before", why,
				text ? mg_plain(plain, text) : "none");
		return;
	}
	value = mg_key_number(k, running);
	if (k->kind == MG_KEY_NUMBER)
		mg_finding_path(f, k->path, "%s %u as before", why, value);
	else
		mg_finding_path(f, k->path, "%s %s as before", why,
				mg_name_of(k->names, k->n_names, value));
}

static bool same_interfaces(const struct mg_config *a, const struct mg_config *b)
{
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++) {
		const struct mg_config_interface *x = &a->interfaces[i], *y = &b->interfaces[i];

		if (strcmp(x->name, y->name) != 0 || x->role != y->role || x->xdp != y->xdp)
			return false;
	}
	return true;
}

static bool same_listen(const struct mg_config *a, const struct mg_config *b)
{
	if (a->converter.n_listen != b->converter.n_listen)
		return false;
	for (size_t i = 0; i < a->converter.n_listen; i++) {
		if (!mg_ep_equal(&a->converter.listen[i], &b->converter.listen[i]))
			return false;
	}
	return true;
}

static bool same_cpe(const struct mg_config_cpe *a, const struct mg_config_cpe *b)
{
	if (a->n_lan != b->n_lan || a->has_converter != b->has_converter)
		return false;
	for (size_t i = 0; i < a->n_lan; i++) {
		if (strcmp(a->lan[i], b->lan[i]) != 0)
			return false;
	}
	return !a->has_converter || mg_ep_equal(&a->converter, &b->converter);
}

/* Lists, and what is live but for one step. */
static void check_reload_rest(const struct mg_config *running, const struct mg_config *next,
			      struct mg_findings *f)
{
	static const char same_list[] =
		"cannot change while running, expected the same list as before";

	if ((running->intercept.mode == MG_MODE_OFF) != (next->intercept.mode == MG_MODE_OFF))
		refuse_change(mg_key_find("intercept.mode"), running, f);
	if (!same_interfaces(running, next))
		mg_finding_path(f, "interfaces", "%s", same_list);
	if (!same_listen(running, next))
		mg_finding_path(f, "converter.listen", "%s", same_list);
	if (!same_cpe(&running->cpe, &next->cpe))
		mg_finding_path(f, "cpe",
				"cannot change while running, expected the same as before");
}

int mg_config_check_reload(const struct mg_config *running, const struct mg_config *next,
			   FILE *errors)
{
	struct mg_findings f = { .out = errors, .tree = next->tree };

	for (size_t i = 0; i < mg_keys_count; i++) {
		const struct mg_key *k = &mg_keys[i];

		if (k->live || same_value(k, running, next))
			continue;
		/* Neither file names it: only the host's name can have changed behind our back. */
		if (running->tree && next->tree && !mg_tree_find(running->tree, k->path) &&
		    !mg_tree_find(next->tree, k->path))
			continue;
		refuse_change(k, running, &f);
	}
	check_reload_rest(running, next, &f);
	mg_findings_end(&f);
	return f.count ? -EBUSY : 0;
}
