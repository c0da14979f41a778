// SPDX-License-Identifier: BSD-2-Clause
/* The configuration against this host. */
#include "config/policies.h"

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
int mg_config_try_bind(const struct mg_ep *ep)
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

static void check_local(const char *key, const struct mg_ep *eps, size_t n, struct mg_findings *f)
{
	char path[64], text[MG_EP_STRLEN];
	int err;

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s[%zu]", key, i);
		mg_ep_format(text, &eps[i]);
		err = mg_config_try_bind(&eps[i]);
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

	if (c->cpe.has_converter && !mg_config_try_bind(&c->cpe.converter))
		mg_finding_path(f, "cpe.converter",
				"%s is an address of this host, expected another host's",
				mg_ep_format(text, &c->cpe.converter));
}

/* The one called as this host is has its address here, and no other has. */
static void check_proxies(const struct mg_config *c, struct mg_findings *f)
{
	char path[64], text[MG_IP_STRLEN];

	for (size_t i = 0; i < c->steer.n_proxies; i++) {
		const struct mg_config_proxy *p = &c->steer.proxies[i];
		struct mg_ep ep = { .ip = p->address };
		bool self = strcmp(p->name, c->node) == 0;
		int err = mg_config_try_bind(&ep);

		snprintf(path, sizeof(path), "proxies[%zu].address", i);
		mg_ip_format(text, &p->address);
		if (self && err)
			mg_finding_path(f, path,
					"%s is not an address of this host, expected a local one: "
					"node is %s",
					text, c->node);
		else if (!self && !err)
			mg_finding_path(f, path,
					"%s is an address of this host, expected another host's: "
					"node is %s",
					text, c->node);
	}
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
	check_local("converter.listen", c->converter.listen, c->converter.n_listen, &f);
	check_local("converter.signal", c->converter.signal, c->converter.n_signal, &f);
	check_proxies(c, &f);
	check_isp(c, &f);
	check_cookie_key(c, &f);
	mg_policies_check_host(c, &f);
	mg_findings_end(&f);
	return f.count ? -EINVAL : 0;
}
