# syntax=docker/dockerfile:1
# One image for controller and runners. Node comes from npm (the version in package-lock.json), everything else from Debian and,
# for client programs of all supported majors, from the PostgreSQL project.
#
#   BASE        what the image stands on: Debian, or something that has its apt
#   BUILD_BASE  what it is built in: any Node.js with npm; nothing of it is in the image
#   PGDG        true: client programs 15 to 18 from apt.postgresql.org; false: only those of BASE's own distribution
ARG BASE=docker.io/library/debian:bookworm-slim
ARG BUILD_BASE=docker.io/library/node:24-bookworm-slim

FROM ${BUILD_BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No script of a package runs (no compilers are needed: the native parts of ssh2 are optional), but for that of the package
# "node", which fetches the program.
RUN --mount=type=cache,target=/root/.npm \
    npm ci --ignore-scripts --no-audit --no-fund && npm rebuild node && node_modules/.bin/node --version
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN --mount=type=cache,target=/root/.npm \
    npm run --silent build && \
    cp node_modules/node/bin/node /usr/local/bin/image-node && \
    npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && \
    mkdir /image && mv dist node_modules package.json /image/

FROM ${BASE}
ARG PGDG=true
# psql comes with the others and is taken out: nothing here runs it.
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    apt-get update -qq; \
    apt-get install -qq -y --no-install-recommends ca-certificates libstdc++6; \
    if [ "$PGDG" = true ]; then \
      apt-get install -qq -y --no-install-recommends postgresql-common; \
      . /etc/os-release; \
      key=$(ls /usr/share/postgresql-common/pgdg/apt.postgresql.org.* | grep -E '(gpg|asc)$' | head -n 1); \
      echo "deb [signed-by=$key] https://apt.postgresql.org/pub/repos/apt $VERSION_CODENAME-pgdg main" \
        >/etc/apt/sources.list.d/pgdg.list; \
      apt-get update -qq; \
      apt-get install -qq -y --no-install-recommends \
        postgresql-client-15 postgresql-client-16 postgresql-client-17 postgresql-client-18; \
    else \
      apt-get install -qq -y --no-install-recommends postgresql-client; \
    fi; \
    rm -f /usr/lib/postgresql/*/bin/psql /usr/bin/psql; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* /usr/share/doc /usr/share/man /usr/share/locale; \
    echo 'pgbackup:x:65532:65532::/nonexistent:/usr/sbin/nologin' >>/etc/passwd; \
    echo 'pgbackup:x:65532:' >>/etc/group; \
    mkdir -p /run/pgbackup
COPY --from=build /usr/local/bin/image-node /usr/local/bin/node
COPY --from=build /image /app
RUN ln -s /app/dist/main.js /usr/local/bin/pgbackup && chmod 755 /app/dist/main.js && \
    pgbackup --version && ls /usr/lib/postgresql/*/bin/pg_dump
LABEL org.opencontainers.image.title="pgbackup-operator" \
      org.opencontainers.image.description="Logical PostgreSQL backups on Kubernetes that prove themselves" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
ENV NODE_ENV=production
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/local/bin/node", "/app/dist/main.js"]
CMD ["--help"]
