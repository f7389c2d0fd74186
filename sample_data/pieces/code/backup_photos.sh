#!/bin/sh
# Copies the photographs from a camera card to two disks, and proves that they have arrived.
#
# The order of things matters here. The card is never touched before both of the copies have been
# read back and compared, because a camera card is the one place where the pictures still exist
# for certain. A copy which was only written, and never read again, is a hope and not a backup.
#
# usage: backup_photos.sh CARD DISK_ONE DISK_TWO

set -eu

if [ "$#" -ne 3 ]; then
    echo "usage: $0 CARD DISK_ONE DISK_TWO" >&2
    exit 2
fi

card=$1
today=$(date +%Y-%m-%d)
list=$(mktemp)
trap 'rm -f "$list"' EXIT

# A receipt for every file on the card, with paths relative to it so that they can be checked
# in another place. Sorting makes two lists comparable by eye.
(cd "$card" && find . -type f -name '*.JPG' -exec sha256sum {} + | sort -k 2) > "$list"

count=$(wc -l < "$list")
if [ "$count" -eq 0 ]; then
    echo "There are no pictures on $card. Is it the right card?" >&2
    exit 1
fi
echo "found $count pictures"

for disk in "$2" "$3"; do
    target="$disk/photos/$today"
    mkdir -p "$target"
    # -n: a picture that is already there is never overwritten, even if it has the same name.
    cp -Rn "$card/." "$target/"
    # Make sure that we read from the disk and not from what the system remembers of it.
    sync
    if (cd "$target" && sha256sum --quiet --check "$list"); then
        echo "$target: every picture is there and whole"
    else
        echo "$target: at least one picture differs, so the card must be kept" >&2
        exit 1
    fi
done

cp "$list" "$2/photos/$today/receipts.txt"
echo "You may now empty the card. The script will not do that for you."
