"""What a coding agent does all day: write a change, run the tests, read what failed, mend it."""

import asyncio
from collections.abc import Iterator

from sandkeep import Sandbox

TESTS = """
import unittest
from slug import slug

class Slugs(unittest.TestCase):
    def test_words(self):
        self.assertEqual(slug("Hello World"), "hello-world")
    def test_other_signs(self):
        self.assertEqual(slug("  C'est la vie!  "), "c-est-la-vie")
"""


def attempts() -> Iterator[str]:
    """Stands in for a model, which would be shown the failures of the attempt before."""
    yield "def slug(text):\n    return text.replace(' ', '-')\n"
    yield "def slug(text):\n    return text.lower().replace(' ', '-')\n"
    yield "import re\n\ndef slug(text):\n    return '-'.join(re.findall(r'[a-z0-9]+', text.lower()))\n"


async def main() -> None:
    async with Sandbox.create("sandkeep/base:latest") as sb:
        await sb.files.write("/app/test_slug.py", TESTS)
        for number, code in enumerate(attempts(), 1):
            await sb.files.write("/app/slug.py", code)
            # A time limit, since nobody knows what the code will do.
            tests = await sb.run(["python3", "-m", "unittest", "-q"], cwd="/app", timeout=60)
            failed = tests.stderr.count("FAIL:") + tests.stderr.count("ERROR:")
            print(f"attempt {number}: {'passed' if tests.ok else f'{failed} failed'}")
            if tests.ok:
                break


asyncio.run(main())
