"""Calls servers outside with Python's usual libraries, as if there were no sidecar; a line for each thing heard.

Stays until /srv/end is there, so that its memory can be looked at.
"""

import os
import queue
import sys
import time

sys.path.insert(0, "/srv/python")

import grpc
import httpx
import requests
from websockets.sync.client import connect

PATIENCE = 120


def tell(stack, text):
    print(f"{stack}: {text.strip()}", flush=True)


answer = requests.get("https://api.test/echo", headers={"x-stack": "requests"}, timeout=PATIENCE)
tell("requests", answer.text)

with httpx.Client(http2=True, timeout=PATIENCE) as client:
    answer = client.get("https://api.test/echo", headers={"x-stack": "httpx"})
    tell("httpx", f"{answer.http_version} {answer.text}")
    with client.stream("GET", "https://api.test/events", headers={"x-stack": "sse"}) as events:
        for line in events.iter_lines():
            if line:
                tell("sse", line)

with connect("wss://api.test/ws", additional_headers={"x-stack": "websocket"}, open_timeout=PATIENCE) as socket:
    tell("websocket", socket.recv(PATIENCE))
    socket.send("over there")
    tell("websocket", socket.recv(PATIENCE))

channel = grpc.secure_channel("grpc.test:443", grpc.ssl_channel_credentials())
messages = queue.SimpleQueue()
call = channel.stream_stream("/test.Test/Talk")(iter(messages.get, None), timeout=PATIENCE)
for text in (b"one", b"two"):
    # The second one is only sent when the first is answered.
    messages.put(text)
    tell("grpc", next(call).decode())
messages.put(None)
for message in call:
    tell("grpc", message.decode())
tell("grpc", f"{call.code().name} {dict(call.trailing_metadata())['x-end']}")
try:
    channel.unary_unary("/test.Test/Fail")(b"", timeout=PATIENCE)
except grpc.RpcError as error:
    tell("grpc", f"{error.code().name} {error.details()}")
tell("python", "done")
while not os.path.exists("/srv/end"):
    time.sleep(0.1)
