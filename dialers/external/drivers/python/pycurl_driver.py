"""pycurl: a CurlMulti driven by events (socket_action), which is libcurl's asynchronous way. Its cache of connections belongs
to the multi handle. Easy handles are used again, as libcurl advises."""

import os
import select

import pycurl

import kit

SECONDS = {"MAXAGE_CONN": pycurl.MAXAGE_CONN, "MAXLIFETIME_CONN": pycurl.MAXLIFETIME_CONN}
COUNTS = {"M_MAXCONNECTS": pycurl.M_MAXCONNECTS, "M_MAX_HOST_CONNECTIONS": pycurl.M_MAX_HOST_CONNECTIONS,
          "M_MAX_TOTAL_CONNECTIONS": pycurl.M_MAX_TOTAL_CONNECTIONS}
METHODS = {"GET": pycurl.HTTPGET, "POST": pycurl.POST, "HEAD": pycurl.NOBODY}
LONGEST = 2**31 - 1  # libcurl's 0 is a default, or at once
EVENTS = {pycurl.POLL_IN: select.EPOLLIN, pycurl.POLL_OUT: select.EPOLLOUT, pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT}


class Curl(kit.Driver):
    name, client = "pycurl", "libcurl (pycurl, CurlMulti)"
    version = pycurl.version_info()[1]
    settings = (
        kit.setting("MAXAGE_CONN", "duration", 118000, pool="idle_timeout", least=1000),
        kit.setting("MAXLIFETIME_CONN", "duration", 86400000, pool="max_lifetime"),
        kit.setting("M_MAXCONNECTS", "count", None, pool="max_idle_all", least=1),  # 4 for each running transfer
        kit.setting("M_MAX_HOST_CONNECTIONS", "count", None, pool="max_conns", least=1),
        kit.setting("M_MAX_TOTAL_CONNECTIONS", "count", None, pool="max_conns_all", least=1),
        kit.setting("CONNECTTIMEOUT_MS", "duration", 300000, pool="connect_timeout", least=1),
        kit.setting("TIMEOUT_MS", "duration", None, pool="response_timeout", least=1),  # the whole transfer
    )
    multi = None

    def __init__(self):
        self.poll = select.epoll()
        self.poll.register(0, select.EPOLLIN)
        self.wake = None  # when libcurl wants to be called, by kit.now()
        self.calls = {}  # of the easy handles in use
        self.spare = []

    def open(self, settings, timeout, insecure):
        self.easy = {pycurl.NOSIGNAL: 1, pycurl.PROXY: ""}  # no proxy from the environment
        if insecure:
            self.easy |= {pycurl.SSL_VERIFYPEER: 0, pycurl.SSL_VERIFYHOST: 0}
        for name in SECONDS:
            if name in settings:
                value = LONGEST if settings[name] is None else settings[name] / 1000
                if value != int(value):
                    raise ValueError(f"{name} must be whole seconds")
                self.easy[SECONDS[name]] = int(value)
        if "CONNECTTIMEOUT_MS" in settings:
            self.easy[pycurl.CONNECTTIMEOUT_MS] = max(1, round(settings["CONNECTTIMEOUT_MS"] or LONGEST))
        bounds = [limit for limit in (settings.get("TIMEOUT_MS"), timeout and timeout * 1000) if limit]
        if bounds:
            self.easy[pycurl.TIMEOUT_MS] = max(1, round(min(bounds)))
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self.watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self.later)
        for name, option in COUNTS.items():
            if name in settings:
                self.multi.setopt(option, settings[name] or 0)

    def watch(self, what, fd, multi, _):
        if what == pycurl.POLL_REMOVE:
            try:
                self.poll.unregister(fd)
            except OSError:
                pass  # libcurl has closed it
            return
        try:
            self.poll.register(fd, EVENTS[what])
        except FileExistsError:
            self.poll.modify(fd, EVENTS[what])

    def later(self, milliseconds):
        self.wake = None if milliseconds < 0 else kit.now() + milliseconds * 1_000_000

    def begin(self, call):
        method, url, headers, body = call.request
        easy = self.spare.pop() if self.spare else pycurl.Curl()
        call.bytes = 0

        def count(data):
            call.bytes += len(data)

        for option, value in {**self.easy, pycurl.URL: url, pycurl.WRITEFUNCTION: count}.items():
            easy.setopt(option, value)
        easy.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
        if method in METHODS:
            easy.setopt(METHODS[method], 1)
        else:
            easy.setopt(pycurl.CUSTOMREQUEST, method)
        if body is not None or method == "POST":
            easy.setopt(pycurl.POSTFIELDS, body or b"")
            easy.setopt(pycurl.CUSTOMREQUEST, method)
        self.calls[easy] = call
        call.called = kit.now()
        self.multi.add_handle(easy)

    def finish(self):
        left = 1
        while left:
            left, good, bad = self.multi.info_read()
            for easy, error in [(easy, None) for easy in good] + [(e, pycurl.error(code, text)) for e, code, text in bad]:
                call = self.calls.pop(easy)
                status = easy.getinfo(pycurl.RESPONSE_CODE)
                self.multi.remove_handle(easy)
                call.done(status, call.bytes, error)
                easy.reset()
                self.spare.append(easy)

    def close(self):
        for easy in self.calls:
            self.multi.remove_handle(easy)
        self.calls.clear()
        if self.multi is not None:
            self.multi.close()
            self.multi = self.wake = None


def configure(driver, protocol, frame):
    driver.close()
    protocol.open(frame)


def run(driver):
    protocol = kit.Protocol(driver, driver.begin, lambda frame: configure(driver, protocol, frame))
    rest = b""
    while True:
        wait = -1 if driver.wake is None else max(0, driver.wake - kit.now()) / 1e9
        for fd, events in driver.poll.poll(wait):
            if fd == 0:
                data = os.read(0, 1 << 16)
                if not data:
                    os._exit(0)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    protocol.take(line)
            elif driver.multi is not None:
                driver.multi.socket_action(fd, (pycurl.CSELECT_IN if events & ~select.EPOLLOUT else 0)
                                           | (pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0))
        if driver.multi is not None and driver.wake is not None and driver.wake <= kit.now():
            driver.wake = None
            driver.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        if driver.multi is not None:
            driver.finish()


if __name__ == "__main__":
    run(Curl())
