/** All tests in one process, as they share a sandbox and a list of what was called. */
import "./transport.js";
import "./commands.js";
import "./code.js";
import "./files.js";
import "./ports.js";
import "./lifecycle.js";
import "./coverage.js";
