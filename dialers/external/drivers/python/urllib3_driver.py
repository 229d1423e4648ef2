"""urllib3: one PoolManager for all threads, its retries as they are by default."""

import urllib3

import kit
import kit_threads


class Urllib3(kit.Driver):
    name, client, version = "urllib3", "urllib3", urllib3.__version__
    settings = (
        kit.setting("num_pools", "count", 10, off=False, least=1),
        kit.setting("maxsize", "count", 1, pool="max_idle", least=1),
        kit.setting("block", "bool", False),
        kit.setting("retries", "count", 3, off=False),
        kit.setting("pool_timeout", "duration", None, pool="pending_timeout", least=1),  # with block only
        # Of Timeout(connect, read): each bounds one step of one try. After it urllib3 sends again, so kabench's limit of a
        # request is not given here.
        kit.setting("connect", "duration", None, pool="connect_timeout", least=1),
        kit.setting("read", "duration", None, pool="response_timeout", least=1),
    )
    gauge_names = ("idle",)
    manager = None

    def open(self, settings, timeout, insecure):
        settings = dict(settings)
        self.pool_timeout = kit.seconds(settings.pop("pool_timeout", None))
        steps = {name: kit.seconds(settings.pop(name)) for name in ("connect", "read") if name in settings}
        if steps:
            settings["timeout"] = urllib3.Timeout(**steps)
        if settings.get("maxsize", 0) is None:
            settings["maxsize"] = kit.PORTS
        if insecure:
            settings["cert_reqs"] = "CERT_NONE"
            urllib3.disable_warnings()
        self.manager = urllib3.PoolManager(**settings)

    def send(self, method, url, headers, body):
        response = self.manager.request(method, url, headers=headers, body=body, redirect=False, pool_timeout=self.pool_timeout)
        return response.status, len(response.data)

    def gauges(self):
        return kit_threads.urllib3_gauges([self.manager])

    def close(self):
        if self.manager is not None:
            self.manager.clear()


if __name__ == "__main__":
    kit_threads.run(Urllib3())
