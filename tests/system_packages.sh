#!/bin/sh
# Debian packages that some tests need: a real RTSP server, a real PostgreSQL. Where they cannot be installed
# (no apt, no rights, no network) those tests skip and say so; nothing fails here.
[ -n "$SKIP_SYSTEM_PACKAGES" ] && exit 0
command -v apt-get >/dev/null || exit 0
packages="libgl1 libglib2.0-0 postgresql gstreamer1.0-rtsp gir1.2-gst-rtsp-server-1.0 python3-gi \
gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly \
gstreamer1.0-libav gstreamer1.0-tools"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then as_root=""
elif sudo -n true 2>/dev/null; then as_root="sudo -n"
else echo "not installed, and no right to:$missing" >&2; exit 0
fi
echo "installing system packages for the tests:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
($as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing) >/dev/null 2>&1 ||
    echo "could not install:$missing" >&2
exit 0
