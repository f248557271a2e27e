// Generated from specs/openapi/lifecycle.yaml by `cargo xtask sdk`. Do not edit.
export interface paths {
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Health
         * @description Answers as long as the server serves requests.
         */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Metrics
         * @description Counters and durations in Prometheus' text format.
         */
        get: operations["prometheus_metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/capabilities": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Capabilities
         * @description What this server can do on its host, found out at its start.
         */
        get: operations["capabilities"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow events
         * @description Server-sent events: changes of sandboxes' states and what else happens to them, in the order in which it was
         *     committed. With `Last-Event-ID` (or `lastEventId`) the stream goes on after that event, also over a restart of the
         *     server; 0 begins with the oldest event kept. If events after it are gone already, the stream begins with one of type
         *     `reset`. An extension of the common contract.
         */
        get: operations["follow_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List images */
        get: operations["list_images"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export an image
         * @description The body is an OCI layout as tar that is a docker archive as well. It is made while it is sent: an answer that breaks
         *     off is no archive.
         */
        get: operations["export_image"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Import images
         * @description The body is a docker archive or an OCI layout as tar, plain or compressed with gzip or zstd.
         */
        post: operations["import_images"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/pull": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pull an image
         * @description Fetches it from its registry, even if one of that name is here already. Answers when it is unpacked; what is here of
         *     it is not fetched again.
         */
        post: operations["pull_image"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/push": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Push an image
         * @description Sends it to a registry; what the registry has is not sent again. Answers when it is there. Layers are packed anew, so
         *     that the image may have another id there: the digests it lists are those of what was sent.
         */
        post: operations["push_image"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/{reference}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Delete an image
         * @description Takes the name away, and the image with its last name. An image that a sandbox uses stays.
         */
        delete: operations["delete_image"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/metrics/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Report a measurement
         * @description A client tells how long a sandbox took to become usable. It shows up in `/metrics`.
         */
        post: operations["report_metrics_event"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/pools": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List pools */
        get: operations["list_pools"];
        put?: never;
        /**
         * Create a pool
         * @description Keeps started sandboxes ready to be handed over to creates that name the pool in `extensions.poolRef`. The template's
         *     only container says what they are: image, command and args (run from the start; a create's own entrypoint runs beside
         *     it and is what the sandbox ends with), env, resource limits, working directory, user, readiness probe. Members of the
         *     template that have no meaning for a sandbox are refused by name.
         */
        post: operations["create_pool"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/pools/{poolName}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a pool */
        get: operations["get_pool"];
        /**
         * Change a pool's capacity
         * @description Members are started and ended accordingly in the background; sandboxes that were handed over go on.
         */
        put: operations["update_pool"];
        post?: never;
        /**
         * Delete a pool
         * @description Ends the members that nobody owns. Sandboxes that were handed over go on.
         */
        delete: operations["delete_pool"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List sandboxes
         * @description Newest first. Filters are combined with AND.
         */
        get: operations["list_sandboxes"];
        put?: never;
        /**
         * Create a sandbox
         * @description Starts a sandbox from an image, a snapshot or a template, or takes one from a pool (`extensions.poolRef`). The answer
         *     comes when the sandbox is usable, or with state `Pending` when its image
         *     takes long to fetch.
         */
        post: operations["create_sandbox"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a sandbox */
        get: operations["get_sandbox"];
        put?: never;
        post?: never;
        /**
         * Delete a sandbox
         * @description Kills everything in it at once. Its record is gone when this answers.
         */
        delete: operations["delete_sandbox"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/diagnostics/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Events of a sandbox
         * @description What happened to it: changes of its state with the times its start took, its image's coming, limits it ran into.
         *     With `scope`, a JSON description; without, plain text.
         */
        get: operations["get_diagnostics_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/diagnostics/inspect": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Everything about a sandbox
         * @description Settings, limits and use, a `Key: value` line each. Values of variables whose names contain SECRET, TOKEN, PASSWORD or
         *     KEY are masked.
         */
        get: operations["get_diagnostics_inspect"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/diagnostics/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Logs of a sandbox
         * @description What its program has printed; kept until the sandbox is deleted, the newest 2 MiB unless configured otherwise.
         *     With `scope`, a JSON description; without, plain text.
         */
        get: operations["get_diagnostics_logs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/diagnostics/summary": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Summary of a sandbox
         * @description Inspection, events and logs in one text.
         */
        get: operations["get_diagnostics_summary"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/endpoints/{port}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Find a port
         * @description Says where a port of a sandbox is reached, directly or through this server, and which headers every request to it
         *     must carry.
         */
        get: operations["get_sandbox_endpoint"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/metadata": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change metadata
         * @description The body is a merge patch: a string sets a key, null removes it, absent keys stay.
         */
        patch: operations["patch_sandbox_metadata"];
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Use of resources
         * @description As the host counts it, for all processes of the sandbox. An extension of the common contract.
         */
        get: operations["get_sandbox_metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/networkpolicy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a network policy
         * @description What the sandbox may reach outside, as it is in force. Only sandboxes created with `networkPolicy` have one.
         */
        get: operations["getSandboxNetworkPolicy"];
        /**
         * Replace a network policy
         * @description In force, for names and addresses alike, when this answers; connections that it does not allow are cut.
         */
        put: operations["replaceSandboxNetworkPolicy"];
        post?: never;
        /**
         * Remove rules from a network policy
         * @description Takes away the rules for these targets; connections that they allowed are cut.
         */
        delete: operations["deleteSandboxNetworkPolicyRules"];
        options?: never;
        head?: never;
        /**
         * Add to a network policy
         * @description The rules come before those that are there; a rule for a target that has one replaces it.
         */
        patch: operations["patchSandboxNetworkPolicy"];
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pause a sandbox
         * @description Freezes every process where it is: memory, files and connections stay, no processor time is used. The sandbox is
         *     `Paused` when this answers.
         */
        post: operations["pause_sandbox"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/proxy/{port}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Forward a GET request or a WebSocket to the root of a port */
        get: operations["proxy_get"];
        /** Forward a PUT request to the root of a port */
        put: operations["proxy_put"];
        /** Forward a POST request to the root of a port */
        post: operations["proxy_post"];
        /** Forward a DELETE request to the root of a port */
        delete: operations["proxy_delete"];
        options?: never;
        head?: never;
        /** Forward a PATCH request to the root of a port */
        patch: operations["proxy_patch"];
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/proxy/{port}/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Forward a GET request or a WebSocket to a path on a port */
        get: operations["proxy_get_path"];
        /** Forward a PUT request to a path on a port */
        put: operations["proxy_put_path"];
        /** Forward a POST request to a path on a port */
        post: operations["proxy_post_path"];
        /** Forward a DELETE request to a path on a port */
        delete: operations["proxy_delete_path"];
        options?: never;
        head?: never;
        /** Forward a PATCH request to a path on a port */
        patch: operations["proxy_patch_path"];
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/renew-expiration": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Renew the expiry
         * @description Sets a new moment of expiry, earlier or later than the present one.
         */
        post: operations["renew_sandbox_expiration"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Resume a sandbox
         * @description Lets a paused sandbox go on from where it was. It runs when this answers.
         */
        post: operations["resume_sandbox"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/snapshots": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Snapshot a sandbox
         * @description Keeps the sandbox's files as an image of its own: everything that was written since the sandbox began, on top of the
         *     image it began from. A running sandbox stands still while its files are copied and then goes on. Memory, mounted
         *     volumes and the request's environment are no part of a snapshot. The snapshot is `Creating` until its image is there.
         */
        post: operations["create_snapshot"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Start a stopped sandbox
         * @description Lets the processes go on where they were if their memory was kept, else runs the sandbox's program from its
         *     beginning; on the files as they were, with the same address and tokens.
         */
        post: operations["start_sandbox"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Stop a sandbox
         * @description Ends every process and keeps the files, so that the sandbox takes neither memory nor processor time. Its expiry goes
         *     on. With `memory`, processes go on where they were after a start, open files and listening sockets included;
         *     established connections end. Where the host cannot do that at all (see `/v1/capabilities`), the answer says so.
         */
        post: operations["stop_sandbox"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sandboxes/{sandboxId}/tunnel/{port}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Open a TCP connection to a port
         * @description Answers a WebSocket handshake once the port has accepted a connection. Binary messages of at most 1 MiB then carry
         *     bytes both ways; their bounds mean nothing. An empty message says that its sender sends no more, while the other
         *     direction goes on; when both have ended, the server closes with 1000. It closes with 1011 when the sandbox broke the
         *     connection. Always needs the API key or the access token, also for public ports.
         */
        get: operations["open_tunnel"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/snapshots": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List snapshots
         * @description Newest first. Filters are combined with AND.
         */
        get: operations["list_snapshots"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/snapshots/{snapshotId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a snapshot */
        get: operations["get_snapshot"];
        put?: never;
        post?: never;
        /**
         * Delete a snapshot
         * @description Its image goes with it, except layers that other images share. One that a sandbox was started from stays until that
         *     sandbox is gone.
         */
        delete: operations["delete_snapshot"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/templates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List templates
         * @description Newest first.
         */
        get: operations["list_templates"];
        put?: never;
        /**
         * Create a template
         * @description Builds it in the background: the image is fetched, and one sandbox is started from it and must become ready. A create
         *     that names a template which succeeded needs nothing but a timeout.
         */
        post: operations["create_template"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/templates/{templateId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a template */
        get: operations["get_template"];
        put?: never;
        post?: never;
        /**
         * Delete a template
         * @description A build under way ends. Sandboxes that came from it go on.
         */
        delete: operations["delete_template"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/version": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Version */
        get: operations["version"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description Kind of an allocation.
         * @enum {string}
         */
        AllocationMode: "pool";
        /**
         * @description Progress of an allocation.
         * @enum {string}
         */
        AllocationState: "allocated";
        /** @description How a sandbox was taken from a pool. */
        AllocationSummary: {
            mode: components["schemas"]["AllocationMode"];
            /** @description Name of the pool. */
            poolRef: string;
            state: components["schemas"]["AllocationState"];
        };
        /** @description What this server can do on its host, beyond what every server can. */
        Capabilities: {
            /** @description By name: `pause`, `stop`, `stop.memory`. Further names may come. */
            capabilities: {
                [key: string]: components["schemas"]["Capability"];
            };
        };
        /** @description One thing a server can or cannot do. */
        Capability: {
            available: boolean;
            /** @description Why it is not available. */
            reason?: string | null;
            /** @description Version of the tool it depends on. */
            version?: string | null;
        };
        /** @description A template to build. */
        CreateFsbTemplateRequest: {
            /** @description Program and arguments; absent keeps the sandbox idle. */
            entrypoint?: string[] | null;
            env?: {
                [key: string]: string;
            } | null;
            /** @description Format other servers store templates in; this one has its own and only remembers what was asked for. */
            format?: components["schemas"]["FsbTemplateFormat"];
            /** @description Image to start from. */
            image: string;
            /** @description Labels to find the template by. */
            metadata?: {
                [key: string]: string;
            } | null;
            /** @description Name the template goes by for people. */
            publish: string;
            readiness?: components["schemas"]["FsbTemplateReadiness"] | null;
            /** @description `cpu` (1), `memory` (`512Mi`) and `disk` (`2Gi`), with what counts without them. */
            resourceLimits?: {
                [key: string]: string;
            } | null;
        };
        /** @description A pool to make. */
        CreatePoolRequest: {
            capacitySpec: components["schemas"]["PoolCapacitySpec"];
            /** @description DNS label that `extensions.poolRef` names the pool by. */
            name: string;
            /** @description A Kubernetes PodTemplateSpec. Its only container becomes the sandbox; what has no meaning for a sandbox is refused. */
            template: Record<string, unknown>;
        };
        /**
         * @description What to run and within which bounds.
         *
         *     Exactly one source is given: `image` (with `entrypoint`), `snapshotId`, `templateId` or the extension `poolRef`.
         */
        CreateSandboxRequest: {
            credentialProxy?: components["schemas"]["CredentialProxyConfig"] | null;
            /**
             * @description Program and arguments the sandbox runs.
             * @example [
             *       "tail",
             *       "-f",
             *       "/dev/null"
             *     ]
             */
            entrypoint?: string[] | null;
            /** @description Environment of everything that runs in the sandbox; null leaves a variable unset. */
            env?: {
                [key: string]: string | null;
            } | null;
            /** @description Options outside the common contract, by name. */
            extensions?: {
                [key: string]: string;
            } | null;
            image?: components["schemas"]["ImageSpec"] | null;
            lifecycle?: components["schemas"]["SandboxLifecycle"] | null;
            /**
             * @description Labels to find the sandbox by; keys and values follow the rules of Kubernetes labels.
             * @example {
             *       "project": "demo"
             *     }
             */
            metadata?: {
                [key: string]: string;
            } | null;
            networkPolicy?: components["schemas"]["NetworkPolicy"] | null;
            platform?: components["schemas"]["PlatformSpec"] | null;
            /**
             * @description Upper bounds: `cpu` (`500m`, `2`), `memory` and `disk` (`512Mi`, `2g`), `pids`. May be empty.
             * @example {
             *       "cpu": "1",
             *       "memory": "512Mi"
             *     }
             */
            resourceLimits?: {
                [key: string]: string;
            } | null;
            /**
             * @description Guaranteed shares of `cpu` and `memory`, in the same units as the limits and at most those. Where others want them
             *     too, processor time is divided by the shares of `cpu`, which are the limits by default. A create is refused while
             *     this host cannot guarantee the memory; what a sandbox has beyond its share is taken back from it first.
             */
            resourceRequests?: {
                [key: string]: string;
            } | null;
            /**
             * @description Ask callers of the sandbox's ports for a token.
             * @default false
             */
            secureAccess?: boolean | null;
            /** @description Snapshot to restore instead of starting from an image. */
            snapshotId?: string | null;
            /** @description Template to start from. */
            templateId?: string | null;
            /**
             * Format: int64
             * @description Seconds until the sandbox expires, at least 60; null or absent never expires.
             * @example 600
             */
            timeout?: number | null;
            /** @description Storage mounted into the sandbox. */
            volumes?: components["schemas"]["Volume"][] | null;
        };
        /** @description The sandbox that was created. */
        CreateSandboxResponse: {
            /** Format: date-time */
            createdAt: string;
            entrypoint: string[];
            /**
             * Format: date-time
             * @description Absent when the sandbox never expires.
             */
            expiresAt?: string;
            /** @description Extensions of the request that are kept with the sandbox. */
            extensions?: {
                [key: string]: string;
            };
            /** @description Identifier, used in every later request. */
            id: string;
            metadata?: {
                [key: string]: string;
            };
            /** @description Present when the request named a platform. */
            platform?: components["schemas"]["PlatformSpec"];
            status: components["schemas"]["SandboxStatus"];
        };
        /** @description What the snapshot is called. */
        CreateSnapshotRequest: {
            /** @description For people, and to filter the list by; several snapshots may share one. */
            name?: string;
        };
        /** @description Whether outgoing requests get their credentials outside the sandbox. */
        CredentialProxyConfig: {
            enabled?: boolean;
        };
        /** @description What a sandbox printed, or what happened to it. */
        DiagnosticContentResponse: {
            /** @description The content itself, with delivery `inline`. */
            content?: string;
            /**
             * Format: int64
             * @description Bytes of the content.
             */
            contentLength?: number;
            /**
             * @description Media type of the content.
             * @example text/plain; charset=utf-8
             */
            contentType: string;
            /**
             * Format: uri
             * @description Where the content is, with delivery `url`.
             */
            contentUrl?: string;
            delivery: components["schemas"]["DiagnosticDelivery"];
            /**
             * Format: date-time
             * @description Until when the content can be fetched, with delivery `url`.
             */
            expiresAt?: string;
            kind: components["schemas"]["DiagnosticKind"];
            sandboxId: string;
            /**
             * @description The scope asked for, in lower case.
             * @example container
             */
            scope: string;
            /** @description There is more than is shown, or there was. */
            truncated: boolean;
            warnings?: string[];
        };
        /**
         * @description How the content of a [`DiagnosticContentResponse`] comes.
         * @enum {string}
         */
        DiagnosticDelivery: "inline" | "url";
        /**
         * @description Kind of a [`DiagnosticContentResponse`].
         * @enum {string}
         */
        DiagnosticKind: "logs" | "events";
        /** @description Where a port of a sandbox is reached. */
        Endpoint: {
            /**
             * @description Host, port and path without a scheme.
             * @example 10.231.0.5:44772
             */
            endpoint: string;
            /** @description Headers every request to the endpoint must carry. */
            headers?: {
                [key: string]: string;
            };
        };
        /** @description Why a request was not served. */
        ErrorResponse: {
            /**
             * @description Stable identifier of the kind of error.
             * @example SANDBOX::INVALID_PARAMETER
             */
            code: string;
            /**
             * @description What is wrong and where, for people.
             * @example timeout: must be at least 60 seconds, got 5
             */
            message: string;
        };
        /** @description A template as it is now. */
        FsbTemplate: {
            /** Format: date-time */
            createdAt: string;
            entrypoint?: string[];
            env?: {
                [key: string]: string;
            };
            format: components["schemas"]["FsbTemplateFormat"];
            image: string;
            metadata?: {
                [key: string]: string;
            };
            publish: string;
            readiness?: components["schemas"]["FsbTemplateReadiness"];
            resourceLimits?: {
                [key: string]: string;
            };
            status: components["schemas"]["FsbTemplateStatus"];
            templateId: string;
            /** Format: date-time */
            updatedAt: string;
        };
        /**
         * @description How a template is stored.
         * @enum {string}
         */
        FsbTemplateFormat: "native" | "overlaybd";
        /**
         * @description Step of a template's build. Only a template that succeeded can be used.
         * @enum {string}
         */
        FsbTemplatePhase: "Pending" | "Building" | "Succeeded" | "Failed";
        /** @description When a sandbox from the template counts as working. */
        FsbTemplateReadiness: {
            /**
             * @description `tcp://[HOST:]PORT`: something listens on the port. `cmd://COMMAND`: the shell command ends with status 0. Holds
             *     for every sandbox of the template: each is pending until then, and one that does not get there fails.
             * @example tcp://127.0.0.1:8000
             */
            probe?: string;
            /**
             * Format: int64
             * @description Seconds the probe may take to succeed (60); without a probe, seconds the template's trial runs before it is judged
             *     (0), for which no other sandbox waits. What the trial does is in no image.
             */
            warmupSeconds?: number;
        };
        /** @description How far a template is. */
        FsbTemplateStatus: {
            /** @description The image sandboxes of this template start from, for good. */
            manifestRef?: string;
            /** @description Why it failed. */
            message?: string;
            phase: components["schemas"]["FsbTemplatePhase"];
        };
        /** @description Whether the server answers. */
        Health: {
            /** @example healthy */
            status: string;
        };
        /** @description A directory of the host. */
        Host: {
            path: string;
        };
        /** @description Credentials for a registry. */
        ImageAuth: {
            password?: string;
            username?: string;
        };
        /** @description An image in a registry or in the local store. */
        ImageSpec: {
            /** @description Credentials for the registry; never part of an answer. */
            auth?: components["schemas"]["ImageAuth"];
            /**
             * @description Reference as container tools write it: `python:3.12`, `registry.example/team/app@sha256:…`.
             * @example python:3.12-slim
             */
            uri: string;
        };
        /** @description The images found in an archive. */
        ImportImagesResponse: {
            items: components["schemas"]["StoredImage"][];
        };
        /** @description A command run once. */
        LifecycleHook: {
            /** @description Program and arguments; no shell is involved. */
            command: string[];
            /**
             * Format: int64
             * @description Seconds the command may take.
             */
            timeoutSeconds?: number | null;
        };
        /** @description One page of templates, newest first. */
        ListFsbTemplatesResponse: {
            items: components["schemas"]["FsbTemplate"][];
            pagination: components["schemas"]["PaginationInfo"];
        };
        /** @description The images on this server. */
        ListImagesResponse: {
            items: components["schemas"]["StoredImage"][];
        };
        /** @description Every pool, by name. */
        ListPoolsResponse: {
            items: components["schemas"]["PoolResponse"][];
        };
        /** @description One page of sandboxes, newest first. */
        ListSandboxesResponse: {
            items: components["schemas"]["Sandbox"][];
            pagination: components["schemas"]["PaginationInfo"];
        };
        /** @description A page of snapshots. */
        ListSnapshotsResponse: {
            items: components["schemas"]["Snapshot"][];
            pagination: components["schemas"]["PaginationInfo"];
        };
        /** @description What a client measured on its side. */
        MetricsEvent: {
            /**
             * Format: int64
             * @description Milliseconds from the create request until the sandbox was usable.
             */
            createDurationMs: number;
            eventType: components["schemas"]["MetricsEventType"];
            image?: string | null;
            sandboxId?: string | null;
            /** @description Whether the sandbox became usable. */
            success: boolean;
        };
        /**
         * @description Kind of a [`MetricsEvent`].
         * @enum {string}
         */
        MetricsEventType: "sandbox.create";
        /**
         * @description Whether traffic passes.
         * @enum {string}
         */
        NetworkAction: "allow" | "deny";
        /** @description What a sandbox may reach outside. */
        NetworkPolicy: {
            /** @description What happens to a target no rule names; absent means deny. */
            defaultAction?: components["schemas"]["NetworkAction"];
            /** @description Rules, the first that matches decides. */
            egress?: components["schemas"]["NetworkRule"][];
        };
        /** @description One rule of a [`NetworkPolicy`]. */
        NetworkRule: {
            action: components["schemas"]["NetworkAction"];
            /**
             * @description Domain name, wildcard domain, address or CIDR.
             * @example *.pypi.org
             */
            target: string;
        };
        /** @description A bucket of an object store. */
        OSSFS: {
            accessKeyId: string;
            accessKeySecret: string;
            bucket: string;
            endpoint: string;
            /** @description Extra mount options. */
            options?: string[] | null;
            version?: components["schemas"]["OssfsVersion"] | null;
        };
        /**
         * @description Generation of the ossfs program.
         * @enum {string}
         */
        OssfsVersion: "1.0" | "2.0";
        /** @description Where a page of a list stands in the whole. */
        PaginationInfo: {
            hasNextPage: boolean;
            /**
             * Format: int64
             * @description Number of this page, from 1.
             */
            page: number;
            /** Format: int64 */
            pageSize: number;
            /**
             * Format: int64
             * @description Items on all pages together.
             */
            totalItems: number;
            /**
             * Format: int64
             * @description 0 when there are no items.
             */
            totalPages: number;
        };
        /** @description A merge patch of metadata: a string sets a key, null removes it, absent keys stay. */
        PatchSandboxMetadataRequest: {
            [key: string]: string | null;
        };
        /** @description A command run on a schedule. */
        PeriodicLifecycleHook: {
            /** @description Program and arguments; no shell is involved. */
            command: string[];
            /** @description Unique among the sandbox's hooks. */
            name: string;
            /** @description Five cron fields, a name such as `@hourly`, or `@every N` with whole seconds. */
            schedule: string;
            /**
             * Format: int64
             * @description Seconds one run may take.
             */
            timeoutSeconds?: number | null;
        };
        /** @description Operating system and processor architecture. */
        PlatformSpec: {
            /** @enum {string} */
            arch: "amd64" | "arm64";
            /** @enum {string} */
            os: "linux" | "windows";
        };
        /** @description The policy of a sandbox and how it is kept. */
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
        /** @description How many members a pool has. */
        PoolCapacitySpec: {
            /**
             * Format: int32
             * @description Most members that wait for an owner.
             */
            bufferMax: number;
            /**
             * Format: int32
             * @description Fewest members that wait for an owner.
             */
            bufferMin: number;
            /**
             * Format: int32
             * @description Most members, those with an owner included.
             */
            poolMax: number;
            /**
             * Format: int32
             * @description Fewest members, those with an owner included.
             */
            poolMin: number;
        };
        /** @description A pool as it is now. */
        PoolResponse: {
            capacitySpec: components["schemas"]["PoolCapacitySpec"];
            /** Format: date-time */
            createdAt?: string;
            name: string;
            status?: components["schemas"]["PoolStatus"];
        };
        /** @description Where a pool stands. */
        PoolStatus: {
            /**
             * Format: int64
             * @description Members that have an owner.
             */
            allocated: number;
            /**
             * Format: int64
             * @description Members that can be handed over now.
             */
            available: number;
            /** @description Why the last member could not be started (an extension). */
            message?: string;
            /** @description Tells templates apart. */
            revision: string;
            /**
             * Format: int64
             * @description Members that are ready or have an owner.
             */
            total: number;
        };
        /** @description Fetch an image from its registry now instead of on the first create. */
        PullImageRequest: {
            auth?: components["schemas"]["ImageAuth"] | null;
            platform?: components["schemas"]["PlatformSpec"] | null;
            /**
             * @description Reference as container tools write it.
             * @example python:3.12-slim
             */
            uri: string;
        };
        /** @description Which image to send where. */
        PushImageRequest: {
            /** @description Credentials for the registry. */
            auth?: components["schemas"]["ImageAuth"];
            /**
             * @description Name, digest or id of an image of the server.
             * @example opensandbox-snapshots:6f0c2c3d-0000-4000-8000-000000000000
             */
            reference: string;
            /**
             * @description Name it gets in its registry; absent takes `reference`.
             * @example registry.example/team/app:1
             */
            target?: string;
        };
        /** @description Where an image is now. */
        PushImageResponse: {
            /**
             * @description Its name with the digest of its manifest.
             * @example registry.example/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000
             */
            reference: string;
        };
        /** @description A named volume the platform manages. */
        Pvc: {
            accessModes?: string[] | null;
            claimName: string;
            /** @default true */
            createIfNotExists?: boolean | null;
            /** @default false */
            deleteOnSandboxTermination?: boolean | null;
            /** @description Size of a volume created by this request. */
            storage?: string | null;
            storageClass?: string | null;
        };
        /** @description When the sandbox should expire. */
        RenewSandboxExpirationRequest: {
            /**
             * Format: date-time
             * @description A moment in the future; without a zone it is taken as UTC.
             */
            expiresAt: string;
        };
        /** @description When the sandbox will expire. */
        RenewSandboxExpirationResponse: {
            /** Format: date-time */
            expiresAt: string;
        };
        /** @description A sandbox as it is now. */
        Sandbox: {
            /** @description Where the sandbox came from when it was not made for this request. */
            allocation?: components["schemas"]["AllocationSummary"];
            /** Format: date-time */
            createdAt: string;
            entrypoint: string[];
            /**
             * Format: date-time
             * @description Absent when the sandbox never expires.
             */
            expiresAt?: string;
            /** @description Extensions of the create request that are kept with the sandbox. */
            extensions?: {
                [key: string]: string;
            };
            /** @description Identifier, used in every later request. */
            id: string;
            /** @description The image it started from, without credentials. */
            image?: components["schemas"]["ImageSpec"];
            metadata?: {
                [key: string]: string;
            };
            /** @description Present when the create request named a platform. */
            platform?: components["schemas"]["PlatformSpec"];
            /** @description The snapshot it was restored from. */
            snapshotId?: string;
            status: components["schemas"]["SandboxStatus"];
        };
        /** @description Something that happened to a sandbox. */
        SandboxEvent: {
            /** Format: date-time */
            at: string;
            /** @description Figures: `durationMs` and `phases` of a start, `exitCode` and `oomKilled` of an end, `limit` and `count`. */
            details?: Record<string, unknown>;
            /**
             * Format: int64
             * @description Number of the event; a later one has a higher number.
             */
            id: number;
            /** @description What happened, for people. */
            message?: string;
            /** @description The sandbox's labels at that time, of which at most 16 KiB are kept. */
            metadata?: {
                [key: string]: string;
            };
            /** @description Short, stable cause of the state. */
            reason?: string;
            /** @description Absent in a `reset`. */
            sandboxId?: string;
            /** @description The state the sandbox is in now; with `sandbox.state`. */
            state?: components["schemas"]["SandboxState"];
            /**
             * @description `sandbox.state`, `sandbox.deleted`, `sandbox.image` (it has to be fetched first), `sandbox.limit` (the sandbox ran
             *     into one), or `reset`: events after the place the reader asked for are gone. The set is open.
             * @example sandbox.state
             */
            type: string;
        };
        /** @description Commands tied to a sandbox's life. */
        SandboxLifecycle: {
            /** @description Run again and again on their schedules. */
            periodic?: components["schemas"]["PeriodicLifecycleHook"][] | null;
            preStart?: components["schemas"]["LifecycleHook"] | null;
        };
        /** @description What a sandbox uses now. A limit that is absent is none. */
        SandboxMetrics: {
            /**
             * Format: date-time
             * @description When this was measured.
             */
            at: string;
            /**
             * Format: int64
             * @description Thousandths of a processor it may use.
             */
            cpuLimitMillis?: number;
            /**
             * Format: int64
             * @description Microseconds of processor time used so far.
             */
            cpuMicros: number;
            /**
             * Format: int64
             * @description Bytes its own files take on the host, where that is counted.
             */
            diskBytes?: number;
            /**
             * Format: int64
             * @description Bytes it may still write.
             */
            diskFreeBytes?: number;
            /** Format: int64 */
            diskLimitBytes?: number;
            /**
             * Format: int64
             * @description Bytes of memory in use, those of cached files included.
             */
            memoryBytes: number;
            /** Format: int64 */
            memoryLimitBytes?: number;
            /**
             * Format: int64
             * @description The most so far, where the kernel counts it.
             */
            memoryPeakBytes?: number;
            /**
             * Format: int64
             * @description Processes killed at the memory limit so far.
             */
            oomKills: number;
            /**
             * Format: int64
             * @description Processes and threads.
             */
            pids: number;
            /** Format: int64 */
            pidsLimit?: number;
            /**
             * Format: int64
             * @description Starts of processes and threads refused at that limit so far.
             */
            pidsRefused: number;
        };
        /**
         * @description Phase of a sandbox's life: Pending, Running, Pausing, Paused, Resuming, Stopped, Stopping, Terminated or Failed. The set is open: a client must cope with a name it doesn't know.
         * @example Running
         */
        SandboxState: string;
        /** @description Where a sandbox stands in its life. */
        SandboxStatus: {
            /** Format: date-time */
            lastTransitionAt?: string;
            /** @description The same for people. */
            message?: string;
            /** @description Short, stable cause of the state. */
            reason?: string;
            state: components["schemas"]["SandboxState"];
        };
        /** @description The files of a sandbox at one moment. */
        Snapshot: {
            /** Format: date-time */
            createdAt: string;
            id: string;
            name?: string;
            /** @description The sandbox it was made of, which may be gone. */
            sandboxId: string;
            status: components["schemas"]["SnapshotStatus"];
        };
        /**
         * @description Phase of a snapshot's life: Creating, Ready, Failed or Deleting. The set is open: a client must cope with a name it doesn't know.
         * @example Ready
         */
        SnapshotState: string;
        /** @description Where a snapshot stands in its life. */
        SnapshotStatus: {
            /** Format: date-time */
            lastTransitionAt?: string;
            /** @description The cause for people. */
            message?: string;
            /** @description Short machine-readable cause. */
            reason?: string;
            state: components["schemas"]["SnapshotState"];
        };
        /** @description What to start a sandbox from. */
        StartSandboxRequest: {
            /**
             * @description Whether processes whose memory was kept go on where they were. Without that, the memory is given up and the
             *     sandbox's program begins anew on its files.
             * @default true
             */
            memory?: boolean;
        };
        /** @description What a start began from. */
        StartSandboxResponse: {
            /** @description Whether processes go on where they were. Otherwise the sandbox's program began anew, on its files. */
            memory: boolean;
        };
        /** @description How to stop a sandbox. */
        StopSandboxRequest: {
            /** @description Keep the memory too, where the host can; the answer says whether it did. */
            memory?: boolean;
        };
        /** @description What a stop kept. */
        StopSandboxResponse: {
            /** @description Whether the memory was kept. Without it, a start runs the sandbox's program from its beginning. */
            memory: boolean;
            /** @description Why the memory was not kept though that was asked for. */
            reason?: string | null;
        };
        /** @description An image that is unpacked and ready on this server. */
        StoredImage: {
            /**
             * Format: date-time
             * @description When the image was built, as it states itself.
             */
            createdAt?: string;
            /** @description Digest of the image's configuration, `sha256:…`. */
            id: string;
            /** @description Every reference the image is known by. */
            names: string[];
            platform: components["schemas"]["PlatformSpec"];
            /**
             * Format: int64
             * @description Bytes of its unpacked layers.
             */
            sizeBytes: number;
        };
        /** @description The part of a pool that can change. */
        UpdatePoolRequest: {
            capacitySpec: components["schemas"]["PoolCapacitySpec"];
        };
        /** @description Which server answers. */
        Version: {
            /** @example 0.1.0 */
            version: string;
        };
        /** @description Storage mounted into a sandbox; exactly one of `host`, `pvc` and `ossfs` says where it comes from. */
        Volume: {
            host?: components["schemas"]["Host"] | null;
            /** @description Absolute path inside the sandbox. */
            mountPath: string;
            /** @description Unique among the sandbox's volumes. */
            name: string;
            ossfs?: components["schemas"]["OSSFS"] | null;
            pvc?: components["schemas"]["Pvc"] | null;
            readOnly?: boolean;
            /** @description Directory of the storage to mount instead of its root. */
            subPath?: string | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The server answers. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    prometheus_metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All metrics. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    capabilities: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description By name. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Capabilities"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    follow_events: {
        parameters: {
            query?: {
                /** @description Only of these sandboxes; may repeat. */
                sandboxId?: string[];
                /** @description Pairs of labels that must all match, written like the filter of the list of sandboxes. */
                metadata?: string;
                /**
                 * @description Only of these types; may repeat.
                 * @example [
                 *       "sandbox.state"
                 *     ]
                 */
                type?: string[];
                /** @description Like the header, which wins. */
                lastEventId?: number;
            };
            header?: {
                /** @description Number of the last event seen. */
                "Last-Event-ID"?: number | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The events, each with its number as `id`, its type as `event` and this as `data`. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["SandboxEvent"];
                };
            };
            /** @description A parameter is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    list_images: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Every image that is unpacked here. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListImagesResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    export_image: {
        parameters: {
            query: {
                /** @description Name, digest or id. */
                reference: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The archive. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/x-tar": unknown;
                };
            };
            /** @description The reference is missing or malformed. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such image here. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    import_images: {
        parameters: {
            query?: {
                /** @description Names instead of those in the archive, which must then hold a single image; may repeat. */
                name?: string[];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** @description The archive. */
        requestBody?: {
            content: {
                "application/x-tar": unknown;
            };
        };
        responses: {
            /** @description The images of the archive. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImportImagesResponse"];
                };
            };
            /** @description The archive or a name cannot be used. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The disk has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    pull_image: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PullImageRequest"];
            };
        };
        responses: {
            /** @description The image is here. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StoredImage"];
                };
            };
            /** @description The reference is malformed, or the registry's image cannot be used. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The registry has no such image, tag or platform. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The disk has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The registry cannot be reached. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The registry stopped answering. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    push_image: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PushImageRequest"];
            };
        };
        responses: {
            /** @description The image is in the registry. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PushImageResponse"];
                };
            };
            /** @description A reference is malformed, or the registry refuses the image. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such image here. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The disk has no room for a layer on its way. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The registry cannot be reached. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The registry stopped answering. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    delete_image: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name, digest or id; slashes need no escaping. */
                reference: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The name is gone. */
            204: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The reference is malformed. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such image here. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description A sandbox uses the image. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    report_metrics_event: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MetricsEvent"];
            };
        };
        responses: {
            /** @description Recorded. */
            204: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The event is malformed; the message names the member. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    list_pools: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Every pool, by name. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListPoolsResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no pools; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    create_pool: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "capacitySpec": {
                 *         "bufferMax": 4,
                 *         "bufferMin": 2,
                 *         "poolMax": 100,
                 *         "poolMin": 0
                 *       },
                 *       "name": "python",
                 *       "template": {
                 *         "spec": {
                 *           "containers": [
                 *             {
                 *               "image": "sandkeep/base:latest",
                 *               "name": "sandbox"
                 *             }
                 *           ]
                 *         }
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["CreatePoolRequest"];
            };
        };
        responses: {
            /** @description The pool; it fills in the background. */
            201: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PoolResponse"];
                };
            };
            /** @description A member is wrong or cannot be mapped; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is a pool of that name. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is larger than 1 MiB. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no pools; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_pool: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the pool. */
                poolName: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The pool as it is now. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PoolResponse"];
                };
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such pool. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no pools; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    update_pool: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the pool. */
                poolName: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "capacitySpec": {
                 *         "bufferMax": 8,
                 *         "bufferMin": 4,
                 *         "poolMax": 100,
                 *         "poolMin": 0
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["UpdatePoolRequest"];
            };
        };
        responses: {
            /** @description The pool with its new capacity. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PoolResponse"];
                };
            };
            /** @description A member is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such pool. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is larger than 1 MiB. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no pools; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    delete_pool: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the pool. */
                poolName: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The pool is gone. */
            204: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such pool. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no pools; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    list_sandboxes: {
        parameters: {
            query?: {
                /**
                 * @description Any of these states; may repeat.
                 * @example [
                 *       "Running"
                 *     ]
                 */
                state?: string[];
                /** @description Pairs that must all match, themselves written as a query: `project=demo&stage=test`, percent-encoded once more. */
                metadata?: string;
                /** @description Number of the page. */
                page?: number;
                /** @description Sandboxes on a page. */
                pageSize?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of sandboxes; a page past the end is empty. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListSandboxesResponse"];
                };
            };
            /** @description A parameter is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    create_sandbox: {
        parameters: {
            query?: never;
            header?: {
                /** @description 1 to 255 visible ASCII characters. A request repeated with its key within a day is answered with the sandbox the first one made, also while that is still under way. An extension. */
                "Idempotency-Key"?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "entrypoint": [
                 *         "sleep",
                 *         "infinity"
                 *       ],
                 *       "image": {
                 *         "uri": "sandkeep/base:latest"
                 *       },
                 *       "metadata": {
                 *         "project": "demo"
                 *       },
                 *       "resourceLimits": {
                 *         "cpu": "1",
                 *         "memory": "512Mi"
                 *       },
                 *       "timeout": 600
                 *     }
                 */
                "application/json": components["schemas"]["CreateSandboxRequest"];
            };
        };
        responses: {
            /** @description The sandbox was accepted. */
            202: {
                headers: {
                    /** @description Path of the sandbox. */
                    Location?: string;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreateSandboxResponse"];
                };
            };
            /** @description A member is wrong or not available here; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The tenant's quota is used up, or the caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Something the request refers to does not exist. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox was deleted before it had started, the snapshot is not ready, or the key belongs to another request. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is larger than 1 MiB. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This host has no room for another sandbox now. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The registry cannot be reached, or the server is stopping. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The registry did not answer in time. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_sandbox: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sandbox as it is now. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Sandbox"];
                };
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    delete_sandbox: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sandbox is gone. */
            204: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox is being deleted already. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_diagnostics_events: {
        parameters: {
            query?: {
                /**
                 * @description `runtime` or `all`, which is the same here.
                 * @example runtime
                 */
                scope?: string;
                /**
                 * @description Newest events to show.
                 * @example 50
                 */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The newest events, oldest first. */
            200: {
                headers: {
                    Deprecation?: "true";
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DiagnosticContentResponse"];
                    "text/plain": string;
                };
            };
            /** @description A parameter is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The runtime tells of no events. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_diagnostics_inspect: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sandbox as it is now. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_diagnostics_logs: {
        parameters: {
            query?: {
                /**
                 * @description `container` or `all`, which is the same here.
                 * @example container
                 */
                scope?: string;
                /**
                 * @description Lines from the end.
                 * @example 100
                 */
                tail?: number;
                /**
                 * @description Only what came within this time: a number followed by `s`, `m`, `h` or `d`.
                 * @example 10m
                 */
                since?: string;
                /**
                 * @deprecated
                 * @description Ignored: a sandbox is one container.
                 */
                container?: string;
                /** @description Goes on with what comes, as plain text, until the sandbox ends. An extension of the common contract. */
                follow?: boolean;
                /** @description Begins each line with the instant it came. An extension of the common contract. */
                timestamps?: boolean;
            };
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The last lines. */
            200: {
                headers: {
                    Deprecation?: "true";
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DiagnosticContentResponse"];
                    "text/plain": string;
                };
            };
            /** @description A parameter is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The runtime keeps no logs. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_diagnostics_summary: {
        parameters: {
            query?: {
                /**
                 * @description Lines of the log.
                 * @example 50
                 */
                tail?: number;
                /**
                 * @description Newest events to show.
                 * @example 20
                 */
                event_limit?: number;
            };
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The summary. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description A parameter is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_sandbox_endpoint: {
        parameters: {
            query?: {
                /** @description Go through this server instead of to the sandbox itself. */
                use_server_proxy?: boolean;
                /** @description Seconds since 1970 until which the answered address alone opens the port; needs the gateway and its keys. */
                expires?: string;
            };
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox; 44772 is its execd. */
                port: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Where the port is. */
            200: {
                headers: {
                    /** @description `template` for a sandbox that came from one, absent for others. */
                    "OPEN-SANDBOX-ORIGIN"?: string;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Endpoint"];
                };
            };
            /** @description The port or a parameter is wrong. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    patch_sandbox_metadata: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "project": null,
                 *       "stage": "test"
                 *     }
                 */
                "application/json": components["schemas"]["PatchSandboxMetadataRequest"];
            };
        };
        responses: {
            /** @description The sandbox with its new metadata. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Sandbox"];
                };
            };
            /** @description A key or value is wrong, or all of them together are more than 256 KiB; the message says so. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox's state does not allow it. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_sandbox_metrics: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What it uses now. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SandboxMetrics"];
                };
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox has no processes in its present state. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getSandboxNetworkPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The policy in force. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it has no network policy. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox does not run. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sidecar does not answer; nothing passes until it does. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    replaceSandboxNetworkPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NetworkPolicy"];
            };
        };
        responses: {
            /** @description The new policy is in force. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description A rule is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it has no network policy. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox does not run. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There are too many rules. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sidecar does not answer; nothing passes until it does. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    deleteSandboxNetworkPolicyRules: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        /** @description Targets as their rules name them. */
        requestBody: {
            content: {
                /**
                 * @example [
                 *       "pypi.org"
                 *     ]
                 */
                "application/json": string[];
            };
        };
        responses: {
            /** @description The changed policy is in force. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description There are no targets. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it has no network policy. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox does not run. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sidecar does not answer; nothing passes until it does. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    patchSandboxNetworkPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NetworkRule"][];
            };
        };
        responses: {
            /** @description The changed policy is in force. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PolicyStatusResponse"];
                };
            };
            /** @description A rule is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it has no network policy. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox does not run. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There are too many rules. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sidecar does not answer; nothing passes until it does. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    pause_sandbox: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sandbox is paused. */
            202: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description This kind of sandbox cannot be paused; no sandbox here is of that kind. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox does not run. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    proxy_get: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_put: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
            };
            cookie?: never;
        };
        /** @description Forwarded as it is. */
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_post: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
            };
            cookie?: never;
        };
        /** @description Forwarded as it is. */
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_delete: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
            };
            cookie?: never;
        };
        /** @description Forwarded as it is. */
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_patch: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
            };
            cookie?: never;
        };
        /** @description Forwarded as it is. */
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_get_path: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
                /** @description Path on the port, slashes included. */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_put_path: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
                /** @description Path on the port, slashes included. */
                path: string;
            };
            cookie?: never;
        };
        /** @description Forwarded as it is. */
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_post_path: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
                /** @description Path on the port, slashes included. */
                path: string;
            };
            cookie?: never;
        };
        /** @description Forwarded as it is. */
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_delete_path: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
                /** @description Path on the port, slashes included. */
                path: string;
            };
            cookie?: never;
        };
        /** @description Forwarded as it is. */
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    proxy_patch_path: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
                /** @description `skip` keeps this request from renewing the sandbox. */
                "OpenSandbox-Access-Renew"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
                /** @description Path on the port, slashes included. */
                path: string;
            };
            cookie?: never;
        };
        /** @description Forwarded as it is. */
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description What the sandbox answered. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The port needs a proof that is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing answers on the port, or it broke off. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port was silent for too long. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description What the sandbox answered. */
            default: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    renew_sandbox_expiration: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "expiresAt": "2099-12-31T23:59:59Z"
                 *     }
                 */
                "application/json": components["schemas"]["RenewSandboxExpirationRequest"];
            };
        };
        responses: {
            /** @description The new expiry. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RenewSandboxExpirationResponse"];
                };
            };
            /** @description The moment is malformed or not in the future. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox never expires. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    resume_sandbox: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sandbox runs again. */
            202: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description This kind of sandbox cannot be resumed; no sandbox here is of that kind. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox is not paused. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    create_snapshot: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "name": "after-set-up"
                 *     }
                 */
                "application/json": components["schemas"]["CreateSnapshotRequest"] | null;
            };
        };
        responses: {
            /** @description The snapshot will be made. */
            202: {
                headers: {
                    /** @description Path of the snapshot. */
                    Location?: string;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Snapshot"];
                };
            };
            /** @description A member is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox has no files now, or too many snapshots are being made. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This server's runtime cannot make snapshots. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    start_sandbox: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        /** @description Nothing means from its memory if it was kept. */
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "memory": true
                 *     }
                 */
                "application/json": components["schemas"]["StartSandboxRequest"] | null;
            };
        };
        responses: {
            /** @description The sandbox runs. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartSandboxResponse"];
                };
            };
            /** @description The sandbox does not start; it stays stopped, with what was kept. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox is not stopped. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This host has no room for it now; it stays stopped. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    stop_sandbox: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
            };
            cookie?: never;
        };
        /** @description Nothing means that memory is not kept. */
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "memory": false
                 *     }
                 */
                "application/json": components["schemas"]["StopSandboxRequest"] | null;
            };
        };
        responses: {
            /** @description The sandbox is stopped. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StopSandboxResponse"];
                };
            };
            /** @description The body is wrong; the message says where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The sandbox neither runs nor is paused, or its memory cannot be kept; the message says why, and it goes on. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is too large. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    open_tunnel: {
        parameters: {
            query?: never;
            header?: {
                /** @description Token from the sandbox's endpoint; stands in for the API key. */
                "OpenSandbox-Secure-Access"?: string | null;
            };
            path: {
                /** @description Identifier of the sandbox. */
                sandboxId: string;
                /** @description Port inside the sandbox. */
                port: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Connected; messages follow. */
            101: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description This is no WebSocket handshake. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The proof is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such sandbox, or it does not run. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Nothing accepts connections on the port. */
            502: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server carries as many connections as it may. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The port did not accept in time. */
            504: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    list_snapshots: {
        parameters: {
            query?: {
                /** @description Snapshots of this sandbox only. */
                sandboxId?: string;
                /** @description Snapshots of exactly this name only. */
                name?: string;
                /**
                 * @description Any of these states; may repeat.
                 * @example [
                 *       "Ready"
                 *     ]
                 */
                state?: string[];
                /** @description Number of the page. */
                page?: number;
                /** @description Snapshots on a page. */
                pageSize?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of snapshots; a page past the end is empty. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListSnapshotsResponse"];
                };
            };
            /** @description A parameter is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This server's runtime cannot make snapshots. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_snapshot: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the snapshot. */
                snapshotId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The snapshot as it is now. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Snapshot"];
                };
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such snapshot. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The snapshot cannot be told of now. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This server's runtime cannot make snapshots. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    delete_snapshot: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the snapshot. */
                snapshotId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The snapshot is gone. */
            204: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such snapshot. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It is being made, or a sandbox uses it. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This server's runtime cannot make snapshots. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    list_templates: {
        parameters: {
            query?: {
                /** @description Pairs that must all match, themselves written as a query: `project=demo&stage=test`, percent-encoded once more. */
                metadata?: string;
                /** @description Number of the page. */
                page?: number;
                /** @description Templates on a page. */
                pageSize?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of templates; a page past the end is empty. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListFsbTemplatesResponse"];
                };
            };
            /** @description A parameter is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no templates; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    create_template: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "image": "sandkeep/base:latest",
                 *       "publish": "team/python",
                 *       "readiness": {
                 *         "probe": "cmd://python3 -c 1"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["CreateFsbTemplateRequest"];
            };
        };
        responses: {
            /** @description The template; it is being built. */
            201: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FsbTemplate"];
                };
            };
            /** @description A member is wrong; the message names it. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body did not arrive in time. */
            408: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers keep names unique; this one never answers so. */
            409: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body is larger than 1 MiB. */
            413: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no templates; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server is stopping. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    get_template: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the template. */
                templateId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The template as it is now. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FsbTemplate"];
                };
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such template. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no templates; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    delete_template: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Identifier of the template. */
                templateId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The template is gone. */
            204: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request cannot be read; the message says what is wrong and where. */
            400: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The API key is missing or wrong. */
            401: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The caller may not do this. */
            403: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such template. */
            404: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The host has no room for it. */
            429: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Some servers have no templates; this one never answers so. */
            501: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    version: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The server's version. */
            200: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Version"];
                };
            };
            /** @description The server failed; its log says why. */
            500: {
                headers: {
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The server, or what it needs for this, cannot do it now. */
            503: {
                headers: {
                    "Retry-After"?: number;
                    "X-Request-ID"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
}

/** Method and path of every operation. */
export const routes = {
  health: ["GET", "/health"],
  prometheus_metrics: ["GET", "/metrics"],
  capabilities: ["GET", "/v1/capabilities"],
  follow_events: ["GET", "/v1/events"],
  list_images: ["GET", "/v1/images"],
  export_image: ["GET", "/v1/images/export"],
  import_images: ["POST", "/v1/images/import"],
  pull_image: ["POST", "/v1/images/pull"],
  push_image: ["POST", "/v1/images/push"],
  delete_image: ["DELETE", "/v1/images/{reference}"],
  report_metrics_event: ["POST", "/v1/metrics/events"],
  list_pools: ["GET", "/v1/pools"],
  create_pool: ["POST", "/v1/pools"],
  get_pool: ["GET", "/v1/pools/{poolName}"],
  update_pool: ["PUT", "/v1/pools/{poolName}"],
  delete_pool: ["DELETE", "/v1/pools/{poolName}"],
  list_sandboxes: ["GET", "/v1/sandboxes"],
  create_sandbox: ["POST", "/v1/sandboxes"],
  get_sandbox: ["GET", "/v1/sandboxes/{sandboxId}"],
  delete_sandbox: ["DELETE", "/v1/sandboxes/{sandboxId}"],
  get_diagnostics_events: ["GET", "/v1/sandboxes/{sandboxId}/diagnostics/events"],
  get_diagnostics_inspect: ["GET", "/v1/sandboxes/{sandboxId}/diagnostics/inspect"],
  get_diagnostics_logs: ["GET", "/v1/sandboxes/{sandboxId}/diagnostics/logs"],
  get_diagnostics_summary: ["GET", "/v1/sandboxes/{sandboxId}/diagnostics/summary"],
  get_sandbox_endpoint: ["GET", "/v1/sandboxes/{sandboxId}/endpoints/{port}"],
  patch_sandbox_metadata: ["PATCH", "/v1/sandboxes/{sandboxId}/metadata"],
  get_sandbox_metrics: ["GET", "/v1/sandboxes/{sandboxId}/metrics"],
  getSandboxNetworkPolicy: ["GET", "/v1/sandboxes/{sandboxId}/networkpolicy"],
  replaceSandboxNetworkPolicy: ["PUT", "/v1/sandboxes/{sandboxId}/networkpolicy"],
  deleteSandboxNetworkPolicyRules: ["DELETE", "/v1/sandboxes/{sandboxId}/networkpolicy"],
  patchSandboxNetworkPolicy: ["PATCH", "/v1/sandboxes/{sandboxId}/networkpolicy"],
  pause_sandbox: ["POST", "/v1/sandboxes/{sandboxId}/pause"],
  proxy_get: ["GET", "/v1/sandboxes/{sandboxId}/proxy/{port}"],
  proxy_put: ["PUT", "/v1/sandboxes/{sandboxId}/proxy/{port}"],
  proxy_post: ["POST", "/v1/sandboxes/{sandboxId}/proxy/{port}"],
  proxy_delete: ["DELETE", "/v1/sandboxes/{sandboxId}/proxy/{port}"],
  proxy_patch: ["PATCH", "/v1/sandboxes/{sandboxId}/proxy/{port}"],
  proxy_get_path: ["GET", "/v1/sandboxes/{sandboxId}/proxy/{port}/{path}"],
  proxy_put_path: ["PUT", "/v1/sandboxes/{sandboxId}/proxy/{port}/{path}"],
  proxy_post_path: ["POST", "/v1/sandboxes/{sandboxId}/proxy/{port}/{path}"],
  proxy_delete_path: ["DELETE", "/v1/sandboxes/{sandboxId}/proxy/{port}/{path}"],
  proxy_patch_path: ["PATCH", "/v1/sandboxes/{sandboxId}/proxy/{port}/{path}"],
  renew_sandbox_expiration: ["POST", "/v1/sandboxes/{sandboxId}/renew-expiration"],
  resume_sandbox: ["POST", "/v1/sandboxes/{sandboxId}/resume"],
  create_snapshot: ["POST", "/v1/sandboxes/{sandboxId}/snapshots"],
  start_sandbox: ["POST", "/v1/sandboxes/{sandboxId}/start"],
  stop_sandbox: ["POST", "/v1/sandboxes/{sandboxId}/stop"],
  open_tunnel: ["GET", "/v1/sandboxes/{sandboxId}/tunnel/{port}"],
  list_snapshots: ["GET", "/v1/snapshots"],
  get_snapshot: ["GET", "/v1/snapshots/{snapshotId}"],
  delete_snapshot: ["DELETE", "/v1/snapshots/{snapshotId}"],
  list_templates: ["GET", "/v1/templates"],
  create_template: ["POST", "/v1/templates"],
  get_template: ["GET", "/v1/templates/{templateId}"],
  delete_template: ["DELETE", "/v1/templates/{templateId}"],
  version: ["GET", "/version"],
} as const;
