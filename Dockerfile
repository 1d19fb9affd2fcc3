# The builder is pinned to the Go release of go.mod, the base to Debian 12's distroless static image. Neither is pinned
# by digest: a rebuild is meant to pick up the security fixes of both.
FROM golang:1.27 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/plugin-oauth . && mkdir /out/pb_data

# It has certificate authorities and time zones, and no shell. The user is 65532.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/plugin-oauth /usr/local/bin/plugin-oauth
COPY --from=build --chown=65532:65532 /out/pb_data /pb_data
VOLUME /pb_data
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/plugin-oauth", "--dir=/pb_data"]
CMD ["serve", "--http=0.0.0.0:8080"]
