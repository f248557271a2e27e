import { ConfigError, ConnectionError, TimeoutError } from "../errors.js";
import { isNode } from "./runtime.js";

/** A message: text, or bytes. */
export type Message = string | Uint8Array;

/** What a socket tells whoever made it. */
export interface SocketEvents {
  onMessage(message: Message): void;
  /** Called once, also after an error. */
  onClose(code: number, reason: string, error?: unknown): void;
}

/** A WebSocket as far as we need one. */
export interface Socket {
  /** Resolves when the message has left, or waits in a buffer that has room. */
  send(message: Message): Promise<void>;
  close(): void;
  /** Stops and continues the messages, where the platform can. */
  pause(): void;
  resume(): void;
}

export interface SocketOptions {
  headers: Record<string, string>;
  timeout: number;
  signal?: AbortSignal | undefined;
}

/** Name under which the server takes a WebSocket whose key comes as a subprotocol, as browsers can send no headers. */
const SUBPROTOCOL = "sandkeep";
const KEY_HEADER = "open-sandbox-api-key";

/** Opens a WebSocket; `http` addresses become `ws` ones. */
export async function connect(url: string, options: SocketOptions, events: SocketEvents): Promise<Socket> {
  options.signal?.throwIfAborted();
  const address = url.replace(/^http/, "ws");
  if (!isNode) return openInBrowser(address, options, events);
  const { openInNode } = await import("./socket-node.js");
  return openInNode(address, options, events);
}

function openInBrowser(url: string, options: SocketOptions, events: SocketEvents): Promise<Socket> {
  const key = options.headers[KEY_HEADER];
  const protocols = key === undefined ? [] : [SUBPROTOCOL, `${SUBPROTOCOL}.key.${base64url(key)}`];
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    const refuse = (error: unknown): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      reject(error as Error);
      socket.close();
    };
    const onAbort = (): void => refuse(options.signal?.reason);
    const timer = setTimeout(
      () => refuse(new TimeoutError("the WebSocket handshake", options.timeout)),
      options.timeout,
    );
    options.signal?.addEventListener("abort", onAbort, { once: true });
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) =>
      events.onMessage(typeof data === "string" ? data : new Uint8Array(data));
    socket.onclose = ({ code, reason }) => {
      refuse(new ConnectionError(`the WebSocket to ${url} was refused`));
      events.onClose(code, reason);
    };
    socket.onopen = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      resolve(browserSocket(socket));
    };
  });
}

/** More than this waits for the network before `send` makes its caller wait. */
const MAX_BUFFERED = 1024 * 1024;
const BUFFER_POLL_MS = 10;

function browserSocket(socket: WebSocket): Socket {
  return {
    async send(message) {
      if (socket.readyState !== WebSocket.OPEN) throw new ConnectionError("the WebSocket is closed");
      socket.send(message as string | Uint8Array<ArrayBuffer>);
      while (socket.bufferedAmount > MAX_BUFFERED && socket.readyState === WebSocket.OPEN) {
        await new Promise((resolve) => setTimeout(resolve, BUFFER_POLL_MS));
      }
    },
    close: () => socket.close(),
    // Browsers have no way to stop a WebSocket's messages.
    pause: () => undefined,
    resume: () => undefined,
  };
}

function base64url(text: string): string {
  if (/[^\x20-\x7e]/.test(text)) throw new ConfigError("the API key has characters that HTTP cannot carry");
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
