"""A service that calls a URL at a steady rate through a Session of requests. It has no metrics."""

import collections
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from requests.adapters import HTTPAdapter

options = {name.removeprefix("--"): value for name, value in zip(sys.argv[1::2], sys.argv[2::2])}
url, method = options["url"], options.get("method", "GET")
most = int(options.get("connections", 0)) or 10  # the adapter's own default
session = requests.Session()
session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=most))
lock = threading.Lock()
count = collections.Counter()
errors = collections.Counter()


def call():
    try:
        session.request(method, url, timeout=10)
        with lock:
            count["ok"] += 1
    except requests.RequestException as error:
        with lock:
            errors[f"{type(error).__name__}: {error}"] += 1


def pace(callers):
    every = 1 / max(1, int(options.get("rate", 1)))
    due = time.monotonic()
    while True:
        time.sleep(max(0, due - time.monotonic()))
        due = max(due + every, time.monotonic() - every)  # what a busy machine delays is left out
        count["sent"] += 1
        callers.submit(call)


print("{}", flush=True)
threading.Thread(target=pace, args=(ThreadPoolExecutor(most),), daemon=True).start()
sys.stdin.read()
with lock:
    print(json.dumps({"sent": count["sent"], "ok": count["ok"], "errors": errors}), flush=True)
sys.stdout.flush()
import os

os._exit(0)
