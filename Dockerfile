# kabench as a static binary, for a user without rights.
#
#   docker build -t kabench .
#   docker run --rm kabench reproduce idle-race
#
# It needs no capability for traffic, and for incidents and servers of its own. More rights, and
# what they are for (docs/install.md says how each was tried):
#
#   --security-opt seccomp=unconfined --security-opt systempaths=unconfined --device /dev/net/tun
#       private networks: incidents that 'kabench incidents' marks with *. kabench makes a user and
#       a network namespace of its own, and sets kernel settings in it.
#   --user 0 --cap-add NET_RAW
#       packets of a server that is not kabench's own, if a real client (--driver) sends the requests.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/kabench ./cmd/kabench \
 && mkdir -p /out/results /out/tmp && chmod 1777 /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/kabench /usr/bin/
COPY --from=build /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/results /results
USER 65532:65532
# Results are below /results/kabench-results; mount a directory there to keep them.
WORKDIR /results
ENTRYPOINT ["/usr/bin/kabench"]
CMD ["--help"]
