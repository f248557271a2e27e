"""The servers of a small Internet: web, name and metadata service. Ends when standard input closes."""

import http.server
import socket
import struct
import sys
import threading

WEB, DNS, METADATA, SECRET = sys.argv[1:5]
NAMES = {"example.test": WEB, "metadata.test": METADATA}


def serve_http(address, answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = answer(self.client_address[0]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((address, 80), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def question(packet):
    labels, position = [], 12
    while packet[position]:
        length = packet[position]
        labels.append(packet[position + 1 : position + 1 + length].decode())
        position += length + 1
    kind = struct.unpack(">H", packet[position + 1 : position + 3])[0]
    return ".".join(labels).lower(), kind, packet[12 : position + 5]


def serve_dns(server):
    while True:
        packet, peer = server.recvfrom(1500)
        name, kind, asked = question(packet)
        address = NAMES.get(name)
        found = address is not None and kind == 1
        flags = 0x8180 if address else 0x8183
        reply = packet[:2] + struct.pack(">HHHHH", flags, 1, int(found), 0, 0) + asked
        if found:
            reply += struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address)
        server.sendto(reply, peer)


serve_http(WEB, lambda caller: f"welcome {caller}\n")
serve_http(METADATA, lambda caller: f"{SECRET}\n")
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind((DNS, 53))
threading.Thread(target=serve_dns, args=(names,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
