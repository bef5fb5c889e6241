#!/bin/sh
# Runs driver.c, compiled on first use; the program stays in simlift's cache under a name made of its sources.
here=$(dirname "$0")
cache=${SIMLIFT_CACHE:-$HOME/.cache/simlift}/build
sources="$here/driver.c $here/pong.h $here/raylib.h"
program=$cache/puffer-pong-$(cat $sources | sha256sum | cut -c1-16)
if [ ! -x "$program" ]; then
    mkdir -p "$cache" && cc -O2 -ffp-contract=off -I"$here" -o "$program.$$" "$here/driver.c" -lm &&
        mv "$program.$$" "$program" || exit 1
fi
exec "$program"
