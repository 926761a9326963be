#!/bin/sh
# Drops the database with all that is in it, then its role. Safe to repeat.
set -eu
. "$(dirname "$0")/../shared/psql.sh"

run_sql postgres "$INPUT_SUPERUSER" "$SUPERUSER_PASSWORD" <<'SQL'
\set name `printf '%s' "$INPUT_NAME"`
SET client_min_messages = warning;
DROP DATABASE IF EXISTS :"name" WITH (FORCE);
DROP ROLE IF EXISTS :"name";
SQL
