import {
  type AuditList,
  type BindingInfo,
  type CredentialInfo,
  type EgressHttp,
  type VaultChange,
  type VaultContent,
  type VaultState,
  egressHttp,
} from "./egress.js";
import type { Ports } from "./ports.js";
import type { CallOptions } from "./transport/http.js";
import type { LifecycleHttp, Schemas } from "./wire.js";

/** What a sandbox may reach. */
export type NetworkPolicy = Schemas["NetworkPolicy"];
/** One name, address or block of addresses, allowed or denied. */
export type NetworkRule = Schemas["NetworkRule"];
/** The policy in force, and how it is enforced. */
export type PolicyStatus = Schemas["PolicyStatusResponse"];

/** Where the API beside a sandbox answers that was created with a network policy. */
const EGRESS_PORT = 18080;

/** What a sandbox may reach. Only one that was created with a network policy has any. */
export class Network {
  /** Secrets that are put into what the sandbox sends, so that it never sees them. */
  readonly vault: Vault;
  readonly #http: LifecycleHttp;
  readonly #path: { sandboxId: string };
  readonly #reach: Reach;

  /** @internal */
  constructor(http: LifecycleHttp, sandboxId: string, ports: Ports) {
    this.#http = http;
    this.#path = { sandboxId };
    this.#reach = reach(ports);
    this.vault = new Vault(this.#reach);
  }

  /** What was asked for and what became of it, the oldest entry first that is kept or comes after a number. */
  async audit(options: CallOptions & { after?: number; limit?: number } = {}): Promise<AuditList> {
    const { after, limit } = options;
    return (await this.#reach(options)).json("getAudit", { query: { after, limit } }, options);
  }

  /**
   * The policy in force.
   *
   * @throws NotFoundError if the sandbox was created without one
   */
  policy(options: CallOptions = {}): Promise<PolicyStatus> {
    return this.#http.json("getSandboxNetworkPolicy", { path: this.#path }, options);
  }

  /** Puts another policy in force. */
  setPolicy(policy: NetworkPolicy, options: CallOptions = {}): Promise<PolicyStatus> {
    return this.#http.json("replaceSandboxNetworkPolicy", { path: this.#path, body: policy }, options);
  }

  /** Puts rules before those in force, in place of those with the same targets. */
  addRules(rules: NetworkRule[], options: CallOptions = {}): Promise<PolicyStatus> {
    return this.#http.json("patchSandboxNetworkPolicy", { path: this.#path, body: rules }, options);
  }

  /** Takes the rules with these targets away. */
  removeRules(targets: string[], options: CallOptions = {}): Promise<PolicyStatus> {
    return this.#http.json("deleteSandboxNetworkPolicyRules", { path: this.#path, body: targets }, options);
  }
}

/** Secrets for requests of a sandbox. Needs `credentialProxy` at its creation. */
export class Vault {
  readonly #reach: Reach;

  /** @internal */
  constructor(reach: Reach) {
    this.#reach = reach;
  }

  /**
   * Makes the vault; its bindings are in force when this returns.
   *
   * @throws ConflictError if there is one
   */
  async create(content: VaultContent, options: CallOptions = {}): Promise<VaultState> {
    return (await this.#reach(options)).json("createCredentialVault", { body: content }, options);
  }

  /**
   * What is in the vault, without its secrets.
   *
   * @throws NotFoundError while there is none
   */
  async state(options: CallOptions = {}): Promise<VaultState> {
    return (await this.#reach(options)).json("getCredentialVault", {}, options);
  }

  /** Changes all that is named, or nothing. */
  async change(change: VaultChange, options: CallOptions = {}): Promise<VaultState> {
    return (await this.#reach(options)).json("patchCredentialVault", { body: change }, options);
  }

  /** Forgets the vault; connections that carried one of its secrets are cut. */
  async delete(options: CallOptions = {}): Promise<void> {
    await (await this.#reach(options)).done("deleteCredentialVault", {}, options);
  }

  /** All secrets' names. */
  async credentials(options: CallOptions = {}): Promise<CredentialInfo[]> {
    return (await (await this.#reach(options)).json("listCredentials", {}, options)).credentials;
  }

  /**
   * What may be known of one secret.
   *
   * @throws NotFoundError if there is none of this name
   */
  async credential(name: string, options: CallOptions = {}): Promise<CredentialInfo> {
    return (await this.#reach(options)).json("getCredential", { path: { credential_name: name } }, options);
  }

  /** All bindings. */
  async bindings(options: CallOptions = {}): Promise<BindingInfo[]> {
    return (await (await this.#reach(options)).json("listCredentialBindings", {}, options)).bindings;
  }

  /**
   * One binding.
   *
   * @throws NotFoundError if there is none of this name
   */
  async binding(name: string, options: CallOptions = {}): Promise<BindingInfo> {
    return (await this.#reach(options)).json("getCredentialBinding", { path: { binding_name: name } }, options);
  }
}

type Reach = (options: CallOptions) => Promise<EgressHttp>;

/** Finds the API beside a sandbox when it is used first. */
function reach(ports: Ports): Reach {
  let found: Promise<EgressHttp> | undefined;
  return (options) => {
    if (found === undefined) {
      found = ports.config(EGRESS_PORT, options).then(egressHttp);
      // A failure to find it is not remembered.
      found.catch(() => (found = undefined));
    }
    return found;
  };
}
