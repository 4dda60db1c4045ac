#!/usr/bin/env bash
# Measures all trainings on a machine with a GPU and no network, in one call of less than ten minutes:
#
#   benchmarks/gpu.sh wheels   first, where there is a package registry: fetches what that machine lacks into .whl
#   benchmarks/gpu.sh          there, from the folder of the checkout; figures go to $OUT, or to runs/gpu
#
# Its python3 must have torch, transformers, accelerate, tokenizers, sentencepiece, safetensors, pyarrow, numba, numpy,
# xxhash, fsspec and rich; torch 2.11, transformers 5.17 and Python 3.12 will do. What tamiz's trainer needs besides
# are msgspec and zstandard: their wheels lie in .whl, which git ignores, so it must be brought along by name.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = wheels ]; then
  grep -qx '/.whl/' .git/info/exclude || echo '/.whl/' >> .git/info/exclude
  grep -E '^(msgspec|zstandard)==' constraints.txt > /tmp/gpu-wheels.txt
  exec "${PYTHON:-python3}" -m pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 -d .whl -r /tmp/gpu-wheels.txt
fi
if compgen -G '.whl/*.whl' > /dev/null; then
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl
  export PYTHONPATH=/tmp/site${PYTHONPATH:+:$PYTHONPATH}
fi
# compiled kernels are kept between the blocks' processes
export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-/tmp/inductor} HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
exec python3 -m benchmarks.train --all --minutes "${MINUTES:-9}" --out "${OUT:-runs/gpu}" "$@"
