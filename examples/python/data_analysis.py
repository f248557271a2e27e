"""Data analysis: a file goes in, code reads it where it cannot do harm, and a report comes out."""

import csv
import random
import tempfile
from pathlib import Path

from sandkeep.sync import Sandbox

ANALYSIS = """
import csv, json, statistics
with open("/data/sales.csv") as file:
    rows = list(csv.DictReader(file))
by_city = {}
for row in rows:
    by_city.setdefault(row["city"], []).append(float(row["amount"]))
report = {city: {"sales": len(it), "mean": round(statistics.mean(it), 2)} for city, it in sorted(by_city.items())}
with open("/data/report.json", "w") as file:
    json.dump(report, file, indent=1)
max(report, key=lambda city: report[city]["mean"])
"""


def some_sales(path: Path) -> None:
    """A file such as a user would upload."""
    chance = random.Random(7)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["city", "amount"])
        for _ in range(5000):
            city = chance.choice(["Bern", "Lima", "Oslo"])
            rows.writerow([city, round(chance.uniform(10, 100) + (20 if city == "Oslo" else 0), 2)])


with tempfile.TemporaryDirectory() as directory, Sandbox.create("sandkeep/base:latest") as sb:
    some_sales(Path(directory, "sales.csv"))
    sb.files.mkdir("/data")
    sb.files.upload(Path(directory, "sales.csv"), "/data/sales.csv")
    best = sb.code.python(ANALYSIS, check=True)
    print("best city:", best.text)
    print(sb.files.read_text("/data/report.json"))
