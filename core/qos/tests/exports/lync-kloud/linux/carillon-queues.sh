#!/bin/sh
# Queues by mark on the way out of one interface. Made by Carillon from plan lync-kloud.
#
#   carillon-queues INTERFACE KBIT   sorts what leaves the interface; KBIT is what the link carries, in kbit/s
#   carillon-queues INTERFACE off    as before
#
# Give a little less than the link carries: then packets wait here, where they are sorted, and not behind it.
set -eu

usage() {
  echo "usage: carillon-queues INTERFACE KBIT|off (KBIT: 100 to 999999999)" >&2
  exit 2
}

[ $# -eq 2 ] || usage
interface=$1
rate=$2
case $interface in '' | -* | *[!A-Za-z0-9_.:@-]*) usage ;; esac
case $rate in
  off) tc qdisc del dev "$interface" root; exit ;;
  '' | 0* | ??????????* | *[!0-9]*) usage ;;
esac
[ "$rate" -ge 100 ] || usage

class() {
  tc class add dev "$interface" parent 1:1 classid "1:$1" htb \
    rate "$((rate * $2 / 100))kbit" ceil "${rate}kbit" prio "$3" quantum 1514
  tc qdisc add dev "$interface" parent "1:$1" handle "$1:" pfifo limit "$4"
}

# Both IP versions: a filter sees one of them.
marked() {
  tc filter add dev "$interface" parent 1: protocol ip prio 1 u32 match ip dsfield "$1" 0xfc flowid "1:$2"
  tc filter add dev "$interface" parent 1: protocol ipv6 prio 2 u32 match ip6 priority "$1" 0xfc flowid "1:$2"
}

# There may be nothing to take away.
tc qdisc del dev "$interface" root 2> /dev/null || true
# Half of it would be worse than nothing.
trap 'tc qdisc del dev "$interface" root 2> /dev/null || true' EXIT
tc qdisc add dev "$interface" root handle 1: htb default 90
tc class add dev "$interface" parent 1: classid 1:1 htb rate "${rate}kbit" ceil "${rate}kbit"

# Number, share of the link in percent, priority, length in packets.
class 10 50 0 100 # audio
class 20 25 1 200 # video
class 30 5 2 100 # signaling
class 90 5 7 100 # everything else
# Where the kernel has it, one flow of the rest does not make the others wait.
tc qdisc replace dev "$interface" parent 1:90 fq_codel 2> /dev/null || true

# Traffic byte of the mark, number of the class.
marked 0x60 30 # CS3 (24)
marked 0x88 20 # AF41 (34)
marked 0xb8 10 # EF (46)

trap - EXIT
