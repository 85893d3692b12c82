"""The seed's shop, as it was: every replica counts one stock down in Redis.

Nothing is durable, nobody has a name, and a retry buys again.
"""

import os
import socket

from flask import Flask, jsonify
from redis import Redis

app = Flask(__name__)
redis = Redis(port=int(os.environ["REDIS_PORT"]))
node = socket.gethostname()


@app.get("/")
def ready():
    redis.ping()
    return "ready"


@app.post("/buy")
def buy():
    left = redis.decr("stock")
    if left < 0:
        redis.incr("stock")
        return jsonify(status="sold_out", node=node), 409
    return jsonify(status="success", left=left, node=node)
