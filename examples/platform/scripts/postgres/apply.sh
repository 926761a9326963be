#!/bin/sh
# Makes the role and the database, or brings them to what is asked. Safe to repeat.
set -eu
. "$(dirname "$0")/../shared/psql.sh"

# The server would write a statement that failed into its log, and with it the password.
run_sql postgres "$INPUT_SUPERUSER" "$SUPERUSER_PASSWORD" <<'SQL'
\set name `printf '%s' "$INPUT_NAME"`
\set connections `printf '%s' "$INPUT_CONNECTIONS"`
\set password `printf '%s' "$ROLE_PASSWORD"`
SET log_min_error_statement = panic;
SELECT format('CREATE ROLE %I', :'name')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" LOGIN CONNECTION LIMIT :connections PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL

umask 077
printf 'password=%s\n' "$ROLE_PASSWORD" > "$PODIUM_OUTPUT/outputs.env"
