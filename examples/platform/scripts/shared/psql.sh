# Sourced by the scripts of `postgres`. No password ever becomes an argument: libpq reads them from the environment.
export PGHOST="$INPUT_HOST" PGPORT="$INPUT_PORT" PGCONNECT_TIMEOUT=10

# Runs the statements on stdin in one database, as one user, and stops at the first mistake.
run_sql() {
  PGDATABASE="$1" PGUSER="$2" PGPASSWORD="$3" \
    psql --no-psqlrc --quiet --no-password --tuples-only --set=ON_ERROR_STOP=1
}
