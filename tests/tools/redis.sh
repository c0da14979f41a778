#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A Redis server for tests, in the foreground, in memory only:
#
#   redis.sh DIR [OPTION…]    DIR/redis.sock is its socket; "--port N --bind ADDRESS" for more
#
# Debian's redis-tools holds the server, too: redis-check-rdb is the same program under another name.
set -eu
dir=$1
shift
mkdir -p "$dir"
[ -e "$dir/redis-server" ] ||
	ln -s "$(command -v redis-server || command -v redis-check-rdb)" "$dir/redis-server"
exec "$dir/redis-server" --save '' --appendonly no --dir "$dir" --port 0 \
	--unixsocket "$dir/redis.sock" --daemonize no --loglevel warning --logfile "$dir/redis.log" "$@"
