"""A server for inside a sandbox: reflects HTTP requests and echoes WebSocket messages."""

import base64
import hashlib
import http.server
import json
import struct
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            length = 0
            while size := int(self.rfile.readline().strip(), 16):
                length += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return length
        return len(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def reflect(self):
        length = self.read_body()
        seen = {
            "method": self.command,
            "path": self.path,
            "length": length,
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        self.answer(200, json.dumps(seen).encode(), [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])

    do_POST = do_PUT = do_PATCH = do_DELETE = reflect

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.websocket()
        elif self.path == "/redirect":
            self.answer(302, b"", [("Location", "/elsewhere")])
        elif self.path.startswith("/bulk?bytes="):
            self.bulk(int(self.path.split("=")[1]))
        else:
            self.reflect()

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def bulk(self, left):
        self.send_response(200)
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left:
            part = min(left, 1 << 16)
            self.wfile.write(b"z" * part)
            left -= part

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        if protocol := self.headers.get("Sec-WebSocket-Protocol"):
            self.send_header("Sec-WebSocket-Protocol", protocol.split(",")[0].strip())
        self.end_headers()
        self.close_connection = True
        self.send_frame(1, self.path.encode())
        while (frame := self.read_frame()) is not None:
            kind, data = frame
            if kind == 8:
                self.send_frame(8, data)
                return
            if data.startswith(b"close "):
                self.send_frame(8, struct.pack(">H", int(data[6:])) + b"as asked")
                return
            self.send_frame(kind, data)

    def read_frame(self):
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        length = head[1] & 127
        if length == 126:
            length = struct.unpack(">H", self.rfile.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.rfile.read(8))[0]
        mask = self.rfile.read(4)
        data = self.rfile.read(length)
        return head[0] & 15, bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))

    def send_frame(self, kind, data):
        if len(data) < 126:
            head = struct.pack(">BB", 0x80 | kind, len(data))
        elif len(data) < 65536:
            head = struct.pack(">BBH", 0x80 | kind, 126, len(data))
        else:
            head = struct.pack(">BBQ", 0x80 | kind, 127, len(data))
        self.wfile.write(head + data)
        self.wfile.flush()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
