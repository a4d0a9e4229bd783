# The image of `hookwright`; docs/deploying.md says how it is built and run.

# Not older than `rust-version` in Cargo.toml.
ARG RUST_VERSION=1.95

FROM node:22-bookworm-slim AS node

FROM rust:${RUST_VERSION}-bookworm AS build
# Node builds the console.
COPY --from=node /usr/local/bin/ /usr/local/bin/
COPY --from=node /usr/local/lib/node_modules/ /usr/local/lib/node_modules/
# Features of the crate `hookwright`, such as `otlp`.
ARG FEATURES=""
WORKDIR /src
COPY . .
# Dependencies stay compiled between builds, in caches of the builder. What is ours is always compiled:
# a checkout's files may be older than what the cache was made of. Without its line tables the binary is a
# quarter as large; backtraces keep their names.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --locked --package hookwright --features "${FEATURES}" \
    && objcopy --strip-debug target/release/hookwright /hookwright

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY LICENSE /usr/share/doc/hookwright/
COPY --from=build /hookwright /usr/local/bin/
RUN install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/hookwright
# Both ports are open inside the container only; publish 8071, and keep 8072 (/metrics) for operators.
ENV HOOKWRIGHT_DATA_DIR=/var/lib/hookwright \
    HOOKWRIGHT_LISTEN=0.0.0.0:8071 \
    HOOKWRIGHT_METRICS_LISTEN=0.0.0.0:8072
USER 10001:10001
VOLUME /var/lib/hookwright
EXPOSE 8071 8072
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["hookwright", "health"]
ENTRYPOINT ["hookwright"]
CMD ["serve"]
