"""One page, for WSGI servers (wsgi) and for ASGI servers (asgi)."""

PAGE = b"hello\n"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"6")]


def wsgi(environ, start_response):
    start_response("200 OK", [(k.decode(), v.decode()) for k, v in HEADERS])
    return [PAGE]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": PAGE})
