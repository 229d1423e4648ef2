"""Runs a blocking client: each request has a thread to itself.

An idle thread takes the next request at once; if there is none, a new one is made, without limit, so a request never waits
for a thread. Threads and the reader of frames share the interpreter's lock. A short switch interval makes the reader wait
less for it: the default of 5 ms is the delay of a request whenever another thread computes.
"""

import heapq
import os
import queue
import sys
import threading

import kit

SWITCH_INTERVAL = 0.0002  # seconds
GRACE = 0.1  # seconds that the client has to report its own timeout before the request is given up


def run(driver):
    sys.setswitchinterval(SWITCH_INTERVAL)
    threading.stack_size(512 * 1024)
    idle = []
    deadlines = Deadlines()

    def work(box):
        while True:
            call = box.get()
            call.called = kit.now()
            try:
                status, count = driver.send(*call.request)
                call.done(status, count)
            except Exception as error:
                call.done(error=error)
            idle.append(box)

    def begin(call):
        try:
            box = idle.pop()
        except IndexError:
            box = queue.SimpleQueue()
            threading.Thread(target=work, args=(box,), daemon=True).start()
        box.put(call)
        deadlines.watch(call, protocol.timeout)

    def configure(frame):
        driver.close()
        protocol.open(frame)

    protocol = kit.Protocol(driver, begin, configure)
    for line in sys.stdin.buffer:
        protocol.take(line)
    os._exit(0)


class Deadlines:
    """Gives up requests that their client does not end in time, as users do with Future.result(timeout).

    Blocking clients in Python bound a connect and each read, not a request with its retries and its body. The thread of a
    request that was given up goes on until its client is done.
    """

    def __init__(self):
        self.due = []
        self.lock = threading.Lock()
        self.started = False

    def watch(self, call, timeout):
        if timeout is None:
            return
        if not self.started:
            self.started = True
            threading.Thread(target=self.give_up, daemon=True).start()
        with self.lock:
            heapq.heappush(self.due, (call.received + int((timeout + GRACE) * 1e9), call.seq, call))

    def give_up(self):
        pause = threading.Event()
        while True:
            pause.wait(0.02)
            late = []
            with self.lock:
                while self.due and (self.due[0][0] <= kit.now() or self.due[0][2].answered.locked()):
                    late.append(heapq.heappop(self.due)[2])
            for call in late:
                if not call.answered.locked():
                    call.done(error=TimeoutError(f"the driver gave the call up after kabench's timeout of {call.protocol.timeout * 1000:g} ms"))


def urllib3_gauges(managers):
    """Counts what the pools of urllib3's managers hold. A place of a pool's queue without a connection is None."""
    pools = [pool for manager in managers for pool in list(manager.pools._container.values())]
    queues = [list(pool.pool.queue) for pool in pools if pool.pool is not None]
    return {"idle": sum(connection is not None for queue in queues for connection in queue)}
