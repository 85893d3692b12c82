"""Records what the reference servers answer: `python3 record.py EXERCISES.md > replies.jsonl`.

EXERCISES.md holds the five `app.py` files, in the order stock, flight, domain, package, player.
They run as they are, on loopback ports of their own, only without their delays.
The replies here were made with Flask 3.1.3, Werkzeug 3.1.8 and Python 3.11.7.
Kilat's tests read the recording and need no Python.
"""
import json
import logging
import random
import re
import socket
import sys
import threading
import time
import types

from werkzeug.serving import make_server

PROFILES = [
    ("/get_stock", "sku", ["SKU-001", "SKU-002", "SKU-003", "SKU-004", "SKU-005", "SKU-999"]),
    ("/get_flight_status", "flight_number", ["GA202", "QZ7510", "JT686", "ID7280", "SJ182", "XX123"]),
    ("/check_domain", "domain", ["google.com", "tokopedia.com", "binus.ac.id", "github.com",
                                 "microsoft.com", "idekerenbanget.com", "startupimpianku.id"]),
    ("/track_package", "tracking_number", ["JNE001", "TIKI002", "SICEPAT003", "JNT004",
                                           "ANTERAJA005", "INVALID123"]),
    ("/get_player_stats", "player_id", ["PLAYER01", "PLAYER02", "PLAYER03", "PLAYER04", "PLAYER05",
                                        "GHOSTPLAYER"]),
]

# Values as they stand in an address; a character over U+007F is one raw byte.
ODD = [
    "", "+", "%20", "%09", "%0A", "%0D%0A", "%00", "%7F", "%1B[31m", "a%00b", "a+b", "a%2Bb", "+a", "a+", "%20a%20",
    "%22", "%5C", "%27", "'", "%3Cb%3E", "a%26b", "a;b", "a=b", "=", "==a", "a?b", "a/b", "../a", "a:b@c",
    "%", "%2", "%zz", "%G1", "%u0041", "%25", "%2541", "%41%", "%%41", "%e9", "%FF", "%C0%80", "%C3", "%C3%28", "%E2%82",
    "%ED%A0%80", "%ED%B0%80", "%F4%90%80%80", "%F0%9F%98", "%F8%88%80%80%80", "%80%80", "a%FFb%C3%A9c%FE",
    "%C3%A9", "%C3%9F", "%C5%89", "%EF%AC%81", "%CE%90", "%C4%B1", "%C4%B0", "i%CC%87", "%CF%82", "%CE%A3",
    "%CE%91%CE%A3", "%CE%91%CE%A3+a", "%CE%91%CE%A3.id", "%E1%BA%9E", "%E1%BF%BC", "%D6%87", "%C7%85", "%CD%85",
    "%EF%BB%BF", "%E2%80%A8", "%E2%80%AE", "%EF%BF%BE", "%EF%BF%BD", "%F4%8F%BF%BF", "%F0%9F%98%80", "%F0%90%90%A8",
    "%F0%90%90%80", "e%CC%81", "%E0%A4%A8", "%E6%B5%8B", "\u00e9", "\u00c3\u00a9", "\u00ff\u00df", "a\u00b5%C3%A9",
    "ka%C5%BFir", "to%E2%84%AAopedia.com", "%C5%BFku-001", "T%C4%B1K%C4%B1002", "google.com.", "GOOGLE%2ECOM",
    "0", "-1", "null", "true", "1e3", "a" * 1000, "%F0%9F%98%80" * 50, "%41" * 300, "a%0Ab" * 50,
]

# Whole query strings; P is the parameter, V an id that the data set knows.
QUERIES = [
    None, "", "P", "P=", "P&P=V", "P=&P=V", "P=V&P=", "P=V&P=x", "P=x&P=V", "Q=V", "Q=1&P=V", "P=V&Q=1", "&&P=V&&",
    "P==V", "P=V=", "p%3DV", "P%3DV", "P=V;Q=1", "Q=1;P=V", "P[]=V", "P=%", "P+=V", "+P=V", "P%00=V", "P%20=V", "=V",
    "=P&P=V", "P=V#x", "P=V%23x", "P=V?P=x", "?P=V", "amp;P=V", "Q=%FF&P=V", "%FF=1&P=V", "P=+V", "P=V+", "P=%20V", "P=V%0A",
]


def start(source, port):
    module = types.ModuleType(f"app{port}")
    module.__dict__["print"] = lambda *_: None
    exec(compile(source, module.__name__, "exec"), module.__dict__)
    server = make_server("127.0.0.1", port, module.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def ask(port, method, target):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        request = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode("latin-1"))
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    head, body = reply.split(b"\r\n\r\n", 1)
    kind = re.search(rb"(?im)^content-type: (.*?)\r?$", head).group(1)
    return {"method": method, "target": target, "status": int(head.split()[1]),
            "type": kind.decode(), "body": body.decode("ascii")}


def targets(path, name, ids, dice):
    for value in [c for i in ids for c in (i, i.lower(), i.upper(), i.swapcase(), f" {i}".replace(" ", "%20"))] + ODD:
        yield f"{path}?{name}={value}"
    for query in QUERIES:
        if query is None:
            yield path
        else:
            yield f"{path}?" + query.replace("P", name).replace("V", ids[0]).replace("p", name.upper())
    escaped = "".join(f"%{ord(c):02x}" for c in name)
    yield f"{path}?{escaped}={ids[0]}"
    yield "/" + "".join(f"%{ord(c):02X}" for c in path[1:]) + f"?{name}={ids[0]}"
    alphabet = ["%", "%C3", "%A9", "%E2", "%82", "%AC", "%F0", "%9F", "%98", "%80", "+", "&", "=", ";", "a", "Z", "9", "-",
                ".", "'", "%00", "%0a", "%22", "%5c", "%7f", f"{name}=", f"&{name}=", ids[0], "\u00e9", "%c5%bf"]
    for _ in range(80):
        yield f"{path}?{name}=" + "".join(dice.choices(alphabet, k=dice.randint(1, 9)))


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    time.sleep = lambda _: None
    text = open(sys.argv[1], encoding="utf-8").read()
    sources = re.findall(r"#### `app\.py`\n```python\n(.*?)\n```", text, re.S)
    dice = random.Random(1)
    for source, (path, name, ids) in zip(sources, PROFILES, strict=True):
        port = start(source, 0)
        for target in targets(path, name, ids, dice):
            print(json.dumps(ask(port, "GET", target), separators=(",", ":")))
        for value in (ids[0], ids[-1], ""):
            print(json.dumps(ask(port, "HEAD", f"{path}?{name}={value}"), separators=(",", ":")))


main()
