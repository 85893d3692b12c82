"""Gives a fresh server something to sell, then lets Schemathesis at it.

Called with the server's address, a seed and further arguments for Schemathesis;
KILAT_ADMIN_TOKEN is the server's. Exits as Schemathesis does.
"""

import os
import pathlib
import sys

import requests

HERE = pathlib.Path(__file__).parent
SALE = "iphone-17-pro-max"


def ask(url, path, key, body):
    token = os.environ["KILAT_ADMIN_TOKEN"]
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    reply = requests.post(url + path, json=body, headers=headers, timeout=10)
    reply.raise_for_status()
    return reply.json()


def sale(name):
    """A sale that is not sold out by a few large orders, with holds that outlast the run."""
    price = {"amount": "24999000", "currency": "IDR"}
    more = {"price": price, "supply": 500_000_000_000, "hold_seconds": 86_400}
    return {"id": name, "title": "iPhone 17 Pro Max", "sku": "IPHONE-17-PRO-MAX", **more}


def held(url, key):
    order = {"customer": "budi", "quantity": 1, "hold": True}
    return ask(url, f"/v1/sales/{SALE}/orders", key, order)["order"]


def event(name):
    return {
        "topic": "orders",
        "event_id": name,
        "timestamp": "2026-11-21T09:00:00+07:00",
        "source": "schemathesis",
        "payload": {"total": 24_999_000},
    }


def main(url, seed, *more):
    ask(url, "/v1/sales", "make", sale(SALE))
    # To be paused and closed, so that the other one stays open.
    ask(url, "/v1/sales", "make", sale("to-change"))
    ask(url, "/publish", "publish", [event(f"prepared-{number}") for number in range(3)])
    for name in ["SHOW", "CONFIRM", "CANCEL"]:
        os.environ[f"KILAT_ORDER_TO_{name}"] = held(url, name)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(pathlib.Path.cwd() / "hypothesis")
    os.environ["PYTHONPATH"] = str(HERE)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    program = pathlib.Path(sys.executable).parent / "schemathesis"
    settings = ["--config-file", str(HERE / "schemathesis.toml")]
    run = ["run", f"{url}/openapi.json", "--seed", seed, "--no-color", *more]
    os.execv(program, [str(program), *settings, *run])


main(*sys.argv[1:])
