"""niquests: one Session for all threads, as requests is used. It speaks HTTP/1.1 without TLS, and over TLS what both ends can.

Unlike requests, a pool has no more than pool_maxsize connections, and a request waits for one without a limit of time.
"""

import niquests

import kit
import kit_threads


class Niquests(kit.Driver):
    name, client, version = "niquests", "niquests", niquests.__version__
    settings = (
        kit.setting("pool_connections", "count", 10, off=False, least=1),
        kit.setting("pool_maxsize", "count", 10, pool="max_conns", least=1),
        kit.setting("retries", "count", 0, off=False),
        # Its keep-alive pings are those of HTTP/2 and later.
        kit.setting("keepalive_delay", "duration", 600000),
        kit.setting("keepalive_idle_window", "duration", 60000),
        # timeout=(connect, read): each bounds one step, and neither the whole request. It has 30 s for GET and 120 s for
        # others if none is given; kabench's limit of a request takes their place.
        kit.setting("connect_timeout", "duration", None, pool="connect_timeout", least=1),
        kit.setting("read_timeout", "duration", 30000, pool="response_timeout", least=1),
    )
    gauge_names = ("active", "idle")
    session = None

    def open(self, settings, timeout, insecure):
        settings = dict(settings)
        bounds = [kit.seconds(settings.pop(name, None)) or timeout for name in ("connect_timeout", "read_timeout")]
        if settings.get("pool_maxsize", 0) is None:
            settings["pool_maxsize"] = kit.PORTS
        for name in ("keepalive_delay", "keepalive_idle_window"):
            if name in settings:
                settings[name] = kit.seconds(settings[name])
        session = niquests.Session(allow_incoming_cookies=False, **settings)
        session.trust_env = False  # no proxy from the environment
        self.options = {"timeout": tuple(bounds) if any(bounds) else None, "allow_redirects": False, "verify": not insecure}
        self.session = session

    def send(self, method, url, headers, body):
        response = self.session.request(method, url, headers=headers, data=body, **self.options)
        return response.status_code, len(response.content or b"")

    def gauges(self):
        pools = [pool.pool for adapter in list(self.session.adapters.values())
                 for pool in list(adapter.poolmanager.pools._registry.values()) if pool.pool is not None]
        idle = sum(pool.qsize() for pool in pools)
        return {"active": sum(pool.rsize() for pool in pools) - idle, "idle": idle}

    def close(self):
        if self.session is not None:
            self.session.close()


if __name__ == "__main__":
    kit_threads.run(Niquests())
