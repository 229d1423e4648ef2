"""What every driver in Python shares: frames, clock, settings, gauges and errors of protocol 1.

A driver describes itself in a subclass of Driver and hands it to run() of kit_threads (blocking clients) or of kit_asyncio.
"""

import json
import os
import platform
import sys
import threading
import time

now = time.monotonic_ns

# Frames have a stdout of their own: what a library prints goes to stderr.
_frames = os.dup(1)
os.dup2(2, 1)
_writer = threading.Lock()


def write(frame):
    line = (json.dumps(frame, separators=(",", ":")) + "\n").encode()
    with _writer:
        try:
            while line:
                line = line[os.write(_frames, line):]
        except BrokenPipeError:
            os._exit(0)  # nobody reads any more


def setting(name, kind, default, pool=None, values=None, off=True, least=0):
    """Describes a setting. off: the client takes None, "no limit"; least: the smallest number it takes."""
    return {"name": name, "kind": kind, "default": default, "pool": pool, "values": values, "off": off, "least": least}


# No pool has more connections to a server than there are ports. Clients that have no word for "no limit" get this.
PORTS = 65536


def seconds(milliseconds):
    return None if milliseconds is None else milliseconds / 1000


class Driver:
    """A description of a client. A subclass has open(), send() and close(), and gauges() if it names gauges."""

    name = client = version = ""
    settings = ()
    gauge_names = ()

    def open(self, settings, timeout, insecure):
        """Makes a client with a fresh pool. settings has only what kabench sent, so the rest stays the client's own.
        Durations are in ms; timeout is of a whole request, or None."""
        raise NotImplementedError

    def send(self, method, url, headers, body):
        """Makes one request, reads the whole body, and returns (status, bytes). headers is a dict, body bytes or None."""
        raise NotImplementedError

    def gauges(self):
        return {}

    def close(self):
        pass


class Call:
    """One dispatch, from its frame to its answer."""

    __slots__ = ("seq", "received", "called", "request", "asked", "answered", "protocol", "bytes")

    def __init__(self, protocol, frame, received):
        self.protocol, self.seq, self.received = protocol, frame["seq"], received
        body = frame.get("body") or 0
        self.request = (frame["method"], frame["url"], dict(frame.get("headers") or ()), b"x" * body if body else None)
        self.called = None
        self.asked = protocol.generation
        self.answered = threading.Lock()  # taken by the first answer

    def done(self, status=0, count=0, error=None):
        finished = now()
        if self.asked != self.protocol.generation or not self.answered.acquire(blocking=False):
            return  # a new config or the deadline gave it up
        answer = {"type": "done", "seq": self.seq, "received": self.received, "called": self.called or finished,
                  "finished": finished, "status": status, "bytes": count}
        if error is not None:
            answer["error"] = told(error)
        write(answer)


class Protocol:
    """Answers frames. What a frame of config or dispatch does to the client is the runner's: configure() and begin()."""

    def __init__(self, driver, begin, configure):
        self.driver, self.begin, self.configure = driver, begin, configure
        self.generation = 0
        self.timeout = None
        self.ticking = None
        described = [{k: v for k, v in s.items() if k not in ("off", "least") and (v is not None or k == "default")}
                     for s in driver.settings]
        write({"type": "hello", "protocol": 1, "driver": driver.name, "client": driver.client, "version": driver.version,
               "runtime": f"{platform.python_implementation()} {platform.python_version()}", "settings": described,
               "gauges": list(driver.gauge_names)})

    def take(self, line):
        if not line.strip():
            return
        frame = json.loads(line)
        received = now()
        kind = frame.get("type")
        if kind == "dispatch":
            self.begin(Call(self, frame, received))
        elif kind == "clock":
            write({"type": "clock", "now": now()})
        elif kind == "config":
            self.generation += 1  # what the client before was asked is given up
            if self.ticking is not None:
                self.ticking.set()
            complaint = check(self.driver.settings, frame.get("settings") or {})
            if complaint is not None:
                write(complaint)
            else:
                self.configure(frame)
        elif kind == "bye":
            write({"type": "bye"})
            os._exit(0)

    def open(self, frame):
        """Makes the new client, after the one before was closed."""
        settings = frame.get("settings") or {}
        self.timeout = seconds(frame.get("timeout"))
        try:
            self.driver.open(settings, self.timeout, frame.get("insecure") is True)
        except Exception as error:
            names = [name for name in settings if name in str(error)] or list(settings) or [""]
            write({"type": "refused", "setting": names[0], "text": f"{type(error).__name__}: {error}"})
            return
        if frame.get("gauges") and self.driver.gauge_names:
            self.ticking = threading.Event()
            threading.Thread(target=self.tick, args=(self.ticking, frame["gauges"] / 1000), daemon=True).start()
        write({"type": "ready"})

    def tick(self, stopped, period):
        while not stopped.wait(period):
            try:
                values = self.driver.gauges()
            except RuntimeError:  # a dict changed while it was counted
                continue
            write({"type": "gauges", "at": now(), "values": values})


def check(known, settings):
    """Gives a frame of refusal for the first setting that the client has not, or can't take."""
    known = {s["name"]: s for s in known}
    for name, value in settings.items():
        text = complaint(known.get(name), value) if name in known else f"there is no such setting; there are {', '.join(known)}"
        if text:
            return {"type": "refused", "setting": name, "text": text}
    return None


def complaint(s, value):
    if value is None:
        return None if s["off"] and s["kind"] in ("duration", "count") else "it can't be null"
    if s["kind"] == "bool":
        return None if isinstance(value, bool) else "it must be true or false"
    if s["kind"] == "text":
        if not isinstance(value, str):
            return "it must be a text"
        return f"it must be one of {', '.join(s['values'])}" if s["values"] and value not in s["values"] else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= s["least"]:
        return f"it must be a number of at least {s['least']}"
    return "it must be a whole number" if s["kind"] == "count" and value != int(value) else None


def named(error):
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    return {"class": module + kind.__qualname__, "text": str(error)}


def told(error):
    """Gives an error and at most 8 causes beneath it, as Python would print them."""
    causes, seen, e = [], {id(error)}, error
    while len(causes) < 8:
        e = e.__cause__ or (None if e.__suppress_context__ else e.__context__)
        if e is None or id(e) in seen:
            break
        seen.add(id(e))
        causes.append(named(e))
    return {**named(error), "causes": causes}


def log(text):
    print(text, file=sys.stderr, flush=True)
