// Generated from specs/openapi/egress.yaml by `cargo xtask sdk`. Do not edit.
export interface paths {
    "/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read what was asked for
         * @description Names that were looked up, connections and requests: which rule decided and which credential binding was used, never
         *     a secret. The newest two thousand are kept. An addition to the contract.
         */
        get: operations["getAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/credential-vault": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read what is in the vault, without its secrets */
        get: operations["getCredentialVault"];
        put?: never;
        /**
         * Make a vault
         * @description Its bindings are in force when this answers. Hosts must be allowed by the policy.
         */
        post: operations["createCredentialVault"];
        /**
         * Forget the vault
         * @description Connections that have carried one of its secrets are cut.
         */
        delete: operations["deleteCredentialVault"];
        options?: never;
        head?: never;
        /**
         * Change the vault
         * @description All changes are made or none; requests that are under way go on with what they began with.
         */
        patch: operations["patchCredentialVault"];
        trace?: never;
    };
    "/credential-vault/_active": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read what is in force, with the secrets
         * @description Only on the vault's own unix socket, whose file only the sidecar's user can open. Everywhere else it is forbidden,
         *     whoever asks.
         */
        get: operations["getActiveVault"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/credential-vault/bindings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the bindings */
        get: operations["listCredentialBindings"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/credential-vault/bindings/{binding_name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read what may be known of a binding */
        get: operations["getCredentialBinding"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/credential-vault/credentials": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the secrets' names */
        get: operations["listCredentials"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/credential-vault/credentials/{credential_name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read what may be known of a secret */
        get: operations["getCredential"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether everything configured is in force. */
        get: operations["healthz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/policy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The rules in force. */
        get: operations["getPolicy"];
        /**
         * Replace all rules.
         * @description Without a body everything is denied.
         */
        put: operations["replacePolicyPut"];
        /** Replace all rules, as PUT does. */
        post: operations["replacePolicyPost"];
        /** Take out the rules about these targets. */
        delete: operations["deletePolicyRules"];
        options?: never;
        head?: never;
        /**
         * Put rules before those there are.
         * @description A rule about a target that has one takes its place; of several about one target the first counts.
         */
        patch: operations["patchPolicy"];
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description A binding with the headers it sets. */
        ActiveBinding: {
            headers: components["schemas"]["ActiveHeader"][];
            match: components["schemas"]["CredentialMatch"];
            name: string;
        };
        /** @description A header that is set. */
        ActiveHeader: {
            name: string;
            value: string;
        };
        /** @description What is in force, with the secrets. Only on the sidecar's own unix socket. */
        ActiveSnapshot: {
            bindings: components["schemas"]["ActiveBinding"][];
            /** @description Texts that are taken out of answers. */
            redactions?: string[];
            /** Format: int64 */
            revision: number;
        };
        /** @description The secret as a header. */
        ApiKeyCredentialAuth: {
            /** @description Name of the secret. */
            credential: string;
            /** @description Name of the header. */
            name: string;
            substitutions?: components["schemas"]["CredentialSubstitution"][];
        };
        /** @description One attempt to reach something. Never holds a secret, nor a query. */
        AuditEntry: {
            /** @description Whether it was let pass. What became of it then is in `status` and `reason`. */
            allowed: boolean;
            /** @description The credential binding that was used. */
            binding?: string | null;
            /** @description The address and port that were to be reached. */
            destination?: string | null;
            /** @description The name that was asked for. */
            host?: string | null;
            /**
             * Format: int64
             * @description Counts up from 1 since the sidecar was started.
             */
            id: number;
            kind: components["schemas"]["AuditKind"];
            /** @description HTTP method. */
            method?: string | null;
            /** @description The path as the sandbox sent it, without the query; long ones are cut. */
            path?: string | null;
            /** @description Why it was refused or failed. */
            reason?: string | null;
            /** @description The rule that decided; absent: the default action, or no rule was asked. */
            rule?: string | null;
            /**
             * Format: int32
             * @description HTTP status of the answer.
             */
            status?: number | null;
            /**
             * Format: int64
             * @description Milliseconds since the beginning of 1970.
             */
            time: number;
        };
        /**
         * @description What was attempted.
         * @enum {string}
         */
        AuditKind: "dns" | "connection" | "https" | "http";
        /** @description The newest entries, oldest first. */
        AuditList: {
            entries: components["schemas"]["AuditEntry"][];
            /**
             * Format: int64
             * @description Entries after the asked-for one that are no longer kept.
             */
            lost: number;
            /**
             * Format: int64
             * @description What to ask for next, as `after`.
             */
            next: number;
        };
        /** @description `Authorization: Basic SECRET`; the secret is encoded already. */
        BasicCredentialAuth: {
            /** @description Name of the secret. */
            credential: string;
            substitutions?: components["schemas"]["CredentialSubstitution"][];
        };
        /** @description `Authorization: Bearer SECRET`. */
        BearerCredentialAuth: {
            /** @description Name of the secret. */
            credential: string;
            substitutions?: components["schemas"]["CredentialSubstitution"][];
        };
        /** @description A named secret. */
        Credential: {
            /** @description Unique in the vault; blanks around it are cut off. */
            name: string;
            source: components["schemas"]["InlineCredentialSource"];
        };
        /** @description How a secret is put into a request. */
        CredentialAuth: (components["schemas"]["BearerCredentialAuth"] & {
            /** @enum {string} */
            type: "bearer";
        }) | (components["schemas"]["BasicCredentialAuth"] & {
            /** @enum {string} */
            type: "basic";
        }) | (components["schemas"]["ApiKeyCredentialAuth"] & {
            /** @enum {string} */
            type: "apiKey";
        }) | (components["schemas"]["CustomHeadersCredentialAuth"] & {
            /** @enum {string} */
            type: "customHeaders";
        }) | (components["schemas"]["PassthroughCredentialAuth"] & {
            /** @enum {string} */
            type: "passthrough";
        });
        /** @description What may be known of how a binding puts its secret in. */
        CredentialAuthMetadata: {
            /** @description Name of the header, of an `apiKey` only. */
            name?: string;
            /** @description `bearer`, `basic`, `apiKey`, `customHeaders` or `passthrough`. */
            type: string;
        };
        /** @description Says which requests get a secret, and how. */
        CredentialBinding: {
            auth: components["schemas"]["CredentialAuth"];
            match: components["schemas"]["CredentialMatch"];
            /** @description Unique in the vault; blanks around it are cut off. */
            name: string;
        };
        /** @description The bindings. Sorted by name. */
        CredentialBindingListResponse: {
            bindings: components["schemas"]["CredentialBindingMetadata"][];
            /**
             * Format: int64
             * @description The vault's.
             */
            revision: number;
        };
        /** @description What may be known of a binding: not which secret it uses. */
        CredentialBindingMetadata: {
            auth?: components["schemas"]["CredentialAuthMetadata"];
            match?: components["schemas"]["CredentialMatch"];
            name: string;
            /**
             * Format: int64
             * @description The vault's.
             */
            revision: number;
        };
        /** @description Changes of the bindings: first `delete`, then `replace`, then `add`. */
        CredentialBindingMutationSet: {
            /** @description New ones. */
            add?: components["schemas"]["CredentialBinding"][];
            /** @description Names of ones that exist. */
            delete?: string[];
            /** @description Ones that exist. */
            replace?: components["schemas"]["CredentialBinding"][];
        };
        /** @description The secrets' names. Sorted. */
        CredentialListResponse: {
            credentials: components["schemas"]["CredentialMetadata"][];
            /**
             * Format: int64
             * @description The vault's.
             */
            revision: number;
        };
        /** @description The requests a binding is for: all of scheme, host, method and path must fit. */
        CredentialMatch: {
            /** @description Full domain names, or `*.` and one for all names below it. */
            hosts: string[];
            /**
             * @description HTTP methods.
             * @default [
             *       "GET",
             *       "POST",
             *       "PUT",
             *       "PATCH",
             *       "DELETE"
             *     ]
             */
            methods?: string[];
            /**
             * @description Paths without a query; with a `*` at the end everything that begins so.
             * @default [
             *       "/*"
             *     ]
             */
            paths?: string[];
            /**
             * @description Ignored, as the port follows the scheme; other values than 80 and 443 are refused.
             * @default [
             *       443
             *     ]
             */
            ports?: number[];
            /**
             * @description `https` or `http`.
             * @default [
             *       "https"
             *     ]
             */
            schemes?: components["schemas"]["CredentialScheme"][];
        };
        /** @description What may be known of a secret. */
        CredentialMetadata: {
            name: string;
            /**
             * Format: int64
             * @description The vault's revision when it was last changed.
             */
            revision: number;
            /** @description `inline`. */
            sourceType: string;
        };
        /** @description Changes of the secrets: first `delete`, then `replace`, then `add`. */
        CredentialMutationSet: {
            /** @description New ones. */
            add?: components["schemas"]["Credential"][];
            /** @description Names of ones that exist and that no binding uses any more. */
            delete?: string[];
            /** @description Ones that exist. */
            replace?: components["schemas"]["Credential"][];
        };
        /**
         * @description Scheme of a URL.
         * @enum {string}
         */
        CredentialScheme: "https" | "http";
        /**
         * @description Where a secret comes from.
         * @enum {string}
         */
        CredentialSourceType: "inline";
        /** @description A mark in the request that is replaced by a secret, encoded as its place wants it. */
        CredentialSubstitution: {
            /** @description Name of the secret. */
            credential: string;
            /** @description Where it is replaced. Compressed and multipart bodies are left as they are. */
            in: components["schemas"]["SubstitutionSurface"][];
            /** @description The mark, compared letter by letter. */
            placeholder: string;
        };
        /** @description Contents of a new vault. */
        CredentialVaultCreateRequest: {
            /** @description Which requests get which secret. */
            bindings: components["schemas"]["CredentialBinding"][];
            /** @description Secrets by name. */
            credentials: components["schemas"]["Credential"][];
        };
        /** @description Changes of a vault: all of them are made, or none. */
        CredentialVaultMutationRequest: {
            bindings?: components["schemas"]["CredentialBindingMutationSet"] | null;
            credentials?: components["schemas"]["CredentialMutationSet"] | null;
            /**
             * Format: int64
             * @description The revision the caller has seen; another one is a conflict. Absent: whatever it is.
             */
            expectedRevision?: number | null;
        };
        /** @description What is in the vault, without any secret. Sorted by name. */
        CredentialVaultState: {
            bindings: components["schemas"]["CredentialBindingMetadata"][];
            credentials: components["schemas"]["CredentialMetadata"][];
            /**
             * Format: int64
             * @description Counts up with every change, beginning at 1.
             */
            revision: number;
        };
        /** @description One header of [`CustomHeadersCredentialAuth`]. */
        CustomHeaderEntry: {
            /** @description Name of the secret. */
            credential: string;
            /** @description Name of the header. */
            name: string;
        };
        /** @description Several headers, each with a secret. */
        CustomHeadersCredentialAuth: {
            headers: components["schemas"]["CustomHeaderEntry"][];
            substitutions?: components["schemas"]["CredentialSubstitution"][];
        };
        /** @description A secret sent with the request. */
        InlineCredentialSource: {
            type: components["schemas"]["CredentialSourceType"];
            /** @description The secret itself, which is never returned. */
            value: string;
        };
        /**
         * @description Whether traffic passes.
         * @enum {string}
         */
        NetworkAction: "allow" | "deny";
        /** @description What the namespace may reach. */
        NetworkPolicy: {
            /** @description What happens to a name no rule is about; deny unless said otherwise. */
            defaultAction?: components["schemas"]["NetworkAction"];
            /** @description The rules. Of those about a name the first decides; of those about an address a denying one does. */
            egress?: components["schemas"]["NetworkRule"][];
        };
        /** @description One rule of a [`NetworkPolicy`]. */
        NetworkRule: {
            action: components["schemas"]["NetworkAction"];
            /**
             * @description A domain name, `*.` and a domain name for all names below it, an address, or a block of addresses.
             * @example *.pypi.org
             */
            target: string;
        };
        /** @description No header: only what the sandbox has marked is replaced. */
        PassthroughCredentialAuth: {
            substitutions?: components["schemas"]["CredentialSubstitution"][];
        };
        /** @description The rules in force and how they are kept. */
        PolicyStatusResponse: {
            /** @description `dns`: names are judged. `dns+nft`: addresses are, too. */
            enforcementMode?: string;
            /** @description `allow_all` or `deny_all` while there are no rules, else `enforcing`. */
            mode?: string;
            policy?: components["schemas"]["NetworkPolicy"];
            /** @description Why the rules are as they are, where that is not plain. */
            reason?: string;
            /** @description `ok`. */
            status?: string;
        };
        /**
         * @description A part of a request.
         * @enum {string}
         */
        SubstitutionSurface: "body" | "header" | "path" | "query";
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getAudit: {
        parameters: {
            query?: {
                /** @description Only entries after the one with this number; `next` of an earlier answer. */
                after?: number;
                /** @description At most so many entries: 1 to 1,000, 100 unless said otherwise. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Entries, the oldest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditList"];
                };
            };
            /** @description What is wrong with the request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    getCredentialVault: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The vault */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialVaultState"];
                };
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is no vault */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    createCredentialVault: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CredentialVaultCreateRequest"];
            };
        };
        responses: {
            /** @description The vault, without its secrets */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialVaultState"];
                };
            };
            /** @description What is wrong with the request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is a vault already */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the sidecar lacks to keep secrets */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Neither TLS nor a local caller */
            426: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    deleteCredentialVault: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Its secrets are gone */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is no vault */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the sidecar lacks to keep secrets */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Neither TLS nor a local caller */
            426: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    patchCredentialVault: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CredentialVaultMutationRequest"];
            };
        };
        responses: {
            /** @description The vault after the change */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialVaultState"];
                };
            };
            /** @description What is wrong with the request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is no vault */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The vault has another revision */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the sidecar lacks to keep secrets */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Neither TLS nor a local caller */
            426: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    getActiveVault: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Bindings with the headers they set */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ActiveSnapshot"];
                };
            };
            /** @description This is not the vault's socket */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is no vault */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    listCredentialBindings: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Sorted by name */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialBindingListResponse"];
                };
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is no vault */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    getCredentialBinding: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the binding */
                binding_name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All but the secret it uses */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialBindingMetadata"];
                };
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is no vault, or no such binding */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    listCredentials: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Sorted by name */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialListResponse"];
                };
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is no vault */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    getCredential: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the secret */
                credential_name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All but the secret itself */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialMetadata"];
                };
            };
            /** @description Wrong token */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There is no vault, or no such secret */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    healthz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Everything configured is in force */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Something configured does not work; the reason */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    getPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The rules in force */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description The token is missing or wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Something failed inside */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    replacePolicyPut: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description The new rules */
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NetworkPolicy"] | null;
            };
        };
        responses: {
            /** @description The rules are in force */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description The rules are not valid */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The token is missing or wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There are too many rules */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The rules before stay in force */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    replacePolicyPost: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description The new rules */
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NetworkPolicy"] | null;
            };
        };
        responses: {
            /** @description The rules are in force */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description The rules are not valid */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The token is missing or wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There are too many rules */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The rules before stay in force */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    deletePolicyRules: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description Targets, in any letter case */
        requestBody: {
            content: {
                "application/json": string[];
            };
        };
        responses: {
            /** @description There is no rule about them any more */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description The targets are not valid */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The token is missing or wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The rules before stay in force */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
    patchPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description The new rules */
        requestBody: {
            content: {
                "application/json": components["schemas"]["NetworkRule"][];
            };
        };
        responses: {
            /** @description The rules are in force */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description The rules are not valid */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The token is missing or wrong */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description There are too many rules */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The rules before stay in force */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
        };
    };
}

/** Method and path of every operation. */
export const routes = {
  getAudit: ["GET", "/audit"],
  getCredentialVault: ["GET", "/credential-vault"],
  createCredentialVault: ["POST", "/credential-vault"],
  deleteCredentialVault: ["DELETE", "/credential-vault"],
  patchCredentialVault: ["PATCH", "/credential-vault"],
  getActiveVault: ["GET", "/credential-vault/_active"],
  listCredentialBindings: ["GET", "/credential-vault/bindings"],
  getCredentialBinding: ["GET", "/credential-vault/bindings/{binding_name}"],
  listCredentials: ["GET", "/credential-vault/credentials"],
  getCredential: ["GET", "/credential-vault/credentials/{credential_name}"],
  healthz: ["GET", "/healthz"],
  getPolicy: ["GET", "/policy"],
  replacePolicyPut: ["PUT", "/policy"],
  replacePolicyPost: ["POST", "/policy"],
  deletePolicyRules: ["DELETE", "/policy"],
  patchPolicy: ["PATCH", "/policy"],
} as const;
