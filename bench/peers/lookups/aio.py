"""aiohttp: one session, a pool with one connection for each lookup under way.

Prints how many ids the server answered.
"""

import asyncio
import resource
import sys

import aiohttp

URL, FILE, IN_FLIGHT = sys.argv[1], sys.argv[2], int(sys.argv[3])


async def look_up(session, name):
    async with session.get(URL + name) as response:
        await response.json()
        return response.status in (200, 404)


async def main():
    with open(FILE, encoding="utf-8") as file:
        names = file.read().split()
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        answers = await asyncio.gather(*(look_up(session, name) for name in names))
    print(sum(answers))


_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
asyncio.run(main())
