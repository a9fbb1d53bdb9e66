#!/bin/sh
# $1: the root folder of an image. Starts Serin in it as the engine would with --read-only: nothing
# writable but the volume, no privileges, a network of its own. Says "healthy as UID" when the
# health check of the image has succeeded.
set -eu
image=$1
if [ -z "${2:-}" ]; then
    exec unshare --mount --net --pid --fork --kill-child sh "$0" "$image" inside
fi
ip link set lo up
chown -R 65532:65532 "$image/var/lib/serin"
chgrp -R 65532 "$image/run/secrets"
chmod -R g+rX "$image/run/secrets"
mount --bind "$image" "$image"
mount --bind "$image/var/lib/serin" "$image/var/lib/serin"
mount -o remount,bind,ro "$image"

as_image="env -i PATH=$PATH setpriv --no-new-privs chroot --userspec=65532:65532 $image"

# The shop is another Serin, which answers by itself.
$as_image /usr/bin/serin run --config /etc/backend.yaml 2>&1 &
$as_image /usr/bin/serin run --config /etc/serin 2>&1 &
serin=$!
tries=0
until told=$($as_image /usr/bin/serin health 2>&1); do
    tries=$((tries + 1))
    if [ "$tries" -eq 300 ]; then
        echo "not healthy: $told"
        exit 1
    fi
    sleep 0.1
done
mount -t proc proc /proc
echo "healthy as $(awk '/^Uid:/ { print $2 }' "/proc/$serin/status")"
