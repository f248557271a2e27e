import { SandkeepError, TimeoutError } from "../errors.js";
import type { CallOptions } from "../transport/http.js";
import { sleep } from "../transport/limits.js";
import type { LifecycleHttp, Schemas } from "../wire.js";
import { type Page, everything, labelFilter } from "./pages.js";

/** A template as it is now. */
export type Template = Schemas["FsbTemplate"];
/** What a template is made of. */
export type NewTemplate = Schemas["CreateFsbTemplateRequest"];

/** Which templates. */
export interface TemplateFilter extends CallOptions {
  /** Only those with all of these labels. */
  metadata?: Record<string, string>;
}

const POLL_MS = 50;

/** What sandboxes are made of, known to the server under an id. */
export class Templates {
  readonly #http: LifecycleHttp;

  /** @internal */
  constructor(http: LifecycleHttp) {
    this.#http = http;
  }

  /** Starts building a template. {@link Templates.wait} waits until it can be used. */
  create(template: NewTemplate, options: CallOptions = {}): Promise<Template> {
    return this.#http.json("create_template", { body: template }, options);
  }

  /**
   * One template as it is now.
   *
   * @throws NotFoundError if there is none of this id
   */
  get(templateId: string, options: CallOptions = {}): Promise<Template> {
    return this.#http.json("get_template", { path: { templateId } }, options);
  }

  /** One page of them, newest first; pages count from 1. */
  page(filter: TemplateFilter & { page?: number; pageSize?: number } = {}): Promise<Page<Template>> {
    const { metadata, page, pageSize } = filter;
    const query = { metadata: labelFilter(metadata), page, pageSize };
    return this.#http.json("list_templates", { query }, filter);
  }

  /** All that match, newest first. */
  list(filter: TemplateFilter = {}): AsyncGenerator<Template, void, undefined> {
    return everything((page) => this.page({ ...filter, ...page }));
  }

  /** Waits until a template can be used. */
  async wait(templateId: string, options: CallOptions = {}): Promise<Template> {
    const limit = this.#http.timeouts.create;
    for (const since = Date.now(); Date.now() - since < limit; ) {
      const template = await this.get(templateId, options);
      const { phase, message } = template.status;
      if (phase === "Succeeded") return template;
      if (phase === "Failed") throw new SandkeepError(`template ${templateId} failed: ${message ?? ""}`);
      await sleep(POLL_MS, options.signal);
    }
    throw new TimeoutError(`template ${templateId}`, limit);
  }

  /** Removes a template; sandboxes that came from it go on. */
  async delete(templateId: string, options: CallOptions = {}): Promise<void> {
    await this.#http.done("delete_template", { path: { templateId } }, options);
  }
}
