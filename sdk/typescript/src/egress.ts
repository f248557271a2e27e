/** The API beside a sandbox that puts credentials into what it sends, in the contract's words. */

/** A secret by a name. Its value is never given out again. */
export interface Credential {
  name: string;
  source: { type: "inline"; value: string };
}

/** Which requests a credential is for. */
export interface CredentialMatch {
  /** Names such as `api.example.com` or `*.example.com`. */
  hosts: string[];
  /** Default: `https`. */
  schemes?: ("https" | "http")[];
  /** Default: GET, POST, PUT, PATCH, DELETE. */
  methods?: string[];
  /** A `*` at the end matches any rest. Default: all. */
  paths?: string[];
}

/** A text in requests that the credential stands in for. */
export interface CredentialSubstitution {
  credential: string;
  placeholder: string;
  in: ("path" | "query" | "header" | "body")[];
}

/** How credentials are put into requests. */
export type CredentialAuth = { substitutions?: CredentialSubstitution[] } & (
  | { type: "bearer" | "basic"; credential: string }
  | { type: "apiKey"; name: string; credential: string }
  | { type: "customHeaders"; headers: { name: string; credential: string }[] }
  | { type: "passthrough" }
);

/** Credentials for certain requests. */
export interface CredentialBinding {
  name: string;
  match: CredentialMatch;
  auth: CredentialAuth;
}

/** What a vault holds. */
export interface VaultContent {
  credentials: Credential[];
  bindings: CredentialBinding[];
}

/** Changes of one kind of thing in a vault, made in this order: delete, replace, add. */
export interface Changes<Item> {
  delete?: string[];
  replace?: Item[];
  add?: Item[];
}

export interface VaultChange {
  /** Refuses the change when the vault has another revision. */
  expectedRevision?: number;
  credentials?: Changes<Credential>;
  bindings?: Changes<CredentialBinding>;
}

export interface CredentialInfo {
  name: string;
  sourceType: string;
  revision: number;
}

export interface BindingInfo {
  name: string;
  revision: number;
  match?: CredentialMatch;
  auth?: { type: string; name?: string };
}

/** A vault without its secrets. */
export interface VaultState {
  revision: number;
  credentials: CredentialInfo[];
  bindings: BindingInfo[];
}

interface Json<Value> {
  content: { "application/json": Value };
}

interface Call<Answer, Body = never, Path = never> {
  parameters: { path: Path };
  requestBody: Json<Body>;
  responses: { 200: Json<Answer> };
}

/** Types of the operations. */
export interface EgressOperations {
  createCredentialVault: Call<VaultState, VaultContent>;
  getCredentialVault: Call<VaultState>;
  patchCredentialVault: Call<VaultState, VaultChange>;
  deleteCredentialVault: Call<undefined>;
  listCredentials: Call<{ credentials: CredentialInfo[] }>;
  getCredential: Call<CredentialInfo, never, { name: string }>;
  listCredentialBindings: Call<{ bindings: BindingInfo[] }>;
  getCredentialBinding: Call<BindingInfo, never, { name: string }>;
}

export const egressRoutes = {
  createCredentialVault: ["POST", "/credential-vault"],
  getCredentialVault: ["GET", "/credential-vault"],
  patchCredentialVault: ["PATCH", "/credential-vault"],
  deleteCredentialVault: ["DELETE", "/credential-vault"],
  listCredentials: ["GET", "/credential-vault/credentials"],
  getCredential: ["GET", "/credential-vault/credentials/{name}"],
  listCredentialBindings: ["GET", "/credential-vault/bindings"],
  getCredentialBinding: ["GET", "/credential-vault/bindings/{name}"],
} as const;
