# Run by postgres.yaml. The URL is taken apart because psql would show it, password and all, among its arguments.
set -eu
rest=${DATABASE_URL#postgresql://}
credentials=${rest%%@*}
place=${rest#*@}
address=${place%%/*}
export PGUSER="${credentials%%:*}" PGPASSWORD="${credentials#*:}"
export PGHOST="${address%%:*}" PGPORT="${address#*:}" PGDATABASE="${place#*/}"

psql --no-psqlrc --quiet --no-password --tuples-only --no-align --set=ON_ERROR_STOP=1 > stored.new <<'SQL'
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS starts (started timestamptz NOT NULL DEFAULT now());
INSERT INTO starts DEFAULT VALUES;
SELECT count(*) FROM starts;
SQL
mv stored.new stored
echo "rows stored: $(cat stored)"
while :; do sleep 5; done
