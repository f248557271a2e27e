import {
  type BindingInfo,
  type CredentialInfo,
  type EgressOperations,
  type VaultChange,
  type VaultContent,
  type VaultState,
  egressRoutes,
} from "./egress.js";
import type { Ports } from "./ports.js";
import { type CallOptions, Http } from "./transport/http.js";
import type { LifecycleHttp, Schemas } from "./wire.js";

export type NetworkPolicy = Schemas["NetworkPolicy"];
export type NetworkRule = Schemas["NetworkRule"];
export type PolicyStatus = Schemas["PolicyStatusResponse"];

/** Where the API beside a sandbox answers that was created with a network policy. */
const EGRESS_PORT = 18080;

/** What a sandbox may reach. Only one that was created with a network policy has any. */
export class Network {
  /** Secrets that are put into what the sandbox sends, so that it never sees them. */
  readonly vault: Vault;
  readonly #http: LifecycleHttp;
  readonly #path: { sandboxId: string };

  /** @internal */
  constructor(http: LifecycleHttp, sandboxId: string, ports: Ports) {
    this.#http = http;
    this.#path = { sandboxId };
    this.vault = new Vault(ports);
  }

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
  readonly #ports: Ports;
  #http: Promise<Http<EgressOperations>> | undefined;

  /** @internal */
  constructor(ports: Ports) {
    this.#ports = ports;
  }

  async create(content: VaultContent, options: CallOptions = {}): Promise<VaultState> {
    return (await this.#reach(options)).json("createCredentialVault", { body: content }, options);
  }

  async state(options: CallOptions = {}): Promise<VaultState> {
    return (await this.#reach(options)).json("getCredentialVault", {}, options);
  }

  /** Changes all that is named, or nothing. */
  async change(change: VaultChange, options: CallOptions = {}): Promise<VaultState> {
    return (await this.#reach(options)).json("patchCredentialVault", { body: change }, options);
  }

  async delete(options: CallOptions = {}): Promise<void> {
    await (await this.#reach(options)).done("deleteCredentialVault", {}, options);
  }

  async credentials(options: CallOptions = {}): Promise<CredentialInfo[]> {
    return (await (await this.#reach(options)).json("listCredentials", {}, options)).credentials;
  }

  async credential(name: string, options: CallOptions = {}): Promise<CredentialInfo> {
    return (await this.#reach(options)).json("getCredential", { path: { name } }, options);
  }

  async bindings(options: CallOptions = {}): Promise<BindingInfo[]> {
    return (await (await this.#reach(options)).json("listCredentialBindings", {}, options)).bindings;
  }

  async binding(name: string, options: CallOptions = {}): Promise<BindingInfo> {
    return (await this.#reach(options)).json("getCredentialBinding", { path: { name } }, options);
  }

  #reach(options: CallOptions): Promise<Http<EgressOperations>> {
    if (this.#http === undefined) {
      const found = this.#ports.config(EGRESS_PORT, options);
      this.#http = found.then((config) => new Http<EgressOperations>({ ...config, onRequest: undefined }, egressRoutes));
      // A failure to find it is not remembered.
      this.#http.catch(() => (this.#http = undefined));
    }
    return this.#http;
  }
}
