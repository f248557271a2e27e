import type { components, operations } from "./generated/egress.js";
import { routes } from "./generated/egress.js";
import { Http, type HttpConfig } from "./transport/http.js";

type Schemas = components["schemas"];

/** What a vault holds: credentials by name, and which requests they are for. */
export type VaultContent = Schemas["CredentialVaultCreateRequest"];
/** Changes of a vault: all of them are made, or none. */
export type VaultChange = Schemas["CredentialVaultMutationRequest"];
/** A vault without its secrets. */
export type VaultState = Schemas["CredentialVaultState"];
/** A secret by a name. Its value is never given out again. */
export type Credential = Schemas["Credential"];
/** Credentials for certain requests. */
export type CredentialBinding = Schemas["CredentialBinding"];
/** What may be known of a secret: all but the secret. */
export type CredentialInfo = Schemas["CredentialMetadata"];
/** Which requests get which secret, and how. */
export type BindingInfo = Schemas["CredentialBindingMetadata"];
/** What was asked for beyond the sandbox, and what became of it. */
export type AuditEntry = Schemas["AuditEntry"];
/** What a sandbox tried to reach, and what came of it. */
export type AuditList = Schemas["AuditList"];

/** The API beside one sandbox. */
export type EgressHttp = Http<operations>;

export function egressHttp(config: HttpConfig): EgressHttp {
  return new Http<operations>(config, routes);
}
