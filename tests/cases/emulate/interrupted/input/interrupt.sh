signal=$1 whom=$2
shift 2
rm -f started
# Each job is a group of its own, as under a terminal.
set -m
exec 3>&2 2>/dev/null
OF_INTERRUPTED=1 cargo-compat compat test -q --lib --target s390x-unknown-linux-gnu --root sysroot "$@" 2>&3 &
job=$!
until [ -e started ]; do sleep 0.02; done
[ $whom = all ] && whom=-$job || whom=$job
kill -$signal -- $whom
wait $job
echo "ended with $?"
left() { grep -sl "OF_INTERRUPTED=1" /proc/[0-9]*/environ; }
tries=0
while [ -n "$(left)" ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
echo "left running: $(left | wc -l)"
