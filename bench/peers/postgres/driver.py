"""Inserts events into PostgreSQL over a few connections: one batch a statement and transaction.

Rows go in the order of their key, so that two statements with the same keys can't deadlock.
"""

import itertools
import threading
import time

import psycopg

import load

READY_SECONDS = 20
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    position bigint GENERATED ALWAYS AS IDENTITY,
    topic text NOT NULL,
    event_id text NOT NULL,
    timestamp timestamptz NOT NULL,
    source text NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (topic, event_id)
)
"""
INSERT = """
INSERT INTO events (topic, event_id, timestamp, source, payload)
SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[])
ON CONFLICT DO NOTHING
"""


def array(values):
    """An array as PostgreSQL writes it, so that the driver has nothing left to convert."""
    quoted = ('"%s"' % value.replace('"', '\\"') for value in values)
    return "{%s}" % ",".join(quoted)


def connect(plan):
    return psycopg.connect(
        host="127.0.0.1", port=plan.port, user="postgres", dbname="postgres", autocommit=True
    )


def create(plan):
    """The server takes connections a moment before it is ready for them."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with connect(plan) as connection:
                connection.execute(SCHEMA)
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def insert(plan, batches, numbers, started, results):
    done = unique = 0
    with connect(plan) as connection:
        while time.perf_counter() - started < plan.seconds:
            number = next(numbers)
            if number >= len(batches):
                break
            unique += connection.execute(INSERT, batches[number], prepare=True).rowcount
            done += 1
    results.append((done, unique))


def main():
    parser = load.parser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    plan = parser.parse_args()
    create(plan)
    batches = [[array(column) for column in zip(*sorted(rows))] for rows in load.prepare(plan)]
    results, numbers = [], itertools.count()
    started = time.perf_counter()
    clients = [
        threading.Thread(target=insert, args=(plan, batches, numbers, started, results))
        for _ in range(plan.clients)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if len(results) < plan.clients:
        raise SystemExit("a client failed, see above")
    done, unique = map(sum, zip(*results))
    load.report(plan, done, unique, started)


main()
