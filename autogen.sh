#!/bin/sh
# Makes configure and the Makefile templates; needed only in a git checkout.
cd "$(dirname "$0")" && exec autoreconf -fi
