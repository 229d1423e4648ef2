"""requests: one Session for all threads, with its HTTPAdapter."""

from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import HTTPAdapter

import kit
import kit_threads


class Requests(kit.Driver):
    name, client, version = "requests", "requests", requests.__version__
    settings = (
        kit.setting("pool_connections", "count", 10, off=False, least=1),
        kit.setting("pool_maxsize", "count", 10, pool="max_idle", least=1),
        kit.setting("pool_block", "bool", False),
        kit.setting("max_retries", "count", 0, off=False),
        # timeout=(connect, read): each bounds one step, and neither the whole request.
        kit.setting("connect_timeout", "duration", None, pool="connect_timeout", least=1),
        kit.setting("read_timeout", "duration", None, pool="response_timeout", least=1),
    )
    gauge_names = ("idle",)
    session = None

    def open(self, settings, timeout, insecure):
        settings = dict(settings)
        bounds = [kit.seconds(settings.pop(name, None)) or timeout for name in ("connect_timeout", "read_timeout")]
        if settings.get("pool_maxsize", 0) is None:
            settings["pool_maxsize"] = kit.PORTS
        session = requests.Session()
        session.trust_env = False  # no proxy from the environment
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(**settings))
        self.options = {"timeout": tuple(bounds), "allow_redirects": False, "verify": not insecure}
        self.session = session

    def send(self, method, url, headers, body):
        response = self.session.request(method, url, headers=headers, data=body, **self.options)
        return response.status_code, len(response.content)

    def gauges(self):
        return kit_threads.urllib3_gauges(adapter.poolmanager for adapter in self.session.adapters.values())

    def close(self):
        if self.session is not None:
            self.session.close()


if __name__ == "__main__":
    kit_threads.run(Requests())
