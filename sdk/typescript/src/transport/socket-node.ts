import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { ConnectionError, TimeoutError, apiError } from "../errors.js";
import { explain } from "./refusal.js";
import type { Socket, SocketEvents, SocketOptions } from "./socket.js";

/** Longer answers to a refused handshake are no message for people. */
const MAX_REFUSAL = 16 * 1024;

/** Opens a WebSocket with headers of our own, which the one of the platform does not send. */
export function openInNode(url: string, options: SocketOptions, events: SocketEvents): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers: options.headers, perMessageDeflate: false });
    socket.binaryType = "nodebuffer";
    let failure: unknown;
    const refuse = (error: unknown): void => {
      failure ??= error;
      settle();
      reject(failure as Error);
      socket.terminate();
    };
    const onAbort = (): void => refuse(options.signal?.reason);
    const timer = setTimeout(
      () => refuse(new TimeoutError("the WebSocket handshake", options.timeout)),
      options.timeout,
    );
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
    };
    options.signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("unexpected-response", (_request, response) => {
      // The reason takes a moment to arrive; a second failure must not hide it.
      void refused(response).then(refuse);
    });
    socket.on("error", (error) => {
      failure ??= new ConnectionError(`the WebSocket to ${url} failed: ${error.message}`, { cause: error });
      refuse(failure);
    });
    socket.on("message", (data, isBinary) => {
      const bytes = data as Buffer;
      events.onMessage(isBinary ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes.toString());
    });
    socket.on("close", (code, reason) => events.onClose(code, reason.toString(), failure));
    socket.on("open", () => {
      settle();
      resolve(nodeSocket(socket));
    });
  });
}

function nodeSocket(socket: WebSocket): Socket {
  return {
    send: (message) =>
      new Promise((resolve, reject) => {
        socket.send(message, (error) => {
          if (error) reject(new ConnectionError("the WebSocket is closed", { cause: error }));
          else resolve();
        });
      }),
    close: () => socket.close(1000),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  };
}

async function refused(response: IncomingMessage): Promise<Error> {
  let text = "";
  response.setEncoding("utf8");
  try {
    for await (const chunk of response) {
      text += chunk as string;
      if (text.length > MAX_REFUSAL) break;
    }
  } catch {
    // A body that cannot be read leaves the status, which says the most already.
  }
  const requestId = response.headers["x-request-id"];
  return apiError({
    ...explain(response.statusCode ?? 0, text),
    requestId: typeof requestId === "string" ? requestId : undefined,
  });
}
