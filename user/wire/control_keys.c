// SPDX-License-Identifier: BSD-2-Clause
#include "wire/control_keys.h"

#include <errno.h>
#include <string.h>

static const char *const kinds[] = {
#define X(sym, name) [MG_LOCATE_##sym] = #name,
	MG_LOCATE_KINDS(X)
#undef X
};

int mg_control_parse_kind(enum mg_locate_kind *kind, const char *name)
{
	for (int i = 0; i < MG_LOCATE_KIND_COUNT; i++) {
		if (strcmp(kinds[i], name) == 0) {
			*kind = (enum mg_locate_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int copy_name(char *to, size_t size, const char *text)
{
	if (!*text || strlen(text) >= size)
		return -EINVAL;
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static int read_id(struct mg_control_request *req, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1)
		return -EINVAL;
	req->id = (uint64_t)json_integer_value(value);
	return 0;
}

static int read_server(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value) ? mg_control_parse_server(req, json_string_value(value))
				     : -EINVAL;
}

static int read_level(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value) ? mg_log_level_parse(&req->level, json_string_value(value))
				     : -EINVAL;
}

static int read_proxy(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value)
		       ? copy_name(req->proxy, sizeof(req->proxy), json_string_value(value))
		       : -EINVAL;
}

static int read_group(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value)
		       ? copy_name(req->group, sizeof(req->group), json_string_value(value))
		       : -EINVAL;
}

static int read_token(struct mg_control_request *req, const json_t *value)
{
	req->has_token = true;
	return json_is_string(value) ? mg_control_parse_token(&req->token, json_string_value(value))
				     : -EINVAL;
}

static int read_client(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value) ? mg_ep_parse(&req->client, json_string_value(value))
				     : -EINVAL;
}

static int read_to(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value) ? mg_ep_parse(&req->to, json_string_value(value)) : -EINVAL;
}

static int read_in(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value)
		       ? copy_name(req->interface, sizeof(req->interface), json_string_value(value))
		       : -EINVAL;
}

static int read_kind(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value) ? mg_control_parse_kind(&req->kind, json_string_value(value))
				     : -EINVAL;
}

static json_t *write_id(const struct mg_control_request *req)
{
	return json_integer((json_int_t)req->id);
}

static json_t *write_ep(const struct mg_ep *ep)
{
	char text[MG_EP_STRLEN];

	return json_string(mg_ep_format(text, ep));
}

static json_t *write_server(const struct mg_control_request *req)
{
	return req->all ? json_string("all") : write_ep(&req->server);
}

static json_t *write_level(const struct mg_control_request *req)
{
	return json_string(mg_log_level_name(req->level));
}

static json_t *write_proxy(const struct mg_control_request *req)
{
	return *req->proxy ? json_string(req->proxy) : NULL;
}

static json_t *write_group(const struct mg_control_request *req)
{
	return json_string(req->group);
}

static json_t *write_token(const struct mg_control_request *req)
{
	return req->has_token ? json_sprintf("%08x", req->token) : NULL;
}

static json_t *write_client(const struct mg_control_request *req)
{
	return write_ep(&req->client);
}

static json_t *write_to(const struct mg_control_request *req)
{
	return write_ep(&req->to);
}

static json_t *write_in(const struct mg_control_request *req)
{
	return *req->interface ? json_string(req->interface) : NULL;
}

static json_t *write_kind(const struct mg_control_request *req)
{
	return json_string(kinds[req->kind]);
}

static int read_subscriber(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value) ? copy_name(req->subscriber, sizeof(req->subscriber),
						 json_string_value(value))
				     : -EINVAL;
}

static int read_address(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value) ? mg_ip_parse(&req->address, json_string_value(value))
				     : -EINVAL;
}

static int read_via(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value)
		       ? copy_name(req->via, sizeof(req->via), json_string_value(value))
		       : -EINVAL;
}

static json_t *write_subscriber(const struct mg_control_request *req)
{
	return *req->subscriber ? json_string(req->subscriber) : NULL;
}

