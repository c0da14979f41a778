// SPDX-License-Identifier: BSD-2-Clause
#include "sys/dp_ports.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/claim.h"

static int claim_port(struct mg_dp_ports *p, const char *name)
{
	struct mg_dp_port *port = &p->at[p->n_claimed];

	*port = (struct mg_dp_port){ .ifindex = if_nametoindex(name) };
	if (!port->ifindex) {
		int err = -errno;

		mg_error("interface %s: %s", name, strerror(-err));
		return err;
	}
	snprintf(port->name, sizeof(port->name), "%s", name);
	port->claim = mg_claim(name, port->ifindex);
	if (port->claim < 0)
		return port->claim;
	p->n_claimed++;
	return 0;
}

static int make_room(struct mg_dp_ports *p, const struct mg_config *cfg)
{
	p->at = calloc(cfg->n_interfaces + cfg->cpe.n_lan + 1, sizeof(*p->at));
	p->list = calloc(cfg->n_interfaces + 1, sizeof(*p->list));
	return p->at && p->list ? 0 : -ENOMEM;
}

int mg_dp_ports_claim(struct mg_dp_ports *p, const struct mg_config *cfg)
{
	int err = make_room(p, cfg);

	for (size_t i = 0; !err && i < cfg->n_interfaces; i++)
		err = claim_port(p, cfg->interfaces[i].name);
	for (size_t i = 0; !err && i < cfg->cpe.n_lan; i++)
		err = claim_port(p, cfg->cpe.lan[i]);
	if (!err)
		p->n = cfg->n_interfaces;
	return err;
}

int mg_dp_ports_clean(struct mg_dp_ports *p, const struct mg_config *cfg)
{
	int err = make_room(p, cfg);

	for (size_t i = 0; !err && i < cfg->n_interfaces; i++)
		if (if_nametoindex(cfg->interfaces[i].name))
			err = claim_port(p, cfg->interfaces[i].name);
	for (size_t i = 0; !err && i < cfg->cpe.n_lan; i++)
		if (if_nametoindex(cfg->cpe.lan[i]))
			err = claim_port(p, cfg->cpe.lan[i]);
	for (size_t i = 0; !err && i < p->n_claimed; i++) {
		mg_xdp_remove_stale(p->at[i].name, p->at[i].ifindex);
		mg_tc_remove_stale(p->at[i].ifindex);
	}
	return err;
}

static bool is_among(const struct mg_dp_ports *p, unsigned int ifindex)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].ifindex == ifindex)
			return true;
	return false;
}

void mg_dp_ports_clean_others(const struct mg_dp_ports *p, uint32_t map_id)
{
	struct if_nameindex *all = if_nameindex();

	for (const struct if_nameindex *i = all; i && i->if_index; i++)
		if (!is_among(p, i->if_index))
			mg_xdp_remove_user(i->if_name, i->if_index, map_id);
	if (all)
		if_freenameindex(all);
}

static int attach_tc(struct mg_dp_port *port, int prog_fd)
{
	if (prog_fd >= 0)
		return mg_tc_attach(&port->tc, port->name, port->ifindex, prog_fd);
	mg_tc_remove_stale(port->ifindex);
	return 0;
}

static int attach_port(struct mg_dp_ports *p, size_t i, const struct mg_config_interface *ifc,
		       const struct mg_doors *doors)
{
	struct mg_dp_interface *shown = &p->list[i];
	struct mg_dp_port *port = &p->at[i];
	int err = mg_xdp_attach(&port->xdp, ifc, port->ifindex, doors->xdp);

	if (err)
		return err;
	err = attach_tc(port, ifc->role == MG_ROLE_CORE ? doors->tc_core : doors->tc_access);
	*shown = (struct mg_dp_interface){
		.role = ifc->role,
		.xdp_mode = port->xdp.mode,
		.prog_id = port->xdp.prog_id,
	};
	memcpy(shown->name, ifc->name, sizeof(shown->name));
	return err;
}

int mg_dp_ports_attach(struct mg_dp_ports *p, const struct mg_config *cfg,
		       const struct mg_doors *doors)
{
	int err = 0;

	for (size_t i = 0; !err && i < p->n; i++)
		err = attach_port(p, i, &cfg->interfaces[i], doors);
	for (size_t i = p->n; !err && i < p->n_claimed; i++)
		err = attach_tc(&p->at[i], doors->tc_lan);
	return err;
}

void mg_dp_ports_detach(struct mg_dp_ports *p, bool leave_xdp)
{
	for (size_t i = p->n_claimed; i-- > 0;) {
		mg_tc_detach(&p->at[i].tc);
		if (leave_xdp)
			mg_xdp_leave(&p->at[i].xdp);
		else
			mg_xdp_detach(&p->at[i].xdp);
	}
}

void mg_dp_ports_close(struct mg_dp_ports *p)
{
	for (size_t i = 0; i < p->n_claimed; i++)
		close(p->at[i].claim);
	free(p->at);
	free(p->list);
	*p = (struct mg_dp_ports){ 0 };
}

static void look_at_xdp(struct mg_dp_interface *shown, const struct mg_xdp *x)
{
	if (!shown->prog_id || mg_xdp_is_attached(x))
		return;
	shown->xdp_mode = "lost";
	shown->prog_id = 0;
	mg_warn("interface %s: the XDP program is not attached any more; restart mpgated to have "
		"it back",
		shown->name);
}

static void look_at_tc(struct mg_tc *tc, const char *interface)
{
	if (!tc->ifindex || mg_tc_is_attached(tc))
		return;
	mg_warn("interface %s: the TC filter is not attached any more; restart mpgated to have it "
		"back",
		interface);
	*tc = (struct mg_tc){ 0 };
}

void mg_dp_ports_look(struct mg_dp_ports *p)
{
	for (size_t i = 0; i < p->n; i++)
		look_at_xdp(&p->list[i], &p->at[i].xdp);
	for (size_t i = 0; i < p->n_claimed; i++)
		look_at_tc(&p->at[i].tc, p->at[i].name);
}
