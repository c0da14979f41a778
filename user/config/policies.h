/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files about policies share; everything else sees config.h. */
#ifndef MG_CONFIG_POLICIES_H
#define MG_CONFIG_POLICIES_H

#include "config/read.h"

#define MG_CONFIG_MAX_ACCESS	  (MG_ACCESS_MAX - 1)
#define MG_CONFIG_MAX_SERVICES	  (MG_SERVICES_MAX - 1)
#define MG_CONFIG_MAX_SUBSCRIBERS (MG_CLASSES_MAX - 1)
#define MG_CONFIG_MAX_POLICIES	  (MG_POLICIES_MAX - 1)
#define MG_CONFIG_MAX_LISTED	  8192 /* prefixes and the like, in the file itself */
#define MG_CONFIG_MAX_RADIUS	  256
#define MG_CONFIG_MAX_POOL	  256
#define MG_CONFIG_MAX_LIMIT	  1000000000 /* a burst of so many, in ns each, fits 64 bits */
#define MG_CONFIG_IDENTITY_BYTES  253	     /* as long as an attribute of RADIUS */

/* Those of keys at the top count from struct mg_config_policies, "policies[].strict" from an
 * item. default_policy has those of policies[]. */
extern const struct mg_key mg_policy_keys[];
extern const size_t mg_policy_keys_count;

extern const cyaml_strval_t mg_policy_mode_names[9];
#define MG_POLICY_MODE_DENY	0x100 /* beside enum mg_mode */
#define MG_POLICY_MODE_STEERING 0x200 /* and an enum mg_steering: another way to write that */
extern const cyaml_strval_t mg_steering_names[MG_STEERING_COUNT];
extern const cyaml_strval_t mg_trust_names[MG_TRUST_COUNT];
extern const cyaml_strval_t mg_refuse_names[MG_REFUSE_COUNT];

/* policies.c: all of it, from f->tree; findings are told, 0 or -ENOMEM. Groups are still to be
 * found, as they are not read yet. */
int mg_policies_read(struct mg_config_policies *p, struct mg_findings *f);
/* The groups that policies name, once there are some; and whether anything has to be looked up. */
void mg_policies_find_groups(struct mg_config *c, struct mg_findings *f);
void mg_policies_free(struct mg_config_policies *p);
size_t mg_find_access(const struct mg_config_policies *p, const char *name);
size_t mg_find_service(const struct mg_config_policies *p, const char *name);
size_t mg_find_subscribers(const struct mg_config_policies *p, const char *name);
size_t mg_find_policy(const struct mg_config_policies *p, const char *name);
void mg_policies_note_any(struct mg_config_policies *p);

/* classes.c */
void mg_read_access_networks(struct mg_reading *r, const struct mg_node *node);
void mg_read_services(struct mg_reading *r, const struct mg_node *node);
void mg_read_subscribers(struct mg_reading *r, const struct mg_node *node);
/* "80" or "80-90": 0 or -EINVAL */
int mg_ports_parse(uint16_t *first, uint16_t *last, const char *text);

/* policy.c: one of them; its group is found later, by mg_policy_find_group */
extern const struct mg_shape mg_policy_shape, mg_default_policy_shape;
extern const struct mg_shape mg_named_default_shape; /* with its name, where it stands alone */
void mg_read_policy(struct mg_reading *r, const struct mg_node *node, const struct mg_shape *shape,
		    struct mg_config_policy *to);
/* What `mode` says of steering; default: nothing. `policy` is the mapping, or NULL. */
enum mg_steering mg_policy_mode_steering(const struct mg_tree *t, const struct mg_node *policy);
void mg_policy_find_group(const struct mg_config *c, struct mg_config_policy *policy,
			  const struct mg_node *node, struct mg_findings *f);
void mg_policy_free(struct mg_config_policy *policy);

/* outside.c: radius, sharing, provision */
extern const struct mg_shape mg_subscriber_key_shape, mg_radius_shape, mg_sharing_shape,
	mg_provision_shape;
/* What types stand for where the file does not say. */
void mg_radius_default_types(struct mg_reading *r);

/* match_file.c: into s, after what `match` lists; errors name the file's own lines. */
void mg_read_match_file(struct mg_reading *r, const struct mg_node *node, size_t owner);

/* claims.c: who a prefix belongs to. `first` and `last` are ports, 0 where there are none. */
#define MG_UNCLAIMED UINT32_MAX
struct mg_claims *mg_claims_new(void);
void mg_claims_free(struct mg_claims *o);
/* MG_UNCLAIMED: nobody's so far, and now `owner`'s; else who has it. r->err without memory. */
uint32_t mg_claim_prefix(struct mg_reading *r, const struct mg_prefix *prefix, uint16_t first,
			 uint16_t last, uint32_t owner);
/* Makes room for so many more, at once. */
void mg_claims_expect(struct mg_reading *r, size_t more);

/* policies_check.c: what can be said without looking at the host. */
void mg_config_check_policies(const struct mg_config *c, struct mg_findings *f);
/* About one policy, whose mapping is `node`. */
void mg_policy_check(const struct mg_config *c, const struct mg_config_policy *policy,
		     const struct mg_node *node, struct mg_findings *f);
/* About all of them together: what the tables hold. */
void mg_policies_check_sizes(const struct mg_config *c, struct mg_findings *f);
/* policies_host.c: about this host. */
void mg_policies_check_host(const struct mg_config *c, struct mg_findings *f);

/* check.c: 0, -EADDRNOTAVAIL or another -errno; the port does not count. */
int mg_config_try_bind(const struct mg_ep *ep);

/* policies_print.c */
void mg_policies_print(FILE *out, const struct mg_config *c);
/* "192.0.2.0/24:80-90", "[2001:db8::/32]:443", "10.0.0.0/8" */
#define MG_MATCH_STRLEN (MG_PREFIX_STRLEN + 16)
const char *mg_match_format(char buf[MG_MATCH_STRLEN], const struct mg_config_match *m);

/* print.c: for those who print more */
void mg_print_quoted(FILE *out, const char *text);
void mg_print_value(FILE *out, const void *in, const struct mg_key *k);

/* copy.c: all of it. NULL without memory. */
struct mg_config *mg_config_copy(const struct mg_config *c);

#endif
