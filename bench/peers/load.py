"""The row of events that every generator sends, as xtask's `events/load.rs` has it.

The fifth of every five events repeats one of the last million ids; ids are UUIDs in no order.
"""

import argparse
import json
import time

DUPLICATES_PERCENT = 20
RECENT_IDS = 1_000_000
TOPICS = 8
GOLDEN = 0x9E37_79B9_7F4A_7C15
MASK = (1 << 64) - 1


def mix(number):
    z = (number + GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & MASK
    return z ^ (z >> 31)


def event_id(number):
    text = "%016x%016x" % (mix(number), mix((number + GOLDEN) & MASK))
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def new_among(events):
    return events - events * DUPLICATES_PERCENT // 100


def id_number(index):
    new_before = new_among(index)
    if new_among(index + 1) > new_before:
        return new_before
    return max(new_before - 1 - mix(index ^ GOLDEN) % max(min(new_before, RECENT_IDS), 1), 0)


def event(index):
    """Topic, id, timestamp, source and payload, the payload as text."""
    number = id_number(index)
    name = event_id(number)
    payload = (
        '{"order":"%s","customer":"c-1000000","amount":"150000","currency":"IDR"}' % name
    )
    return (f"orders.{number % TOPICS}", name, "2026-11-21T09:30:00.125Z", "shop-1", payload)


def parser():
    """What the benchmark tells every driver."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--first", type=int, required=True)
    return parser


def prepare(plan):
    """All batches, made before time starts: making them is not the store's work."""
    for batch in range(plan.batches):
        start = plan.first + batch * plan.batch
        yield [event(index) for index in range(start, start + plan.batch)]


def report(plan, batches, unique, started):
    seconds = time.perf_counter() - started
    print(json.dumps({"events": batches * plan.batch, "unique": unique, "seconds": seconds}))


assert event_id(0) == "e220a839-7b1d-cdaf-6e78-9e6aa1b965f4"
