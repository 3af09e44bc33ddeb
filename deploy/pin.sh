#!/bin/sh
# Pin each image of the Dockerfile, Compose and the autoscaler to the current digest of its tag.
# Run `make pin` before a release; it needs skopeo and access to the registries.
set -eu
cd "${1:-$(dirname "$0")/..}"
command -v skopeo >/dev/null || { echo "skopeo is needed: apt-get install skopeo" >&2; exit 1; }
FILES="Dockerfile docker-compose.yml deploy/compose/rabbitmq.yml deploy/fly/fly.toml"

# Image names with a tag, and perhaps an older digest. The image that we build has no tag.
images=$(sed -nE 's/^(FROM| *image:|image =) "?([a-z0-9./-]+:[A-Za-z0-9._-]+)(@sha256:[0-9a-f]+)?.*/\2/p' \
    $FILES | sort -u)
for image in $images; do
    digest=$(skopeo inspect --no-tags --format '{{.Digest}}' "docker://$image") || {
        echo "$image cannot be looked up; its digest is unchanged." >&2
        exit 1
    }
    echo "$image@$digest"
    sed -Ei "s|(FROM \|image: \|image = \")$image(@sha256:[0-9a-f]+)?|\\1$image@$digest|" $FILES
done
