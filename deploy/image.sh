#!/bin/sh
# Build the image without a container engine, and run `manage.py doctor` in it: `make image`.
#
# This needs root and Debian's packages buildah and debootstrap. If no registry can be reached, a base
# image of the same name is built from Debian's archive; Debian 12 has the same Python 3.11.
set -eu
cd "$(dirname "$0")/.."
BASE=python:3.11-slim
IMAGE=${IMAGE:-commonplace}
export BUILDAH_ISOLATION=chroot

for program in buildah debootstrap; do
    command -v "$program" >/dev/null || {
        echo "$program is needed: as root, apt-get install buildah debootstrap" >&2
        exit 1
    }
done

make_base() {
    echo "Building $BASE from Debian's archive …"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\(http[^ ]*\) .*/\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        bookworm "$root" "$mirror" >/dev/null
    ln -s /usr/bin/python3 "$root/usr/local/bin/python"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    base=$(buildah from scratch)
    buildah add --quiet "$base" "$root" / >/dev/null
    buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd python "$base"
    buildah commit --quiet --rm "$base" "$BASE" >/dev/null
}

buildah inspect --type image "$BASE" >/dev/null 2>&1 || buildah pull --quiet "$BASE" 2>/dev/null \
    || make_base

# The build uses this machine's certificates and pip configuration for package indexes.
set -- --volume /etc/ssl/certs:/etc/ssl/certs:ro
[ ! -e /etc/pip.conf ] || set -- "$@" --volume /etc/pip.conf:/etc/pip.conf:ro
buildah bud --quiet --layers "$@" --tag "$IMAGE" .
echo "Built $IMAGE."

container=$(buildah from "$IMAGE")
trap 'buildah rm "$container" >/dev/null' EXIT
# Without servers, the doctor must find faults; the image is good if it gets as far as reporting them.
told=$(buildah run --env SECRET_KEY=only-for-this-look --env DATABASE_URL=postgres://nobody@127.0.0.1:1/none \
    --env REDIS_URL=redis://127.0.0.1:1/0 "$container" -- python manage.py doctor 2>&1) || true
echo "$told" | grep "^BAD database" || {
    echo "$told" >&2
    echo "The doctor does not run in the image." >&2
    exit 1
}
