# The one base image is pinned by digest. Dependabot proposes the next, with the fixes of Go and Debian.
FROM golang:1.27.2@sha256:5bc7f572bbaa98885a3a1fd9c0aa76b59e3e14e8628bfc316bbfd0c701e4818c AS build
# go.mod may ask for a newer Go, which is checked against Go's checksum database.
ENV GOTOOLCHAIN=auto
# Some hosts look the user up in /etc/passwd. Large request bodies go to /tmp.
RUN mkdir -p /image/etc/ssl/certs /image/tmp /pb_data && chmod 1777 /image/tmp && chmod 0700 /pb_data \
	&& cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
	&& printf '%s\n' root:x:0:0::/:/ plugin-oauth:x:65532:65532::/:/ >/image/etc/passwd \
	&& printf '%s\n' root:x:0: plugin-oauth:x:65532: >/image/etc/group
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /image/plugin-oauth .

# No shell, no libraries and no packages: only the program and what stands in /image beside it.
FROM scratch
COPY --from=build /image /
COPY --from=build --chown=65532:65532 /pb_data /pb_data
USER 65532:65532
VOLUME /pb_data
EXPOSE 8080
ENTRYPOINT ["/plugin-oauth"]
CMD ["serve", "--http=0.0.0.0:8080"]
