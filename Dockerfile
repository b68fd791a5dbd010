# `vidstream` and `vidctl` with ffmpeg, nothing else. Needs BuildKit (any Docker since 23): what Cargo and npm keep outlives a build.

FROM node:22.21.1-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
# Not `npm ci`, as in scripts/setup: the lock lacks packages for systems that this is not.
RUN --mount=type=cache,target=/root/.npm npm install --no-save --no-audit --no-fund --loglevel=error
COPY buf.yaml /src/
COPY proto/vidstream /src/proto/vidstream
COPY web .
RUN npm run --silent build

FROM rust:1.95.0-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends mold && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=web /src/web/dist web/dist
# The project's one profile: what is tested is what runs. By package, not by workspace: no fail points are in it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --package vidstream-server --package vidctl \
    && install -D --target-directory /out target/debug/vidstream target/debug/vidctl

FROM debian:bookworm-20260518-slim
# Versions of packages are the release's, with its security fixes: the old ones are not kept by Debian.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates ffmpeg \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /out/ /usr/local/bin/
COPY --chmod=0755 deploy/vidstream-ready /usr/local/bin/
# A number: Kubernetes sees by it that this is not root. It owns nothing but the data directory.
USER 10001:10001
VOLUME /data
# 8080 is for people, 7070 for other processes of the mesh.
EXPOSE 8080 7070
# No init: the server waits for every program that it starts, those start none, and it handles the signal itself.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["vidstream-ready", "8080"]
ENTRYPOINT ["vidstream"]
# Inside the container every address is another machine's; who may reach it is said by the port's mapping.
CMD ["--listen", "0.0.0.0:8080", "--insecure-public", "--data-dir", "/data"]
