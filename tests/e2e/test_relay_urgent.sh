#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Urgent bytes are bytes: none is lost. MPTCP has no mark for them, so the mark is.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
start_server 8000:urgent:hello!

text_of() { # CLIENT ACTION…
	conv --converter "$V4" --server "$SV4:8000" --deliver after "$@"
	conv_get 'd["rx"]["text"]'
}

is "a plain TCP client, both ways" "$(text_of --tcp recv=6 text=ab urgent=cd text=ef shutwr recvall)" \
	'hello!abcdef'
is "an MPTCP client, both ways" "$(text_of recv=6 text=ab urgent=cd text=ef shutwr recvall)" \
	'hello!abcdef'
finish
