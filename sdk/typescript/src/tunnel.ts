import { asyncDispose } from "./dispose.js";
import { ConnectionError } from "./errors.js";
import { streamOf } from "./transport/data.js";
import { Inbox } from "./transport/inbox.js";
import { type Message, type Socket, type SocketOptions, connect } from "./transport/socket.js";

/** Bytes put into one message at most. */
const CHUNK = 64 * 1024;
const MAX_WAITING = 1024 * 1024;

/** A TCP connection to a port of a sandbox. Both directions are independent of each other. */
export class Tunnel {
  /** What the sandbox sends, to the end of its sending. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What the sandbox is sent. Closing it says that no more comes. */
  readonly writable: WritableStream<Uint8Array>;
  #socket: Socket | undefined;
  readonly #inbox = new Inbox<Uint8Array>(() => this.#socket?.resume());

  private constructor() {
    const inbox = this.#inbox;
    this.readable = streamOf(
      (async function* () {
        for (let part = await inbox.next(); part !== undefined; part = await inbox.next()) yield part;
      })(),
    );
    this.writable = new WritableStream<Uint8Array>({
      write: (bytes) => this.#write(bytes),
      close: () => this.#send(new Uint8Array(0)),
      abort: () => this.close(),
    });
  }

  /** @internal */
  static async open(url: string, options: SocketOptions): Promise<Tunnel> {
    const tunnel = new Tunnel();
    tunnel.#socket = await connect(url, options, {
      onMessage: (message) => tunnel.#take(message),
      onClose: (code, reason, error) => {
        const broken = new ConnectionError(`the sandbox broke the connection: ${reason} (${code})`, { cause: error });
        tunnel.#inbox.end(code === 1000 ? undefined : broken);
      },
    });
    return tunnel;
  }

  /** Breaks the connection. */
  close(): void {
    this.#inbox.end();
    this.#socket?.close();
  }

  async [asyncDispose](): Promise<void> {
    this.close();
  }

  #take(message: Message): void {
    if (typeof message === "string") return;
    // An empty message says that no more comes.
    if (message.length === 0) return this.#inbox.end();
    this.#inbox.push(message, message.length);
    if (this.#inbox.size > MAX_WAITING) this.#socket?.pause();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += CHUNK) await this.#send(bytes.subarray(at, at + CHUNK));
  }

  async #send(message: Uint8Array): Promise<void> {
    if (this.#socket === undefined) throw new ConnectionError("the tunnel is not open");
    await this.#socket.send(message);
  }
}
