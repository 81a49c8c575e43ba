# shellcheck shell=bash
# Sourced by the tests on hosts of their own: network namespaces with addresses, names and links to
# a switch, which can be cut. Needs root, iproute2, ethtool and util-linux.

# need_namespaces WHO: says that they are skipped, with a status of its own, where there are none.
need_namespaces() {
    local trial=thr$$-trial
    if [ "$(id -u)" = 0 ] && ip netns add "$trial" 2>/dev/null; then
        ip netns del "$trial"
        return 0
    fi
    echo "$1: SKIPPED: network namespaces are refused here; they need root and CAP_SYS_ADMIN" >&2
    return 77
}

# make_network PREFIX NET FOLDER HOST…: hosts NET.1, NET.2, … on one switch. What PREFIX names is
# taken down by `remove_network`.
make_network() {
    prefix=$1 net=$2 names=$3/$1.names
    shift 3
    hosts=("$@")
    local host number=0
    ip netns add "$prefix-sw" && ip -n "$prefix-sw" link add br0 type bridge &&
        ip -n "$prefix-sw" link set br0 up || return 1
    echo '127.0.0.1 localhost' >"$names"
    for host in "${hosts[@]}"; do
        number=$((number + 1))
        echo "$net.$number $host" >>"$names"
        make_host "$host" "$net.$number" || return 1
    done
}

make_host() {
    ip netns add "$prefix-$1" &&
        ip -n "$prefix-sw" link add "$1" type veth peer name eth0 netns "$prefix-$1" &&
        ip -n "$prefix-sw" link set "$1" master br0 up &&
        ip -n "$prefix-$1" addr add "$2/24" dev eth0 &&
        ip -n "$prefix-$1" link set lo up &&
        ip -n "$prefix-$1" link set eth0 up &&
        # The relay's frames need checksums that the sender computed.
        ip netns exec "$prefix-$1" ethtool -K eth0 tx off >/dev/null
}

# remove_network: with all that still runs on its hosts.
remove_network() {
    local host process
    for host in sw "${hosts[@]}"; do
        for process in $(ip netns pids "$prefix-$host" 2>/dev/null); do
            kill -KILL "$process" 2>/dev/null
        done
        ip netns del "$prefix-$host" 2>/dev/null
    done
}

# inside HOST COMMAND…
inside() {
    local entering
    enter "$1"
    "${entering[@]}" "${@:2}"
}

# enter HOST: what to put before a command, in $entering. Not `ip netns exec`, which mounts another
# /sys, where slurmd misses its cgroups.
enter() {
    # shellcheck disable=SC2016
    entering=(nsenter --net="/run/netns/$prefix-$1" unshare --uts --mount
        sh -c 'hostname "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'
        sh "$1" "$names")
}

# link HOST up|down
link() { ip -n "$prefix-sw" link set "$1" "$2"; }

# processes_on HOST VERB: ids of the processes there of that verb (`has_verb` is of job.sh).
processes_on() {
    local process words
    for process in $(ip netns pids "$prefix-$1"); do
        ! has_verb "/proc/$process" "$2" || echo "$process"
    done
}
