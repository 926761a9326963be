#!/bin/sh
# Healthy is: the role can sign in to its database.
set -eu
. "$(dirname "$0")/../shared/psql.sh"

run_sql "$INPUT_NAME" "$INPUT_NAME" "$ROLE_PASSWORD" > /dev/null <<'SQL'
SELECT 1;
SQL
