"""The seed's aggregator: FastAPI takes one event or a list, SQLite keeps each id once.

A request is one transaction. The database is SQLite as it comes: a sync at every commit.
"""

import json
import os
import sqlite3
import time
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

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


class Event(BaseModel):
    topic: str = Field(min_length=1)
    event_id: str = Field(min_length=1)
    timestamp: datetime
    source: str
    payload: dict[str, Any]


app = FastAPI()
started = time.monotonic()
received = 0
database = sqlite3.connect(os.environ["DATABASE"])
database.execute(SCHEMA)


@app.post("/publish")
async def publish(events: Event | list[Event]):
    global received
    if isinstance(events, Event):
        events = [events]
    stored = 0
    with database:
        for event in events:
            row = (
                event.topic,
                event.event_id,
                event.timestamp.isoformat(),
                event.source,
                json.dumps(event.payload),
            )
            insert = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)"
            stored += database.execute(insert, row).rowcount
    received += len(events)
    return {"received": len(events), "stored": stored, "duplicates": len(events) - stored}


@app.get("/events")
async def list_events(topic: str):
    query = "SELECT event_id, timestamp, source, payload FROM events WHERE topic = ?"
    names = ("event_id", "timestamp", "source")
    return [
        {"topic": topic, **dict(zip(names, row)), "payload": json.loads(row[3])}
        for row in database.execute(query, (topic,))
    ]


@app.get("/stats")
async def stats():
    (unique,) = database.execute("SELECT count(*) FROM events").fetchone()
    return {
        "uptime": time.monotonic() - started,
        "total_events_received": received,
        "total_unique_events_processed": unique,
        "total_duplicate_events_dropped": received - unique,
    }
