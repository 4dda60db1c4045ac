#!/usr/bin/env bash
# build_kenlm.sh [FOLDER]: builds lmplz and build_binary from KenLM's source package on the registry into FOLDER
# (.kenlm), in about a minute. Only tests and benchmarks need them. Needs g++, cmake and, on Debian, the packages below,
# which this script installs if it runs as root.
set -euo pipefail
folder=${1:-.kenlm}
version=0.3.0
if [ -x "$folder/lmplz" ] && [ -x "$folder/build_binary" ]; then exit 0; fi
packages=(g++ cmake libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev
  libeigen3-dev zlib1g-dev libbz2-dev liblzma-dev)
if command -v dpkg >/dev/null && ! dpkg -s "${packages[@]}" >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" >/dev/null
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m pip download --quiet --no-deps --no-binary kenlm \
  --dest "$work" "kenlm==$version"
tar -xzf "$work/kenlm-$version.tar.gz" -C "$work"
cmake -S "$work/kenlm-$version" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_POLICY_VERSION_MINIMUM=3.5 >"$work/log" 2>&1 &&
  cmake --build "$work/build" --target lmplz build_binary --parallel 2 >>"$work/log" 2>&1 ||
  { tail -n 30 "$work/log" >&2; exit 1; }
mkdir -p "$folder"
cp "$work/build/bin/lmplz" "$work/build/bin/build_binary" "$folder/"
