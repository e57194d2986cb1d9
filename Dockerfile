# syntax=docker/dockerfile:1

# The binary to hand on: fat LTO and jemalloc. The compiler is that of the newest release it was tested with.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --features jemalloc --bin agent-debugger \
    && cp target/dist/agent-debugger /agent-debugger

# glibc and certificates, no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /agent-debugger /usr/local/bin/agent-debugger
COPY LICENSE-APACHE LICENSE-MIT THIRD-PARTY.md /usr/share/doc/agent-debugger/
# Reachable from outside the container. Like everywhere, it does not start so without a token and TLS, unless
# AGENT_DEBUGGER_INSECURE says that the network is trusted: see compose.yaml.
ENV AGENT_DEBUGGER_LISTEN=0.0.0.0:7117
EXPOSE 7117
# nonroot, as a number that an orchestrator can check.
USER 65532
# With TLS, AGENT_DEBUGGER_URL is the address that the certificate names.
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["agent-debugger", "health"]
ENTRYPOINT ["agent-debugger"]
