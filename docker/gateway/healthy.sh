#!/bin/bash
# Does the gateway speak? That its port can be reached says little, since the image's forwarder takes every connection: this
# asks for the version, as a client does first. No client id is taken before a client says its own.
#   healthy.sh PORT
set -eu
LC_ALL=C # bytes, not letters
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'API\0\0\0\0\011v157..178' >&3 # what our own client says: 9 bytes, the versions that it knows
word() { IFS= read -r -d '' -t 5 "$1" <&3 || { echo "the gateway takes connections and does not answer"; exit 1; }; }
for _ in 1 2 3; do word empty && [ -z "$empty" ]; done # the length of the answer begins with three zeros
word version
word now
version=${version:1} # behind the last byte of the length
echo "server version $version, $now"
[[ $version =~ ^[0-9]{3}$ && $now =~ ^[0-9]{8}\ [0-9:]{8} ]]
