"""httpx: an AsyncClient on asyncio."""

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

import kit
import kit_asyncio

LIMITS = ("max_connections", "max_keepalive_connections", "keepalive_expiry")
STEPS = ("connect", "read", "write", "pool")


class Httpx(kit.Driver):
    name, client, version = "httpx", "httpx AsyncClient", httpx.__version__
    settings = (
        kit.setting("max_connections", "count", 100, pool="max_conns_all"),
        kit.setting("max_keepalive_connections", "count", 20, pool="max_idle_all"),
        kit.setting("keepalive_expiry", "duration", 5000, pool="idle_timeout"),
        # Of Timeout(connect, read, write, pool), 5 s each.
        kit.setting("connect", "duration", 5000, pool="connect_timeout", least=1),
        kit.setting("read", "duration", 5000, pool="response_timeout", least=1),
        kit.setting("write", "duration", 5000, least=1),
        kit.setting("pool", "duration", 5000, pool="pending_timeout", least=1),
    )
    gauge_names = ("active", "idle", "pending")
    session = None
    bound = None  # of the whole request: httpx has no limit of its own for it

    def open(self, settings, timeout, insecure):
        defaults = {s["name"]: s["default"] for s in self.settings}
        given = {name: kit.seconds(value) if name in STEPS or name == "keepalive_expiry" else value
                 for name, value in {**defaults, **settings}.items()}
        self.bound = timeout
        self.session = httpx.AsyncClient(
            limits=httpx.Limits(**{name: given[name] for name in LIMITS}),
            timeout=httpx.Timeout(**{name: given[name] for name in STEPS}),
            verify=not insecure, trust_env=False, cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])))

    async def send(self, method, url, headers, body):
        response = await self.session.request(method, url, headers=headers, content=body)
        return response.status_code, len(response.content)

    def gauges(self):
        pool = self.session._transport._pool
        idle = [connection.is_idle() for connection in list(pool.connections)]
        return {"active": len(idle) - sum(idle), "idle": sum(idle),
                "pending": sum(request.is_queued() for request in list(pool._requests))}

    async def close(self):
        if self.session is not None:
            await self.session.aclose()


if __name__ == "__main__":
    kit_asyncio.run(Httpx())
