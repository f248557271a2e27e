// Runs the cells that execd sends and reports what came of them.
//
// This thread belongs to the user's code. Cells are evaluated through the inspector, because V8's REPL mode lets them
// declare names again and await at the top. A second thread talks to execd, so that it can stop a busy loop here.
// Output is not our business, it goes through descriptors 1 and 2.
{
  const { Worker } = require('worker_threads');
  const { createRequire } = require('module');
  const inspector = require('inspector');
  const path = require('path');
  const util = require('util');

  const MAX_TEXT = 4 << 20;
  const MAX_MESSAGE = 1 << 20;
  const NO_INPUT = 'there is no standard input: code runs here without a terminal';
  const RICH = Symbol.for('Jupyter.display');

  const session = new inspector.Session();
  session.connect();
  let held;

  // What rewritten cells and the inspector call.
  const helper = {
    import: (name, options) => (options === undefined ? import(name) : import(name, options)),
    hold(value) {
      held = value;
    },
  };
  Object.defineProperty(globalThis, '__sandkeep', { value: Object.freeze(helper) });

  // The value behind the inspector's description of it.
  const real = ({ type, value, unserializableValue, objectId }) => {
    if (unserializableValue !== undefined) return type === 'bigint' ? BigInt(unserializableValue.slice(0, -1)) : Number(unserializableValue);
    if (objectId === undefined) return value;
    const functionDeclaration = 'function () { "use strict"; __sandkeep.hold(this) }';
    session.post('Runtime.callFunctionOn', { functionDeclaration, objectId }, () => {});
    const found = held;
    held = undefined;
    return found;
  };

  const inspect = (value) => {
    const text = util.inspect(value, { depth: 6, maxArrayLength: 1000 });
    return text.length <= MAX_TEXT ? text : text.slice(0, MAX_TEXT) + '... (cut)';
  };

  // A value as triples: whether it is JSON, MIME type, content.
  const show = async (value) => {
    const found = [];
    const offered = typeof value?.[RICH] === 'function' ? await value[RICH]() : null;
    for (const [type, content] of Object.entries(offered ?? {})) {
      const isText = typeof content === 'string';
      found.push(isText ? 't' : 'j', type === 'text/plain' ? 'text' : type, isText ? content : JSON.stringify(content));
    }
    if (!found.includes('text')) found.push('t', 'text', inspect(value));
    return found;
  };

  const isError = (thrown) => util.types.isNativeError(thrown) || thrown instanceof Error;

  // Frames of this program say nothing to the user.
  const isTheirs = (line) => !/^\s+at .*(node:|\[stdin\]|\[worker eval\]|<anonymous>:\d)/.test(line);

  // What was thrown as name, message and lines of the traceback.
  const explain = (thrown, place) => {
    if (!isError(thrown)) return ['Uncaught', inspect(thrown), `Uncaught ${inspect(thrown)}`, ...place()];
    const [name, message] = [String(thrown.name), String(thrown.message)];
    const lines = inspect(thrown).split('\n').filter(isTheirs);
    const isPlaced = lines.some((line) => /^\s+at .*cell_\d+\.[jt]s:\d/.test(line));
    return [name, message.slice(0, MAX_MESSAGE), ...(isPlaced ? [] : place(true)), ...lines];
  };

  // Where the inspector saw the error, with the line itself when that is wanted.
  const placeIn = (name, source, { lineNumber, columnNumber, url }) => (isShown) => {
    if (url && url !== name) return [];
    const at = `${name}:${lineNumber + 1}:${columnNumber + 1}`;
    const line = source.split('\n')[lineNumber] ?? '';
    return isShown ? [at, line, ' '.repeat(columnNumber) + '^'] : [`    at ${at}`];
  };

  const settle = async ({ name, source, isShown }, error, answer) => {
    if (error) return { failed: ['Error', error.message] };
    const details = answer.exceptionDetails;
    try {
      if (details) {
        const thrown = details.exception ? real(details.exception) : new Error(details.text);
        return { failed: explain(thrown, placeIn(name, source, details)) };
      }
      const found = real(answer.result);
      const value = util.types.isPromise(found) ? await found : found;
      return { shown: isShown && value !== undefined ? await show(value) : null };
    } catch (thrown) {
      return { failed: explain(thrown, () => []) };
    }
  };

  const evaluate = (cell) => {
    const options = {
      expression: `${cell.source}\n//# sourceURL=${cell.name}`,
      objectGroup: 'cell',
      replMode: true,
    };
    session.post('Runtime.evaluate', options, async (error, answer) => {
      const outcome = await settle(cell, error, answer);
      session.post('Runtime.releaseObjectGroup', { objectGroup: 'cell' }, () => {});
      worker.postMessage({ number: cell.number, ...outcome });
    });
  };

  globalThis.require = createRequire(path.join(process.cwd(), 'cell.js'));
  // The one there is would also keep what is logged for the inspector.
  globalThis.console = new console.Console(process.stdout, process.stderr);
  Object.defineProperty(process, 'stdin', {
    get() {
      throw new Error(NO_INPUT);
    },
  });

  const complain = (error) => process.stderr.write(`Uncaught ${inspect(error)}\n`);
  process.on('uncaughtException', complain);
  process.on('unhandledRejection', complain);

  const thread = () => {
    const inspector = require('inspector');
    const net = require('net');
    const { parentPort } = require('worker_threads');

    const CHANNEL = 3;
    const INTERRUPT = 0xffffffff;
    // How long the main thread may take to notice a signal before its code counts as busy.
    const IDLE_TIME = 100;
    // How long it may take to be stopped.
    const STOP_TIME = 1000;

    const session = new inspector.Session();
    session.connectToMainThread();
    const socket = new net.Socket({ fd: CHANNEL, readable: true, writable: true });
    let received = [];
    let count = 0;
    let running = false;
    let stopping = 0;
    let idle = null;

    const framed = (content) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(content.length);
      return Buffer.concat([length, content]);
    };

    const send = (kind, ...fields) => {
      const parts = fields.map((field) => framed(Buffer.from(field)));
      socket.write(framed(Buffer.concat([Buffer.from(kind), ...parts])));
    };

    const run = (cell) => {
      count += 1;
      running = true;
      send('S');
      const name = `cell_${count}.${cell[0] === 't' ? 'ts' : 'js'}`;
      parentPort.postMessage({ number: count, name, isShown: cell[1] === 'v', source: cell.slice(2) });
    };

    const finish = ({ shown, failed }) => {
      running = false;
      if (shown) send('V', ...shown);
      if (failed) send('E', ...failed);
      send('D');
    };

    const within = (time, event) =>
      Promise.race([event, new Promise((resolve) => setTimeout(resolve, time, 'late'))]);

    // A cell that waits for something is left behind; one that computes is stopped.
    const interrupt = async () => {
      if (!running) return;
      const number = count;
      const noticed = new Promise((resolve) => {
        idle = resolve;
      });
      if ((await within(IDLE_TIME, noticed)) === 'late' && running && number === count) {
        stopping = number;
        const stopped = new Promise((resolve) => session.post('Runtime.terminateExecution', {}, resolve));
        await within(STOP_TIME, stopped);
      }
      if (!running || number !== count) return;
      const message = 'the run was interrupted';
      finish({ failed: ['Interrupted', message, `Interrupted: ${message}`] });
    };

    parentPort.on('message', (message) => {
      if (message === 'signalled') idle?.();
      else if (running && message.number === count && stopping !== count) finish(message);
    });

    // Takes what has come apart; what is incomplete stays.
    const take = (data) => {
      if (data.length < 4) return data;
      const length = data.readUInt32LE();
      if (length === INTERRUPT) {
        interrupt();
        return take(data.subarray(4));
      }
      if (data.length < 4 + length) return data;
      run(data.toString('utf8', 4, 4 + length));
      return take(data.subarray(4 + length));
    };

    socket.on('data', (data) => {
      received.push(data);
      const size = received.reduce((sum, part) => sum + part.length, 0);
      const first = received[0];
      if (first.length >= 4 && first.readUInt32LE() !== INTERRUPT && size < 4 + first.readUInt32LE()) return;
      received = [take(Buffer.concat(received))].filter((rest) => rest.length > 0);
    });
    socket.on('close', () => process.exit());
    socket.on('error', () => process.exit());
  };

  const worker = new Worker(`(${thread})()`, { eval: true });
  worker.on('message', evaluate);
  // That thread ends with execd.
  worker.on('exit', () => process.exit());
  process.on('SIGINT', () => worker.postMessage('signalled'));
}
