// A job that outlives the program that started it: leave it while it runs, come back where you left, see how it ended.
import { Sandbox } from "sandkeep";

await using sandbox = await Sandbox.create({ image: "sandkeep/base:latest" });

// In the background, so that nobody has to listen. It waits for a file before its last steps, so that this program can
// come back in the middle.
const job = await sandbox.commands.start(
  "for i in 1 2 3 4 5; do echo step $i; while [ $i = 3 ] && ! [ -e /tmp/go ]; do sleep 0.05; done; done",
);
console.log(`started as ${job.id.slice(0, 8)}…`);

// Another program would need no more than the two ids.
const again = await Sandbox.connect(sandbox.id, { client: sandbox.client });
let seen = 0;
for await (const event of again.commands.attach(job.id)) {
  if (event.type !== "stdout") continue;
  seen = event.offset ?? seen;
  if (event.text.includes("step 3")) break;
}
console.log(`came back at step 3, after ${seen} bytes of output`);

await again.files.write("/tmp/go", "");
const rest = await again.commands.attach(job.id, { offset: seen }).result({
  onStdout: (text) => process.stdout.write(text),
});
console.log(`ended with exit code ${rest.exitCode}`);
