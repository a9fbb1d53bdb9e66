#!/bin/sh
# The last stage of a release pipeline: moves a service to a version, and branches on what
# became of it. Its own exit code is that of `serin`, so a pipeline can branch once more.
#
#   deploy.sh SERVICE VERSION
#
# SERIN            the binary (serin)
# SERIN_ADMIN      where the instance listens (127.0.0.1:9901)
# SERIN_TOKEN_FILE the operator's token, where one is needed
# BUILD_ID         a name for this run; a repeated run with the same name starts nothing twice
# TIMEOUT          how long to wait for the rollout (2h)
set -u

service=${1:?usage: deploy.sh SERVICE VERSION}
version=${2:?usage: deploy.sh SERVICE VERSION}
serin=${SERIN:-serin}
build=${BUILD_ID:-$(date +%s)}

# A pipeline may run before the instance has come up, or while it is being upgraded. Whether it
# takes traffic is the question, and not how the last rollout ended: the release that repairs a
# rollback must get through here.
tries=60
until "$serin" health; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep 1
done

"$serin" rollout start "$service" --to "$version" --reason "build $build" \
    --committed-at "$(git log -1 --format=%cI 2>/dev/null || date -u +%Y-%m-%dT%H:%M:%SZ)" \
    --idempotency-key "$build" --wait --timeout "${TIMEOUT:-2h}"
outcome=$?

case $outcome in
0)
    echo "released: $service is on $version"
    ;;
3)
    echo "rolled back: nothing of $version is left in front of users" >&2
    "$serin" why "$service" >&2
    "$serin" report "$service" >"${REPORT:-report.md}"
    ;;
4)
    # Nobody is in danger: the weights stay, and guards still roll back.
    echo "waiting for somebody: look, then promote or abort" >&2
    "$serin" status "$service" >&2
    ;;
5)
    echo "not over yet: the rollout goes on without this pipeline" >&2
    "$serin" status "$service" >&2
    ;;
*)
    echo "not started, or not reachable: see above" >&2
    ;;
esac
exit "$outcome"