static json_t *write_address(const struct mg_control_request *req)
{
	char text[MG_IP_STRLEN];

	return json_string(mg_ip_format(text, &req->address));
}

static json_t *write_via(const struct mg_control_request *req)
{
	return *req->via ? json_string(req->via) : NULL;
}

static int read_name(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value)
		       ? copy_name(req->name, sizeof(req->name), json_string_value(value))
		       : -EINVAL;
}

/* Control bytes, which no YAML has, would make six of each in JSON. */
static int read_policy(struct mg_control_request *req, const json_t *value)
{
	const char *text = json_string_value(value);

	for (const char *p = text; p && *p; p++) {
		if (*p >= 0 && *p < ' ' && !strchr("\t\r\n", *p))
			return -EINVAL;
	}
	return text ? copy_name(req->policy, sizeof(req->policy), text) : -EINVAL;
}

static json_t *write_name(const struct mg_control_request *req)
{
	return json_string(req->name);
}

static json_t *write_policy(const struct mg_control_request *req)
{
	return json_string(req->policy);
}

static int read_prefix(struct mg_control_request *req, const json_t *value)
{
	req->has_prefix = true;
	return json_is_string(value) ? mg_prefix_parse(&req->prefix, json_string_value(value))
				     : -EINVAL;
}

static json_t *write_prefix(const struct mg_control_request *req)
{
	char text[MG_PREFIX_STRLEN];

	return req->has_prefix ? json_string(mg_prefix_format(text, &req->prefix)) : NULL;
}

static int read_access(struct mg_control_request *req, const json_t *value)
{
	return json_is_string(value)
		       ? copy_name(req->access, sizeof(req->access), json_string_value(value))
		       : -EINVAL;
}

static json_t *write_access(const struct mg_control_request *req)
{
	return json_string(req->access);
}

static int read_ttl(struct mg_control_request *req, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
	    json_integer_value(value) > UINT32_MAX)
		return -EINVAL;
	req->ttl_s = (uint32_t)json_integer_value(value);
	return 0;
}

static json_t *write_ttl(const struct mg_control_request *req)
{
	return req->ttl_s ? json_integer(req->ttl_s) : NULL;
}

static const struct mg_control_key keys[] = {
	{ "prefix", read_prefix, write_prefix, "an ADDRESS or a PREFIX" },
	{ "access", read_access, write_access, "the name of an access network" },
	{ "ttl_s", read_ttl, write_ttl, "seconds, at least 1" },
	{ "id", read_id, write_id, "a session's number" },
	{ "server", read_server, write_server, "ADDRESS:PORT or \"all\"" },
	{ "level", read_level, write_level, "\"error\", \"warning\", \"info\" or \"debug\"",
	  .listed = true },
	{ "proxy", read_proxy, write_proxy, "the name of a proxy" },
	{ "group", read_group, write_group, "the name of a group" },
	{ "token", read_token, write_token, "up to eight hexadecimal digits" },
	{ "client", read_client, write_client, "ADDRESS:PORT" },
	{ "to", read_to, write_to, "ADDRESS:PORT" },
	{ "in", read_in, write_in, "the name of an interface" },
	{ "kind", read_kind, write_kind, "\"capable\", \"join\", \"syn\" or \"data\"" },
	{ "subscriber", read_subscriber, write_subscriber, "an ADDRESS, a PREFIX or an identity" },
	{ "from", read_address, write_address, "an ADDRESS" },
	{ "via", read_via, write_via, "the name of an interface" },
	{ "name", read_name, write_name, "the name of a policy" },
	{ "policy", read_policy, write_policy,
	  "a policy of less than 16000 bytes, as YAML or JSON" },
	{ "address", read_address, write_address, "an ADDRESS" },
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

const struct mg_control_key *mg_control_find_key(const char *name, size_t len)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		if (strlen(keys[i].name) == len && strncmp(keys[i].name, name, len) == 0)
			return &keys[i];
	}
	return NULL;
}
