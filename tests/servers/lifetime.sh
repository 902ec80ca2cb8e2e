# Sourced by the scripts of servers, with $root set: a script runs until standard input ends, which it does however the one
# who started this goes away. Then what is in $pids is killed and ROOT removed, which must not be there before.
mkdir "$root"

pids=
stop() {
    trap '' HUP INT TERM EXIT
    # All that they keep is thrown away, so they need not be asked: some would take long to put it in order.
    kill -KILL $pids 2>/dev/null || true
    wait
    rm -rf "$root"
}
trap stop EXIT
trap 'exit 1' HUP INT TERM
# Commands in the background have no standard input of their own.
exec 3<&0
{ read -r _ || true; kill -TERM $$; } <&3 &
pids=$!
