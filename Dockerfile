# The program alone, for `clawctl egress serve`. Build it first, since the image takes it from there:
#   npm run build && docker build -t clawctl-egress .
# `run` needs bubblewrap and namespaces, which a container seldom has: use it outside.
FROM debian:12-slim AS files
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --chmod=0755 dist/clawctl /rootfs/usr/local/bin/clawctl
# The C library, certificates, and the folders of one user, whoever that is outside.
RUN ldd /rootfs/usr/local/bin/clawctl | grep -o '/[^ ]*' | xargs -I{} cp --parents --dereference {} /rootfs \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/ca-certificates.crt \
 && printf 'hosts: files dns\n' > /rootfs/etc/nsswitch.conf \
 && printf 'clawctl:x:65532:65532::/var/lib/clawctl:/nonexistent\n' > /rootfs/etc/passwd \
 && printf 'clawctl:x:65532:\n' > /rootfs/etc/group \
 && install -d -m 0755 /rootfs/etc/clawctl /rootfs/proc /rootfs/dev \
 && install -d -m 1777 /rootfs/tmp \
 && install -d -o 65532 -g 65532 -m 0700 /rootfs/etc/clawctl/own /rootfs/var/lib/clawctl /rootfs/run/clawctl

FROM scratch
COPY --from=files /rootfs/ /
ENV XDG_CONFIG_HOME=/etc/clawctl/own \
    XDG_STATE_HOME=/var/lib/clawctl \
    XDG_RUNTIME_DIR=/run/clawctl
USER 65532:65532
VOLUME ["/var/lib/clawctl"]
EXPOSE 8880
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/local/bin/clawctl", "egress", "status"]
ENTRYPOINT ["/usr/local/bin/clawctl", "egress"]
CMD ["serve", "--listen", "0.0.0.0:8880"]
