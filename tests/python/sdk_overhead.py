"""What a call through the Python SDK takes longer than the same request over a bare connection.

The two take turns over connections that stay open. Prints one difference in milliseconds a line; the median counts.
"""

import http.client
import json
import os
import sys
import time
from urllib.parse import urlsplit

from sandkeep.sync import Client

WARM_UP = 50

sandbox, count = sys.argv[1], int(sys.argv[2])
headers = {"OPEN-SANDBOX-API-KEY": os.environ["OPEN_SANDBOX_API_KEY"]}
bare = http.client.HTTPConnection(urlsplit(os.environ["SANDKEEP_URL"]).netloc, timeout=60)

with Client() as client:
    for turn in range(WARM_UP + count):
        began = time.perf_counter()
        bare.request("GET", f"/v1/sandboxes/{sandbox}", headers=headers)
        json.loads(bare.getresponse().read())
        between = time.perf_counter()
        client.get(sandbox)
        ended = time.perf_counter()
        if turn >= WARM_UP:
            print(((ended - between) - (between - began)) * 1000)
bare.close()
