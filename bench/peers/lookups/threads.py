"""The seed's client: a thread for each lookup under way, `requests.get` for each id.

Prints how many ids the server answered.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import requests

URL, FILE, IN_FLIGHT = sys.argv[1], sys.argv[2], int(sys.argv[3])


def look_up(name):
    response = requests.get(URL + name, timeout=60)
    response.json()
    return response.status_code in (200, 404)


with open(FILE, encoding="utf-8") as file:
    names = file.read().split()
with ThreadPoolExecutor(IN_FLIGHT) as pool:
    print(sum(pool.map(look_up, names)))
