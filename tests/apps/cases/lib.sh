# SPDX-License-Identifier: Apache-2.0
# What the server cases share. Sourced; the working directory becomes an empty one.
set -eu
cd "$(mktemp -d -p /var/tmp)"
chmod 755 .

# until_port PORT: waits until somebody listens there.
until_port() {
	local _
	for _ in $(seq 600); do
		(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
		sleep 0.1
	done
	echo "nobody listens on port $1"
	exit 1
}

# until_true COMMAND...: waits until it succeeds.
until_true() {
	local _
	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	echo "never true: $*"
	exit 1
}
