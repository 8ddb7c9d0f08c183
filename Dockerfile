# Everything but the GPU:    docker build -t objascale .
# With PyTorch for CUDA:     docker build -t objascale --target gpu .
# Use, with folders of yours: docker run --rm --user $(id -u):$(id -g) -v $PWD:/data objascale objascale render --n 24
FROM python:3.11-slim-bookworm AS base
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
    libegl1 libgl1 libsm6 libx11-6 libxfixes3 libxi6 libxkbcommon0 libxrender1 make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /suite
COPY pyproject.toml constraints.txt README.md LICENSE Makefile ./
COPY objascale objascale
COPY flip flip
COPY baselines baselines
COPY bench bench
COPY reports reports
# A user of any number may run it; downloads and caches go below /data, which is the mounted folder.
ENV PATH=/suite/.venv/bin:$PATH HOME=/data XDG_CACHE_HOME=/data/.cache NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib
CMD ["objascale", "doctor"]

FROM base AS gpu
ARG TORCH=cu128
RUN make .venv/torch TORCH=$TORCH \
 && .venv/bin/pip install --no-cache-dir -c constraints.txt -e '.[render,onnx,sam,hf,serve]'
WORKDIR /data

FROM base AS cpu
RUN make .venv/torch TORCH=cpu \
 && .venv/bin/pip install --no-cache-dir -c constraints.txt -e '.[render,onnx,sam,hf,serve]'
WORKDIR /data
