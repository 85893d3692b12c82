"""Inserts events into SQLite in process: WAL, a sync at every commit, one batch a transaction."""

import sqlite3
import time

import load

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    topic TEXT NOT NULL,
    event_id TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    source TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (topic, event_id)
)
"""


def main():
    parser = load.parser()
    parser.add_argument("--store", required=True)
    plan = parser.parse_args()
    store = sqlite3.connect(plan.store, isolation_level=None)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA synchronous = FULL")
    store.execute(SCHEMA)
    batches = list(load.prepare(plan))
    done = unique = 0
    started = time.perf_counter()
    for rows in batches:
        if time.perf_counter() - started >= plan.seconds:
            break
        store.execute("BEGIN")
        inserted = store.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", rows)
        unique += inserted.rowcount
        store.execute("COMMIT")
        done += 1
    load.report(plan, done, unique, started)
    store.close()


main()
