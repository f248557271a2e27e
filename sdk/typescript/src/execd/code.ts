import type { CallOptions, Opened } from "../transport/http.js";
import { asyncDispose } from "../dispose.js";
import type { Execution, Listeners } from "./execution.js";
import { ExecutionStream } from "./stream.js";
import type { ExecdHttp, Schemas } from "./wire.js";

/** The languages that execd knows, as far as the image has their tools. */
export type Language = "python" | "bash" | "javascript" | "typescript" | "java" | "go" | (string & {});

/** How one piece of code runs. */
export interface CodeOptions extends CallOptions, Listeners {
  /** Whether a failure is thrown instead of returned. */
  check?: boolean;
}

type Target = Schemas["CodeTarget"];

/** Code that shares variables from one run to the next. */
export class Code {
  readonly #http: ExecdHttp;

  /** @internal */
  constructor(http: ExecdHttp) {
    this.#http = http;
  }

  /** Runs code in the language's default context. */
  run(language: Language, code: string, options: CodeOptions = {}): Promise<Execution> {
    return this.runIn({ language }, code, options);
  }

  /**
   * Python in its default context, whose variables last.
   *
   * @throws InvalidRequestError if the image has no Python
   */
  python(code: string, options: CodeOptions = {}): Promise<Execution> {
    return this.run("python", code, options);
  }

  /** The same in Bash. */
  bash(code: string, options: CodeOptions = {}): Promise<Execution> {
    return this.run("bash", code, options);
  }

  /** The same in JavaScript; needs Node.js in the image. */
  javascript(code: string, options: CodeOptions = {}): Promise<Execution> {
    return this.run("javascript", code, options);
  }

  /** The same in TypeScript; needs Node.js in the image. */
  typescript(code: string, options: CodeOptions = {}): Promise<Execution> {
    return this.run("typescript", code, options);
  }

  /** The same in Java; needs a JDK in the image. */
  java(code: string, options: CodeOptions = {}): Promise<Execution> {
    return this.run("java", code, options);
  }

  /** The same in Go; needs its toolchain in the image. */
  go(code: string, options: CodeOptions = {}): Promise<Execution> {
    return this.run("go", code, options);
  }

  /** Runs code in the language's default context and gives its events as they come. */
  stream(language: Language, code: string, options: CallOptions = {}): ExecutionStream {
    return this.streamIn({ language }, code, options);
  }

  /** Makes a context with variables of its own, in a directory of its own where one is named. */
  async createContext(options: CallOptions & { language: Language; cwd?: string }): Promise<CodeContext> {
    const { language, cwd } = options;
    const made = await this.#http.json("createCodeContext", { body: { language, cwd } }, options);
    return this.#context(made);
  }

  /** The contexts of a language, or all. */
  async contexts(options: CallOptions & { language?: Language } = {}): Promise<CodeContext[]> {
    const { language } = options;
    const listed = await this.#http.json("listContexts", { query: { language } }, options);
    return listed.map((context) => this.#context(context));
  }

  /**
   * One context by its id.
   *
   * @throws NotFoundError if there is none of this id
   */
  async context(id: string, options: CallOptions = {}): Promise<CodeContext> {
    return this.#context(await this.#http.json("getContext", { path: { context_id: id } }, options));
  }

  /** Ends a context and forgets its variables. */
  async deleteContext(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.done("deleteContext", { path: { context_id: id } }, options);
  }

  /** Ends every context of a language. */
  async deleteContexts(language: Language, options: CallOptions = {}): Promise<void> {
    await this.#http.done("deleteContextsByLanguage", { query: { language } }, options);
  }

  /** Interrupts what runs in a context, as Ctrl-C would; the context and its variables stay. */
  async interrupt(contextId: string, options: CallOptions = {}): Promise<void> {
    await this.#http.done("interruptCode", { query: { id: contextId } }, options);
  }

  /** @internal */
  async runIn(target: Target, code: string, options: CodeOptions): Promise<Execution> {
    const result = await this.streamIn(target, code, options).result(options);
    return options.check === true ? result.check() : result;
  }

  /** @internal */
  streamIn(context: Target, code: string, options: CallOptions): ExecutionStream {
    const open = (): Promise<Opened> => this.#http.open("runCode", { body: { context, code } });
    return new ExecutionStream(this.#http, open, { interrupt: (id) => this.interrupt(id) }, options.signal);
  }

  #context({ id, language, cwd }: Schemas["CodeContext"]): CodeContext {
    return new CodeContext(this, id ?? "", language, cwd);
  }
}

/** Variables of their own for one language. */
export class CodeContext {
  /** @internal */
  constructor(
    private readonly code: Code,
    readonly id: string,
    readonly language: string,
    readonly cwd: string | undefined,
  ) {}

  /**
   * Runs code to its end.
   *
   * @throws NotFoundError if the context was deleted; code that fails is a result
   */
  run(code: string, options: CodeOptions = {}): Promise<Execution> {
    return this.code.runIn({ id: this.id, language: this.language }, code, options);
  }

  /** Runs code and gives its events as they come. */
  stream(code: string, options: CallOptions = {}): ExecutionStream {
    return this.code.streamIn({ id: this.id, language: this.language }, code, options);
  }

  /** Interrupts what runs in it; its variables stay. */
  interrupt(options: CallOptions = {}): Promise<void> {
    return this.code.interrupt(this.id, options);
  }

  /** Ends the context and forgets its variables. */
  delete(options: CallOptions = {}): Promise<void> {
    return this.code.deleteContext(this.id, options);
  }

  async [asyncDispose](): Promise<void> {
    await this.delete();
  }
}
