import { ConfigError } from "./errors.js";
import type { NetworkPolicy } from "./network.js";
import type { CallOptions } from "./transport/http.js";
import type { Schemas } from "./wire.js";

/** A directory of the host, or a named volume, mounted in a sandbox. */
export type Volume = Schemas["Volume"];

/** How long a sandbox lives when nothing else is asked for. */
const DEFAULT_LIFETIME_SECONDS = 600;

/** Keeps a sandbox alive without doing anything. */
const IDLE_ENTRYPOINT = ["tail", "-f", "/dev/null"];

/** What a sandbox is made of: exactly one of `image`, `snapshot`, `template` and `pool`. */
export interface NewSandbox {
  /** An image, such as `python:3.12-slim`. */
  image?: string;
  /** Credentials for the image's registry. */
  imageAuth?: { username: string; password: string };
  /** Id of a snapshot. */
  snapshot?: string;
  /** Id of a template, which says everything but metadata, lifetime and network policy. */
  template?: string;
  /** Name of a pool, or `*` for any: image and limits are the pool's. */
  pool?: string;
  /** The program the sandbox runs and ends with. Default: one that does nothing. */
  entrypoint?: string[];
  /** Variables in the environment of everything that runs in the sandbox. */
  env?: Record<string, string>;
  /** Labels to find the sandbox by. */
  metadata?: Record<string, string>;
  /** Upper bounds: `cpu` (`500m`), `memory` and `disk` (`512Mi`), `pids`. */
  limits?: Record<string, string>;
  /** Seconds until it expires, at least 60; null means never. Default: 600. */
  lifetimeSeconds?: number | null;
  /** What it may reach. */
  networkPolicy?: NetworkPolicy;
  /** Lets a vault put credentials into what the sandbox sends; needs a network policy. */
  credentialProxy?: boolean;
  /** What is mounted in it. Default: nothing. */
  volumes?: Volume[];
  /** Commands before its program starts and in regular intervals. */
  lifecycle?: Schemas["SandboxLifecycle"];
  /** Which of an image's platforms. Default: the host's. */
  platform?: Schemas["PlatformSpec"];
  /** Whether every port needs a proof, also those that are public otherwise. */
  secureAccess?: boolean;
  /** Options outside the common contract. */
  extensions?: Record<string, string>;
  /** Names this creation, so that repeating it within a day makes no second sandbox. Default: a new name. */
  idempotencyKey?: string;
}

/** How a sandbox is reached. */
export interface ReachOptions extends CallOptions {
  /**
   * Through the server, or at the sandbox's own address, which only the server's machine knows. Default: the client's,
   * which is through the server unless that runs on this machine.
   */
  throughServer?: boolean;
}

/** The contract's form of it. */
export function createRequest(options: NewSandbox): Schemas["CreateSandboxRequest"] {
  const { image, snapshot, template, pool } = options;
  if ([image, snapshot, template, pool].filter((source) => source !== undefined).length !== 1) {
    throw new ConfigError("a sandbox is made of exactly one of image, snapshot, template and pool");
  }
  const timeout = options.lifetimeSeconds === undefined ? DEFAULT_LIFETIME_SECONDS : options.lifetimeSeconds;
  const request: Schemas["CreateSandboxRequest"] = {
    timeout,
    env: options.env,
    metadata: options.metadata,
    networkPolicy: options.networkPolicy,
    credentialProxy: options.credentialProxy === undefined ? undefined : { enabled: options.credentialProxy },
    volumes: options.volumes,
    lifecycle: options.lifecycle,
    platform: options.platform,
    secureAccess: options.secureAccess,
    resourceLimits: options.limits,
    extensions: pool === undefined ? options.extensions : { ...options.extensions, poolRef: pool },
  };
  if (template !== undefined) return { ...request, templateId: template, entrypoint: options.entrypoint };
  request.entrypoint = options.entrypoint ?? IDLE_ENTRYPOINT;
  if (pool !== undefined) return request;
  request.resourceLimits ??= {};
  if (snapshot !== undefined) return { ...request, snapshotId: snapshot };
  return { ...request, image: { uri: image ?? "", auth: options.imageAuth } };
}
