"""Makes the events of the tests: exposures.csv and rewards.csv, and from them, with
DuckDB, Parquet files in the forms that it writes.

    pip install duckdb==2.0.0
    python internal/warehouse/testdata/generate.py
"""

import csv
import datetime
import pathlib
import random

import duckdb

HERE = pathlib.Path(__file__).parent
OURS, OTHER = "5f0c3f5e-3c3e-4f0e-9a53-7a3b8d6f0001", "5f0c3f5e-3c3e-4f0e-9a53-7a3b8d6f0002"
START = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)
HOUR = datetime.timedelta(hours=1)


def text(t):
    return t.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def generate():
    rnd = random.Random(20260301)
    strange = ['o"quote', "a, comma", "żółć", "日本", "Ａ", "😀", " space", "line\nbreak", "UPPER", "upper", "0", "007", "-"]
    visitors = strange + ["v%04d" % i for i in range(500)]
    exposures, rewards = [], []
    for visitor in visitors:
        held = rnd.random() < 0.1
        for n in range(rnd.choice([1, 1, 2, 3])):
            at = START + HOUR * rnd.uniform(-48, 31 * 24)  # some before the start, some after the end
            headline = "plain" if held else rnd.choice(["plain", "bold", "question"])
            cta = False if held else rnd.random() < 0.5
            device = rnd.choice(["mobile", "desktop", "watch", ""])  # watch is no level
            member = rnd.choice(["true", "false", ""])
            row = [visitor, OURS, text(at), headline, str(cta).lower(), device, member, str(held).lower(), "e-%s-%d" % (visitor, n)]
            exposures.append(row)
            if rnd.random() < 0.05:
                exposures.append(list(row))  # sent twice
            if rnd.random() < 0.05:
                exposures.append([visitor, OTHER, text(at), "elsewhere", "maybe", "", "", "", ""])
            chance = 0.15 + 0.1 * (headline == "bold") + 0.15 * (cta and device == "mobile")
            if rnd.random() < chance:
                for k in range(rnd.choice([1, 1, 2])):
                    gained = at + HOUR * rnd.choice([-1, 0, 0.5, 5, 24, 24.5])
                    value = round(rnd.uniform(-5, 200), 2)
                    key = "r-%s-%d-%d" % (visitor, n, k)
                    rewards.append([visitor, "", "signup", text(gained), "1", key])
                    rewards.append([visitor, rnd.choice(["", OURS, OTHER]), "revenue", text(gained), repr(value), key + "-v"])
    for i in range(40):
        rewards.append(["nobody-%d" % i, "", "signup", text(START + HOUR * i), "1", ""])
    rnd.shuffle(exposures)
    rnd.shuffle(rewards)
    return exposures, rewards


def write(name, header, rows):
    with open(HERE / name, "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(rows)


def main():
    exposures, rewards = generate()
    write("exposures.csv", ["anonymous_id", "optimization_id", "timestamp", "headline", "cta", "device", "member", "is_holdout", "idempotency_key"], exposures)
    write("rewards.csv", ["anonymous_id", "optimization_id", "name", "timestamp", "value", "idempotency_key"], rewards)

    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    db.execute("SET threads = 1")
    for name in ("exposures", "rewards"):
        db.execute(f"CREATE TABLE {name} AS SELECT * FROM read_csv('{HERE}/{name}.csv', all_varchar = true, header = true, nullstr = '')")
    moment = "timestamp::TIMESTAMPTZ"
    levels = "headline, TRY_CAST(cta AS BOOLEAN) AS cta, device, member::BOOLEAN AS member, is_holdout::BOOLEAN AS is_holdout, idempotency_key"
    variant = "1 + 2 * (CASE headline WHEN 'bold' THEN 1 WHEN 'question' THEN 2 ELSE 0 END) + (cta = 'true')::INTEGER"
    for target, query, options in [
        ("exposures.snappy", f"SELECT anonymous_id, optimization_id, {moment} AS timestamp, {levels} FROM exposures", "CODEC 'snappy'"),
        ("exposures.zstd", f"SELECT anonymous_id, optimization_id::UUID AS optimization_id, ({moment})::TIMESTAMP_MS AS timestamp, {levels} FROM exposures",
         "CODEC 'zstd', PARQUET_VERSION V2, ROW_GROUP_SIZE 2048"),
        ("exposures.plain", f"SELECT anonymous_id, optimization_id, ({moment})::TIMESTAMP_NS AS timestamp, {levels} FROM exposures",
         "CODEC 'uncompressed', DICTIONARY_SIZE_LIMIT 1"),
        ("exposures.number", f"SELECT anonymous_id AS visitor, epoch_us({moment}) AS shown, ({variant})::SMALLINT AS variant, device AS screen, CASE member WHEN 'true' THEN 1 WHEN 'false' THEN 0 END::UTINYINT AS member, is_holdout::BOOLEAN AS held, idempotency_key AS key"
         f" FROM exposures WHERE optimization_id = '{OURS}'", "CODEC 'gzip'"),
        ("rewards.snappy", f"SELECT anonymous_id, optimization_id, name, {moment} AS timestamp, value::DOUBLE AS value, idempotency_key FROM rewards", "CODEC 'snappy'"),
        ("rewards.zstd", f"SELECT anonymous_id, optimization_id, name, ({moment})::TIMESTAMP AS timestamp, value::DECIMAL(9, 2) AS value, idempotency_key FROM rewards",
         "CODEC 'zstd', PARQUET_VERSION V2"),
        ("rewards.wide", f"SELECT anonymous_id, optimization_id, name, ({moment})::TIMESTAMP_NS AS timestamp, value::DECIMAL(30, 4) AS value, idempotency_key, [1, 2] AS list FROM rewards",
         "CODEC 'gzip', ROW_GROUP_SIZE 100000"),
        ("rewards.lz4", f"SELECT anonymous_id, name, {moment} AS timestamp, value::INTEGER AS value FROM rewards LIMIT 3", "CODEC 'lz4_raw'"),
        ("rewards.single", f"SELECT anonymous_id, optimization_id, name, {moment} AS timestamp, value::FLOAT AS value, idempotency_key FROM rewards", "CODEC 'brotli'"),
    ]:
        db.execute(f"COPY ({query}) TO '{HERE}/{target}.parquet' (FORMAT parquet, {options})")
        print(target, db.execute(f"SELECT count(*) FROM '{HERE}/{target}.parquet'").fetchone()[0])


if __name__ == "__main__":
    main()
