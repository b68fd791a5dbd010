# The server and the command line with ffmpeg, nothing else.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends mold nodejs npm && rm -rf /var/lib/apt/lists/*
COPY --from=node:20-bookworm-slim /usr/local /usr/local
WORKDIR /src
COPY . .
RUN cd web && npm install --no-save && npm run build
RUN cargo build --locked --package vidstream-server --package vidctl

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /data vidstream && mkdir /data && chown vidstream /data
COPY --from=build /src/target/debug/vidstream /src/target/debug/vidctl /usr/local/bin/
USER vidstream
VOLUME /data
EXPOSE 8080
# Inside the container every address is another machine's; who may reach it is said by the port's mapping.
CMD ["vidstream", "--listen", "0.0.0.0:8080", "--insecure-public", "--data-dir", "/data"]
