"""aiohttp: a ClientSession with a TCPConnector."""

import aiohttp
from yarl import URL

import kit
import kit_asyncio

STEPS = ("total", "connect", "sock_connect", "sock_read")


class Aiohttp(kit.Driver):
    name, client, version = "aiohttp", "aiohttp", aiohttp.__version__
    settings = (
        kit.setting("limit", "count", 100, pool="max_conns_all"),
        kit.setting("limit_per_host", "count", None, pool="max_conns"),
        kit.setting("keepalive_timeout", "duration", 15000, pool="idle_timeout"),
        kit.setting("force_close", "bool", False),
        # Of ClientTimeout. connect is the wait for a connection and the dial, total the whole request.
        kit.setting("total", "duration", 300000, pool="response_timeout", least=1),
        kit.setting("connect", "duration", None, pool="pending_timeout", least=1),
        kit.setting("sock_connect", "duration", 30000, pool="connect_timeout", least=1),
        kit.setting("sock_read", "duration", None, least=1),
    )
    gauge_names = ("active", "idle", "pending")
    session = None
    bound = None  # total bounds the whole request

    def open(self, settings, timeout, insecure):
        steps = {name: kit.seconds(settings.get(name, default))
                 for name, default in (("total", 300000), ("connect", None), ("sock_connect", 30000), ("sock_read", None))}
        if timeout is not None:
            steps["total"] = min(timeout, steps["total"] or timeout)
        options = {name: value for name, value in settings.items() if name not in STEPS}
        for name in ("limit", "limit_per_host"):  # 0 is aiohttp's "no limit"
            if name in options and options[name] is None:
                options[name] = 0
        if "keepalive_timeout" in options:
            options["keepalive_timeout"] = kit.seconds(options["keepalive_timeout"]) or 1e9  # it must be a number
        if insecure:
            options["ssl"] = False
        self.connector = aiohttp.TCPConnector(**options)
        self.session = aiohttp.ClientSession(
            connector=self.connector, timeout=aiohttp.ClientTimeout(**steps), cookie_jar=aiohttp.DummyCookieJar())

    async def send(self, method, url, headers, body):
        async with self.session.request(method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False) as response:
            return response.status, len(await response.read())

    def gauges(self):
        return {"active": len(self.connector._acquired), "idle": sum(map(len, list(self.connector._conns.values()))),
                "pending": sum(map(len, list(self.connector._waiters.values())))}

    async def close(self):
        if self.session is not None:
            await self.session.close()


if __name__ == "__main__":
    kit_asyncio.run(Aiohttp())
