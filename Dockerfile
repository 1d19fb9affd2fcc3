# The builder follows Go 1.27 and the base Debian 12's distroless static image. Neither is pinned by digest, so that a
# rebuild picks up the security fixes of both.
FROM golang:1.27 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/plugin-oauth . && mkdir /out/pb_data

# It has certificate authorities and time zones, and no shell. The user is 65532; Fly gives it the volume.
FROM gcr.io/distroless/static-debian12:nonroot
WORKDIR /
COPY --from=build /out/plugin-oauth /plugin-oauth
COPY --from=build --chown=65532:65532 /out/pb_data /pb_data
VOLUME /pb_data
EXPOSE 8080
ENTRYPOINT ["/plugin-oauth"]
CMD ["serve", "--http=0.0.0.0:8080"]
