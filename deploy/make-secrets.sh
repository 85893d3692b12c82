#!/bin/sh
# Makes the secrets of a deployment, once, in deploy/secrets. There are no defaults: nothing starts
# without them. Keep the folder to yourself and back it up with the data.
set -eu
umask 077
folder="$(cd "$(dirname "$0")" && pwd)/secrets"

secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# A file that is there stays as it is: with other secrets visitors and tokens would be strangers.
make() {
    file="$folder/$1"
    shift
    if [ -e "$file" ]; then
        echo "$file is there already"
        return
    fi
    for name in "$@"; do
        echo "$name=$(secret)"
    done > "$file.new"
    mv "$file.new" "$file"
    echo "$file made"
}

mkdir -p "$folder"
make kilat.env KILAT_ADMIN_TOKEN KILAT_API_TOKEN KILAT_PUBLISH_TOKEN KILAT_SECRET
make grafana.env GF_SECURITY_ADMIN_PASSWORD
if [ ! -e "$folder/publisher.env" ]; then
    grep '^KILAT_PUBLISH_TOKEN=' "$folder/kilat.env" > "$folder/publisher.env"
    echo "$folder/publisher.env made"
fi
