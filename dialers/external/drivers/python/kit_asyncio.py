"""Runs an asynchronous client on the event loop of asyncio, where frames are read too. Its send() is a coroutine, and its
close() may be one."""

import asyncio
import inspect
import os

import kit


def run(driver):
    asyncio.run(serve(driver))


async def serve(driver):
    loop = asyncio.get_running_loop()
    running = set()  # the loop itself keeps no task alive
    ended = loop.create_future()

    async def answer(call):
        call.called = kit.now()
        try:
            async with asyncio.timeout(driver.bound):
                status, count = await driver.send(*call.request)
            call.done(status, count)
        except Exception as error:
            call.done(error=error)

    async def reopen(frame):
        closing = driver.close()
        if inspect.isawaitable(closing):
            await closing
        protocol.open(frame)

    def begin(coroutine):
        task = loop.create_task(coroutine)
        running.add(task)
        task.add_done_callback(running.discard)

    rest = b""

    def readable():
        nonlocal rest
        data = os.read(0, 1 << 16)
        if not data:
            loop.remove_reader(0)
            ended.set_result(None)
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            protocol.take(line)

    protocol = kit.Protocol(driver, lambda call: begin(answer(call)), lambda frame: begin(reopen(frame)))
    loop.add_reader(0, readable)
    await ended
    os._exit(0)
