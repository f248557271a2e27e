"""A web server in a sandbox, and its address for a browser outside."""

import time
import urllib.error
import urllib.request

from sandkeep.sync import Sandbox

with Sandbox.create("sandkeep/base:latest") as sb:
    sb.files.write("/site/index.html", "<h1>Hello from a sandbox</h1>\n")
    server = sb.commands.start(["python3", "-m", "http.server", "8000"], cwd="/site")

    # Until the server listens, the answer is a refusal.
    for _ in range(300):
        if sb.request("GET", 8000).status_code == 200:
            break
        time.sleep(0.1)

    preview = sb.preview(8000)
    print("open", preview.url)
    page = urllib.request.urlopen(urllib.request.Request(preview.url, headers=dict(preview.headers)))
    print(page.read().decode().strip())
    try:
        urllib.request.urlopen(preview.url)
    except urllib.error.HTTPError as error:
        print("without the header:", error.code)
    server.interrupt()
