// The inner loop of a coding agent: write code, run its tests, read what failed, mend it. Here the "model" is a list of
// two attempts; everything else is what a real agent does.
import { Sandbox } from "sandkeep";

const TESTS = `
from slug import slug
def test_words(): assert slug("Hello World") == "hello-world"
def test_edges(): assert slug("  Hi!  ") == "hi"
`;

// Runs every function that is called test_…, and prints why one failed.
const RUNNER = `
import traceback, tests
names = [name for name in dir(tests) if name.startswith("test_")]
failed = 0
for name in names:
    try: getattr(tests, name)()
    except Exception:
        failed += 1
        print("FAILED", name)
        traceback.print_exc(limit=-1)
raise SystemExit(1 if failed else 0)
`;

const ATTEMPTS = [
  'def slug(text): return text.lower().replace(" ", "-")',
  'import re\ndef slug(text): return "-".join(re.findall("[a-z0-9]+", text.lower()))',
];

// Removed at the end, whatever happens.
await using sandbox = await Sandbox.create({ image: "sandkeep/base:latest" });
await sandbox.files.writeAll([
  { path: "/app/tests.py", data: TESTS },
  { path: "/app/run.py", data: RUNNER },
]);

for (const [index, code] of ATTEMPTS.entries()) {
  await sandbox.files.write("/app/slug.py", code);
  // Code that never ends is a failed attempt, not a hung agent.
  const result = await sandbox.run("python3 -B run.py", { cwd: "/app", timeoutMs: 30_000 });
  if (result.ok) {
    console.log(`attempt ${index + 1}: all tests pass`);
    break;
  }
  const failures = result.stdout.split("\n").filter((line) => line.startsWith("FAILED"));
  console.log(`attempt ${index + 1}: ${failures.length} failed`);
  console.log(result.stderr.trimEnd());
}
