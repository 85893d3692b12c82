# The same image as ./Dockerfile makes, from a file that was built elsewhere: for a machine that can't
# fetch the image of the Rust compiler, or for a binary that has been tested already. It must be
# static, see docs/deploying.md. From the project's folder:
#
#   mkdir -p -m 0700 deploy/image/data
#   cp path/to/kilat deploy/image/
#   docker build -f deploy/prebuilt.Dockerfile -t kilat .
#
# With compose: KILAT_DOCKERFILE=deploy/prebuilt.Dockerfile docker compose up -d --build

FROM scratch
COPY --chown=65532:65532 deploy/image /
# A user that exists nowhere else. A new volume at /data belongs to it.
USER 65532:65532
ENV KILAT_DATA=/data \
    KILAT_LOOKUP_LISTEN=none \
    KILAT_LOG_JSON=true
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["/kilat", "health"]
ENTRYPOINT ["/kilat"]
# It starts only with the tokens that guard it: see deploy/make-secrets.sh.
CMD ["serve", "--listen", "0.0.0.0:8080"]
