# The image of operator and processors: the program, the libraries it needs, certificates, time zones, and nothing else: no shell.
#
#   docker build -t dataflow .
#   docker buildx build --platform linux/amd64,linux/arm64 -t registry.example/dataflow:0.1.0 --push .
#   docker run --rm --user "$(id -u)" -v "$PWD":/tmp dataflow run flow.yaml
#
# Without Docker: scripts/image.

# Debian 13 has librdkafka 2.8; with an older one (Debian 12) Kafka 4 refuses SCRAM, and scripts/librdkafka would have to build it.
FROM debian:trixie-slim AS build
WORKDIR /src
COPY scripts/bootstrap scripts/librdkafka scripts/
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends librdkafka-dev && scripts/bootstrap build
COPY . .
RUN meson setup /build --buildtype=release -Dtests=disabled && ninja -C /build src/cmd/dataflow
RUN scripts/stage /build/src/cmd/dataflow /stage

FROM scratch
COPY --from=build /stage/base/ /
COPY --from=build /stage/program/ /
ENV PATH=/ HOME=/tmp
WORKDIR /tmp
USER 65532:65532
EXPOSE 9090
ENTRYPOINT ["/dataflow"]
CMD ["--help"]
