// Generated from specs/openapi/execd.yaml by `cargo xtask sdk`. Do not edit.
export interface paths {
    "/code": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Runs code and streams what comes of it.
         * @description The stream is `init` (its text is the context's id), `ping` at once and every three seconds, `execution_count`,
         *     output and `result` events as they are produced, `status` and `error` if the code failed, and `execution_complete`.
         *     Runs in one context take turns. The code goes on when the client leaves.
         */
        post: operations["runCode"];
        /** Interrupts what runs in a context, which lives on, or ends a command. */
        delete: operations["interruptCode"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/code/context": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a context and starts its interpreter. */
        post: operations["createCodeContext"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/code/contexts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists contexts, oldest first. */
        get: operations["listContexts"];
        put?: never;
        post?: never;
        /** Deletes all contexts of a language and ends their interpreters. */
        delete: operations["deleteContextsByLanguage"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/code/contexts/{context_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Describes one context. */
        get: operations["getContext"];
        put?: never;
        post?: never;
        /** Deletes a context and ends its interpreter. */
        delete: operations["deleteContext"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/command": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists commands, the last one started first (an extension). */
        get: operations["listCommands"];
        put?: never;
        /**
         * Runs a command and streams its output.
         * @description The stream is `init` (its text is the command's id), `ping` at once and every three seconds, output events whose
         *     texts keep their line ends, and exactly one of `execution_complete` (exit status 0) and `error`. A background
         *     command's stream is complete at once. The command goes on when the client leaves.
         */
        post: operations["runCommand"];
        /**
         * Ends a running command: SIGTERM to its process group, SIGKILL three seconds later to what is left of it. The id of
         *     a bash session deletes that session.
         */
        delete: operations["interruptCommand"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/command/status/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Says whether a command is running and how it ended. Known for at least 24 hours after its end. */
        get: operations["getCommandStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/command/{id}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Reads the output of a background command, standard output and standard error in the order they were written. */
        get: operations["getBackgroundCommandLogs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/command/{id}/stdin": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Writes the request's body to the standard input of a command started with `stdin`, and closes it when asked to
         *     (an extension).
         * @description The body is written as it arrives; a command that does not read makes the client wait, and the request fails when
         *     nothing was read for a minute. Requests for one command take turns.
         */
        post: operations["writeCommandStdin"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/command/{id}/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Comes back to the stream of a command, running or ended, in the foreground or not (an extension).
         * @description The stream is that of `POST /command`, without the first `offset` bytes of output; of a background command both
         *     outputs come as `stdout`. Each output event says at which `offset` it ends. The last 16 MiB of a foreground
         *     command's output are kept, and the last 256 MiB of a background command's. Several clients may be attached: the
         *     fastest sets the pace, and the stream of one that falls further behind than what is kept ends without the command's
         *     end.
         */
        get: operations["attachCommand"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/directories": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes directories and those above them. Owner, group and mode are for directories that did not exist. */
        post: operations["makeDirs"];
        /** Deletes directories with all that is in them; missing ones are passed over. */
        delete: operations["removeDirs"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/directories/archive": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A directory with all that is in it as a tar stream (an extension): owners, modes, times, symbolic and hard links
         *     are kept; sockets and extended attributes are not. A failure on the way breaks the connection.
         */
        get: operations["getDirectoryArchive"];
        /**
         * Unpacks a tar stream into a directory, which is made if it is missing (an extension). Existing files are replaced
         *     one by one, others stay. Owners are kept when execd is root. Names that are absolute or lead out of the directory,
         *     by `..` or through a link, are refused; what was unpacked before a failure stays.
         */
        put: operations["putDirectoryArchive"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/directories/list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Entries of a directory, down to a depth; symbolic links are listed, not followed. */
        get: operations["listDirectory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/directories/watch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Changes in a directory as they happen, one `data:` event each (an extension). All that changes after the answer's
         *     head has come is told; the stream ends when the directory itself is deleted or moved.
         */
        get: operations["watchDirectory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Deletes files; missing ones are passed over. */
        delete: operations["removeFiles"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A file's content: all of it, a range of bytes, or a range of lines. */
        get: operations["downloadFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files/info": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What is known of files, by the path as it was asked for. */
        get: operations["getFilesInfo"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files/mv": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Moves files and directories, one after the other. */
        post: operations["renameFiles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files/permissions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sets owner, group and mode. */
        post: operations["chmodFiles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files/replace": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Replaces text in files, each one all at once. */
        post: operations["replaceContent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Files at any depth below a directory whose base name matches a glob. */
        get: operations["searchFiles"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/files/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Writes files: `metadata` and `file` parts in turn. All are put in place at the end, or none. */
        post: operations["uploadFile"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/handover": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Hands a sandbox that stands by over to its owner (an extension).
         * @description Works once, and only where execd was started with `--standby`. The access token of this request is the last to open
         *     anything: afterwards the one in the body does. Answers when the program runs.
         */
        post: operations["handOver"];
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
        /** Measures the use of resources now. CPU use is that since the previous measurement. */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics/prometheus": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same figures and counts of commands as Prometheus text (an extension). */
        get: operations["getPrometheusMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics/watch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Measures every second until the client leaves; each measurement is one `data:` event. */
        get: operations["watchMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document, as JSON. */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ping": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Says that the daemon answers. */
        get: operations["ping"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/proxy/{port}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        get: operations["localProxyGet"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        put: operations["localProxyPut"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        post: operations["localProxyPost"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        delete: operations["localProxyDelete"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        options: operations["localProxyOptions"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        head: operations["localProxyHead"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        patch: operations["localProxyPatch"];
        trace?: never;
    };
    "/proxy/{port}/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        get: operations["localProxyGetPath"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        put: operations["localProxyPutPath"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        post: operations["localProxyPostPath"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        delete: operations["localProxyDeletePath"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        options: operations["localProxyOptionsPath"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        head: operations["localProxyHeadPath"];
        /**
         * Forwards a request to a port of the sandbox
         * @description Forwards the request to 127.0.0.1 at this port of the sandbox, and the answer as it comes. `X-Forwarded-For` and `X-Forwarded-Proto` are set anew; a WebSocket handshake (GET) is passed on and so is everything after it.
         */
        patch: operations["localProxyPatchPath"];
        trace?: never;
    };
    "/pty": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a terminal for an interactive shell or a command. The program starts when a client attaches. */
        post: operations["createPtySession"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/pty/{sessionId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Says whether a terminal's program runs and how much it has written. */
        get: operations["getPtySession"];
        put?: never;
        post?: never;
        /** Deletes a terminal and kills everything on it. An attached client sees an exit with code -1. */
        delete: operations["deletePtySession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/pty/{sessionId}/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Attaches to a terminal over WebSocket.
         * @description The server sends, in this order: if there is kept output a binary frame of byte 3, the offset of its first byte
         *     (8 bytes, big-endian) and the output; the text frame `connected`; live output as binary frames of byte 1 (the
         *     terminal, or standard output in pipe mode) or byte 2 (standard error in pipe mode) and the output; at the
         *     program's end the text frame `exit`, and then it closes with code 1000. The client sends input as binary frames
         *     of byte 0 and the input, and text frames. One client is attached at a time; with `takeover=1` a new one replaces
         *     it, which is then closed with code 4001. A client that leaves does not end the program.
         */
        get: operations["ptyWebSocket"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a session: one live shell whose directory, variables, functions and options last from run to run. */
        post: operations["createSession"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/session/{sessionId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Deletes a session and kills everything it started. */
        delete: operations["deleteSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/session/{sessionId}/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Runs text in a session and streams its output.
         * @description The stream is as for commands, except that the text of `init` is the session's id. Runs of one session wait for
         *     each other. When the client leaves, or the time limit is reached, all that the run started is killed; the shell
         *     keeps its state as it is then. An event of type `status` says so if a shell's state was lost.
         */
        post: operations["runInSession"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/directories": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes directories and those above them; they belong to the identity unless another owner is given and allowed. */
        post: operations["identityMakeDirs"];
        /** Deletes directories with all that is in them; missing ones are passed over. */
        delete: operations["identityRemoveDirs"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/directories/list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Entries of a directory, down to a depth. */
        get: operations["identityListDirectory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Deletes files; missing ones are passed over. */
        delete: operations["identityRemoveFiles"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/files/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The content of a file that the identity may read: all of it, a range of bytes, or a range of lines. */
        get: operations["identityDownloadFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/files/info": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What is known of files, as far as the identity may look. */
        get: operations["identityGetFilesInfo"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/files/mv": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Moves files and directories, one after the other. */
        post: operations["identityRenameFiles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/files/permissions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sets owner, group and mode where the identity may. */
        post: operations["identityChmodFiles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/files/replace": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Replaces text in files that the identity may write, each one all at once. */
        post: operations["identityReplaceContent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/files/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Files below a directory whose base name matches a glob; directories closed to the identity are passed over. */
        get: operations["identitySearchFiles"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/filesystem/{uid}/{gid}/files/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Writes files as the identity: `metadata` and `file` parts in turn. All are put in place at the end, or none. */
        post: operations["identityUploadFile"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/capabilities": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What isolation this machine can give, and the state of each wall. Found out once, by putting up a session. */
        get: operations["isolatedCapabilities"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes a session: a shell in namespaces of its own.
         * @description It sees the sandbox's files read-only, with its mounts on top, a `/dev`, `/proc` and `/run` of its own, and under
         *     strict a `/tmp` of its own. Of the variables, `PATH` and `HOME` always pass, execd's token only when it is named
         *     in an `allow` list.
         */
        post: operations["createIsolatedSession"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A session and its parameters. */
        get: operations["getIsolatedSession"];
        put?: never;
        post?: never;
        /** Deletes a session: its processes are killed and changes that were not committed are dropped. */
        delete: operations["deleteIsolatedSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/commit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Writes the session's changes to the sandbox's directories. The session keeps them too. */
        post: operations["isolatedSessionCommit"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/diff": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The session's changes as a gzip-compressed tar archive.
         * @description Only overlays that are kept have any. Removed entries are named `.wh.NAME`, and a directory that replaces the one
         *     below holds `.wh..wh..opq`, as in image layers. Paths are relative to the overlay, or to `/` if there are several.
         */
        get: operations["isolatedSessionDiff"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/directories": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes directories of a session and those above them. */
        post: operations["isolatedMakeDirs"];
        /** Deletes directories of a session with all that is in them; missing ones are passed over. */
        delete: operations["isolatedRemoveDirs"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/directories/list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Entries of a session's directory, down to a depth. */
        get: operations["isolatedListDirectory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Deletes files of a session; missing ones are passed over. */
        delete: operations["isolatedRemoveFiles"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/files/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A file's content in a session: all of it, a range of bytes, or a range of lines. */
        get: operations["isolatedDownloadFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/files/info": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What is known of files of a session, by the path as it was asked for. */
        get: operations["isolatedGetFilesInfo"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/files/mv": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Moves files and directories of a session. */
        post: operations["isolatedRenameFiles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/files/permissions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sets owner, group and mode of files of a session. */
        post: operations["isolatedChmodFiles"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/files/replace": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Replaces text in files of a session. */
        post: operations["isolatedReplaceContent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/files/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Files of a session at any depth below a directory whose base name matches a glob. */
        get: operations["isolatedSearchFiles"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/files/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Writes files of a session; each appears whole or not at all. */
        post: operations["isolatedUploadFile"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Runs text in a session's shell.
         * @description In the foreground the answer is a stream of events as for bash sessions; when the client leaves or the time limit
         *     is reached, all that the run started is killed. In the background the answer is the run's id; such a run is a job
         *     of the shell, begins when the runs before it are done, and has no time limit.
         */
        post: operations["runInIsolatedSession"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/runs/{runId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What is known of a background run. */
        get: operations["getIsolatedRunStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/session/{sessionId}/runs/{runId}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Reads the output of a background run, at most 16 MiB at once. Of a run that has ended the first 16 MiB are kept. */
        get: operations["getIsolatedRunLogs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/isolated/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** All sessions, oldest first. */
        get: operations["listIsolatedSessions"];
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
         * Format: binary
         * @description The bytes of a tar archive.
         */
        ArchiveContent: string;
        /** @description What was unpacked. */
        ArchiveSummary: {
            /**
             * Format: int64
             * @description Bytes of the files' content.
             */
            bytes: number;
            /**
             * Format: int64
             * @description Entries of the archive, directories and links included.
             */
            entries: number;
        };
        /**
         * @description A switch in a query.
         * @enum {string}
         */
        BinaryFlag: "0" | "1";
        /** @description A path of the sandbox shown at a path of the session. */
        BindMount: {
            /** @description Absolute path in the session; default: the same. */
            dest?: string;
            /**
             * @description Whether it cannot be written to.
             * @default false
             */
            readonly?: boolean;
            /** @description Absolute path in the sandbox. */
            source: string;
        };
        /** @description What isolation this machine can give. */
        CapabilitiesResponse: {
            /** @description Whether sessions can be made. */
            available: boolean;
            /** @description Whether changes can be written to the sandbox. */
            commit_supported: boolean;
            /** @description Whether changes can be fetched. */
            diff_supported: boolean;
            /** @description The walls around a session. */
            hardening?: components["schemas"]["CapabilitiesResponseHardening"];
            /** @description What makes them. */
            isolator: string;
            /** @description Why sessions cannot be made. */
            message?: string;
            /** @description Whether sessions can have the sandbox's own ids. */
            setpriv_available: boolean;
            /** @description Whether sessions can have made-up ids. */
            userns_available: boolean;
            /** @description Its version. */
            version: string;
        };
        /** @description The walls around a session. */
        CapabilitiesResponseHardening: {
            /** @description Capabilities given up. */
            cap_drop: components["schemas"]["HardeningLayerState"];
            /** @description Observation by eBPF. */
            ebpf: components["schemas"]["HardeningLayerState"];
            /** @description What a session's first process is. */
            init_mode: components["schemas"]["InitMode"];
            /** @description Writes confined to what is mounted for writing. */
            landlock: components["schemas"]["HardeningLayerState"];
            /** @description System calls refused. */
            seccomp: components["schemas"]["HardeningLayerState"];
            /** @description Whether the session's code cannot signal that process. */
            signal_shield: boolean;
        };
        /**
         * @description Kinds of [`ClientFrame`].
         * @enum {string}
         */
        ClientFrameKind: "stdin" | "signal" | "resize" | "ping";
        /**
         * @description Signals a client may send.
         * @enum {string}
         */
        ClientSignal: "SIGINT" | "SIGTERM" | "SIGKILL" | "SIGQUIT" | "SIGHUP";
        /** @description A context: one interpreter with the variables, functions and imports of everything run in it. */
        CodeContext: {
            /** @description Directory the interpreter was started in, when one was asked for. */
            cwd?: string;
            /** @description Identifies the context; absent in a request for the language's default context. */
            id?: string;
            /** @description The language, such as `python`. */
            language: string;
        };
        /** @description A context to make. */
        CodeContextRequest: {
            /** @description Directory to start the interpreter in, made when missing; `~` and `$NAME` are expanded. */
            cwd?: string | null;
            /** @description The language, such as `python`. */
            language?: string | null;
        };
        /** @description Where code is to run: a context by its id, or a language's default context. */
        CodeTarget: {
            /** @description Not read when running code: a context keeps the directory it was made with. */
            cwd?: string | null;
            /** @description An existing context, whose language then counts. */
            id?: string | null;
            /** @description Language of the default context to use, made at its first use. */
            language?: string | null;
        };
        /** @description What is known of a command. Kept for at least 24 hours after its end. */
        CommandStatusResponse: {
            /** @description Its text, or its arguments joined by spaces. */
            content: string;
            /** @description Why it failed; absent when it did not. */
            error?: string;
            /**
             * Format: int32
             * @description Exit status, 128 + N after signal N, 255 when it could not start; null while it runs.
             */
            exit_code?: number | null;
            /**
             * Format: date-time
             * @description When it ended; null while it runs.
             */
            finished_at?: string | null;
            /** @description The command's id: 32 hexadecimal digits. */
            id: string;
            /** @description Whether it is still running. */
            running: boolean;
            /**
             * Format: date-time
             * @description When it was started.
             */
            started_at: string;
            /** @description Present and true when the time limit ended it (an extension). */
            timed_out?: boolean;
        };
        /** @description What a list says about a command (an extension). */
        CommandSummary: {
            /** @description Whether it was started in the background. */
            background: boolean;
            /** @description The first thousand characters of its text, or of its arguments joined by spaces. */
            content: string;
            /** @description Why it failed; absent when it did not. */
            error?: string;
            /**
             * Format: int32
             * @description Exit status, 128 + N after signal N, 255 when it could not start; null while it runs.
             */
            exit_code?: number | null;
            /**
             * Format: date-time
             * @description When it ended; null while it runs.
             */
            finished_at?: string | null;
            /** @description The command's id: 32 hexadecimal digits. */
            id: string;
            /** @description Whether it is still running. */
            running: boolean;
            /**
             * Format: date-time
             * @description When it was started.
             */
            started_at: string;
            /** @description Whether its standard input can be written. */
            stdin_open: boolean;
            /** @description Present and true when the time limit ended it. */
            timed_out?: boolean;
        };
        /** @description A session to make. At least one of `workspace` and `overlays` is needed. */
        CreateIsolatedSessionRequest: {
            /** @description Paths of the sandbox shown elsewhere. */
            binds?: components["schemas"]["BindMount"][];
            /** @description Default: what the profile says. */
            env_passthrough?: components["schemas"]["EnvPassthroughSpec"];
            /** @description Paths of the sandbox that can be written to under the same path. */
            extra_writable?: string[];
            /**
             * Format: int64
             * @description Group id to run as. Default: the user's own group.
             */
            gid?: number;
            /**
             * Format: int64
             * @description Seconds without a run after which the session is deleted; 0 is never. Default: 1800.
             */
            idle_timeout_seconds?: number;
            /** @description More directories; with the workspace there may be 16. One below another hides what that one has there. */
            overlays?: components["schemas"]["IsolatedOverlaySpec"][];
            /** @description Default: strict. */
            profile?: components["schemas"]["IsolationProfile"];
            /**
             * @description False leaves the session a loopback device and no other network; where network namespaces cannot be made, as
             *     in most sandboxes, no sockets but local ones. Default: true.
             */
            share_net?: boolean;
            /**
             * Format: int64
             * @description User id to run as. Default: the sandbox's user.
             */
            uid?: number;
            /**
             * @description How that identity comes about. Default: setpriv.
             * @default setpriv
             */
            uid_mode?: components["schemas"]["UidMode"];
            /** @description Where the session's shell begins. */
            workspace?: components["schemas"]["IsolatedWorkspaceSpec"];
        };
        /** @description A terminal to make. The whole body may be absent. */
        CreatePTYSessionRequest: {
            /** @description Shell text to run instead of an interactive shell. */
            command?: string | null;
            /** @description Directory the program starts in, made when missing; `~` and `$NAME` are expanded. Default: the sandbox's. */
            cwd?: string | null;
        };
        /** @description A terminal that was made. */
        CreatePTYSessionResponse: {
            /** @description Identifies the terminal. */
            session_id: string;
        };
        /** @description A session to make. The whole body may be absent. */
        CreateSessionRequest: {
            /** @description Directory the shell starts in, made when missing; `~` and `$NAME` are expanded. Default: the sandbox's. */
            cwd?: string | null;
        };
        /** @description A session that was made. */
        CreateSessionResponse: {
            /** @description Identifies the session. */
            session_id: string;
        };
        /** @description Which of the sandbox's variables a session sees. */
        EnvPassthroughSpec: {
            /** @description Names, with `*` and `?`, in either case. */
            keys?: string[];
            /** @description Default: `deny`. */
            mode?: components["schemas"]["PassthroughMode"];
        };
        /** @description Body of every error except a refused token. */
        ErrorResponse: {
            /**
             * @description Stable identifier of the kind of error, such as `INVALID_REQUEST_BODY`.
             * @example INVALID_REQUEST_BODY
             */
            code: string;
            /** @description What is wrong and where, for a person. */
            message: string;
        };
        /**
         * @description Kind of a [`ServerStreamEvent`].
         * @enum {string}
         */
        EventKind: "init" | "status" | "error" | "stdout" | "stderr" | "result" | "execution_complete" | "execution_count" | "ping";
        /** @description Failure of a command or of code. */
        ExecutionError: {
            /** @description Name of the error: `CommandExecError` for commands, the exception's class for code. */
            ename?: string;
            /** @description The exit code of a command (`-1` when its time limit ended it), or the exception's message. */
            evalue?: string;
            /** @description Where it happened, one entry a line. */
            traceback?: string[];
        };
        /**
         * Format: binary
         * @description The bytes of a file.
         */
        FileContent: string;
        /** @description What is known of one file, directory or other entry. */
        FileInfo: {
            /**
             * Format: date-time
             * @description When its inode last changed: the nearest thing every file system keeps to a creation time.
             */
            created_at: string;
            /** @description Name of the group, or the number of one without a name. */
            group: string;
            /**
             * Format: int64
             * @description Permissions, octal digits read as a decimal number: 644 is `rw-r--r--`.
             * @example 644
             */
            mode: number;
            /**
             * Format: date-time
             * @description When its content last changed.
             */
            modified_at: string;
            /** @description Name of the owner, or the number of one without a name. */
            owner: string;
            /** @description Where it is. */
            path: string;
            /**
             * Format: int64
             * @description Size in bytes.
             */
            size: number;
            /** @description What it is; a symbolic link is not followed. */
            type?: components["schemas"]["FileKind"];
        };
        /**
         * @description Kind of a directory entry.
         * @enum {string}
         */
        FileKind: "file" | "directory" | "symlink" | "other";
        /**
         * @description What an error frame reports.
         * @enum {string}
         */
        FrameError: "SESSION_GONE" | "START_FAILED" | "STDIN_WRITE_FAILED" | "INVALID_FRAME" | "ALREADY_CONNECTED" | "TAKEN_OVER" | "RUNTIME_ERROR";
        /** @description What the owner of a sandbox that stands by brings. */
        HandOverRequest: {
            /** @description Token that opens this daemon from now on. */
            access_token: string;
            /** @description The program the sandbox ends with from now on, and its arguments. Empty leaves that to the one it runs already. */
            entrypoint?: string[];
            /** @description Variables on top of the ones there are, for everything that starts from now on. */
            env?: {
                [key: string]: string;
            };
        };
        /** @description One wall around a session. */
        HardeningLayerState: {
            /** @description Why not. */
            message?: string;
            /** @description Whether it stands. */
            state: components["schemas"]["LayerState"];
        };
        /**
         * @description What a session's first process is.
         * @enum {string}
         */
        InitMode: "none" | "pid1" | "subreaper";
        /** @description A background run that was accepted. */
        IsolatedBackgroundRunResponse: {
            /**
             * Format: uuid
             * @description Identifies the run.
             */
            run_id: string;
            /**
             * Format: uuid
             * @description The session it runs in.
             */
            session_id: string;
            /**
             * Format: date-time
             * @description When it was accepted.
             */
            started_at: string;
        };
        /** @description What a commit did. */
        IsolatedCommitResponse: {
            /**
             * Format: int64
             * @description Entries removed.
             */
            removed: number;
            /**
             * Format: int64
             * @description Files, directories and links written.
             */
            written: number;
        };
        /** @description A session that was made. */
        IsolatedCreateSessionResponse: {
            /**
             * Format: date-time
             * @description When it was made.
             */
            created_at: string;
            /**
             * Format: uuid
             * @description Identifies the session.
             */
            session_id: string;
        };
        /** @description A further directory of a session. */
        IsolatedOverlaySpec: {
            /** @description How it appears. */
            mode?: components["schemas"]["MountMode"];
            /** @description Absolute path, the same inside and outside. */
            path: string;
            /**
             * @description Only for overlays: whether changes are kept on disk, where diff and commit find them, or in memory.
             *     Default: true.
             */
            persist?: boolean;
        };
        /** @description Shell text to run in a session. */
        IsolatedRunRequest: {
            /**
             * @description Answer at once and keep the output for the run's logs.
             * @default false
             */
            background?: boolean;
            /** @description The text. Directory, variables and functions last from run to run. */
            code: string;
            /** @description Environment of this run alone. */
            envs?: {
                [key: string]: string;
            };
            /**
             * Format: int64
             * @description Seconds after which everything this run started is killed; 0 or absent means after 24 hours. Not for
             *     background runs.
             */
            timeout_seconds?: number;
        };
        /** @description What is known of a background run. Kept as long as its session. */
        IsolatedRunStatus: {
            /** @description Why it failed; absent when it did not. */
            error?: string;
            /**
             * Format: int32
             * @description Exit status, 128 + N after signal N; null while it runs.
             */
            exit_code?: number | null;
            /**
             * Format: date-time
             * @description When it ended; null while it runs.
             */
            finished_at?: string | null;
            /**
             * Format: uuid
             * @description Identifies the run.
             */
            run_id: string;
            /** @description Whether it is still running. */
            running: boolean;
            /**
             * Format: uuid
             * @description The session it runs in.
             */
            session_id: string;
            /**
             * Format: date-time
             * @description When it was accepted.
             */
            started_at: string;
        };
        /**
         * @description What a session is up to.
         * @enum {string}
         */
        IsolatedSessionStatus: "active" | "dead" | "destroyed";
        /** @description A session in short. */
        IsolatedSessionSummary: {
            /**
             * Format: date-time
             * @description When it was made.
             */
            created_at: string;
            /**
             * Format: int64
             * @description Seconds until it is deleted if nothing runs; null when it has no time limit.
             */
            idle_remaining_seconds?: number | null;
            /**
             * Format: date-time
             * @description When its last run began or ended; when it was made if it had none.
             */
            last_run_at: string;
            /**
             * Format: uuid
             * @description Identifies the session.
             */
            session_id: string;
            /** @description Whether it takes runs. */
            status: components["schemas"]["IsolatedSessionStatus"];
        };
        /** @description The directory a session works in. */
        IsolatedWorkspaceSpec: {
            /** @description Default: `overlay` under strict, `rw` under balanced. */
            mode?: components["schemas"]["MountMode"];
            /** @description Absolute path, the same inside and outside. */
            path: string;
        };
        /**
         * @description What a session that says nothing else begins with.
         * @enum {string}
         */
        IsolationProfile: "strict" | "balanced";
        /**
         * @description Whether a wall stands.
         * @enum {string}
         */
        LayerState: "active" | "degraded" | "disabled" | "unsupported";
        /** @description All sessions, oldest first. */
        ListIsolatedSessionsResponse: {
            /** @description The sessions. */
            sessions: components["schemas"]["IsolatedSessionSummary"][];
        };
        /** @description Resources as seen from inside the sandbox: of its control group where that is visible, else of the machine. */
        Metrics: {
            /**
             * Format: float
             * @description CPUs that may be used.
             */
            cpu_count: number;
            /**
             * Format: float
             * @description Share of those CPUs in use since the previous sample, 0 to 100.
             */
            cpu_used_pct: number;
            /**
             * Format: float
             * @description Memory that may be used, in MiB.
             */
            mem_total_mib: number;
            /**
             * Format: float
             * @description Memory in use, in MiB, caches that can be dropped not counted.
             */
            mem_used_mib: number;
            /**
             * Format: int64
             * @description When this was measured, in Unix milliseconds.
             */
            timestamp: number;
        };
        /**
         * @description How a program's input and output are connected.
         * @enum {string}
         */
        Mode: "pty" | "pipe";
        /**
         * @description How a directory appears in a session.
         * @enum {string}
         */
        MountMode: "overlay" | "ro" | "rw";
        /** @description A text frame from the client. */
        PTYClientFrame: {
            /**
             * Format: int32
             * @description Columns of the terminal.
             */
            cols?: number | null;
            /** @description Text for standard input. */
            data?: string | null;
            /**
             * Format: int32
             * @description Rows of the terminal.
             */
            rows?: number | null;
            signal?: components["schemas"]["ClientSignal"] | null;
            /** @description What it is: `stdin`, `signal`, `resize` or `ping`. */
            type: components["schemas"]["ClientFrameKind"];
        };
        /** @description A text frame to the client. Members that do not apply to a kind are absent. */
        PTYServerFrame: {
            /** @description What went wrong, for a program; with `error`. */
            code?: components["schemas"]["FrameError"];
            /** @description What went wrong, for a person; with `error`. */
            error?: string;
            /**
             * Format: int32
             * @description Exit status, 128 + N after signal N, -1 when the terminal was deleted; with `exit`.
             */
            exit_code?: number;
            /** @description How the program's input and output are connected, with `connected`. */
            mode?: components["schemas"]["Mode"];
            /** @description The terminal's id, with `connected`. */
            session_id?: string;
            /** @description What it is. */
            type: components["schemas"]["ServerFrameKind"];
        };
        /** @description What is known of a terminal. */
        PTYSessionStatusResponse: {
            /**
             * Format: int64
             * @description Bytes of output ever written: what to pass as `since` to see only what is new.
             */
            output_offset: number;
            /** @description Whether its program runs; it starts when a client first attaches. */
            running: boolean;
            /** @description Identifies the terminal. */
            session_id: string;
        };
        /**
         * @description What `keys` does.
         * @enum {string}
         */
        PassthroughMode: "allow" | "deny";
        /** @description Owner, group and mode to set. What is absent stays as it is. */
        Permission: {
            /** @description Group, by name or number. */
            group?: string | null;
            /**
             * Format: int64
             * @description Octal digits read as a decimal number, such as 755; 0 leaves the mode as it is.
             * @example 755
             */
            mode?: number | null;
            /** @description User, by name or number. */
            owner?: string | null;
        };
        /** @description One move. */
        RenameFileItem: {
            /** @description Its new path, which must not exist; missing directories are made. */
            dest: string;
            /** @description What to move. */
            src: string;
        };
        /** @description One text replacement in one file. */
        ReplaceFileContentItem: {
            /** @description Text to put in its place, at every occurrence. */
            new: string;
            /** @description Text to look for. */
            old: string;
        };
        /** @description Outcome of a replacement. */
        ReplaceFileContentResult: {
            /**
             * Format: int64
             * @description Occurrences replaced; 0 when the text was not found.
             */
            replacedCount: number;
        };
        /** @description Code to run. */
        RunCodeRequest: {
            /** @description The code. */
            code: string;
            context?: components["schemas"]["CodeTarget"] | null;
        };
        /** @description A command to run: exactly one of `command` and `argv`. */
        RunCommandRequest: {
            /**
             * @description Program and arguments, run without a shell. A bare name is looked up in the absolute entries of the command's
             *     `PATH`, any other relative path in `cwd`.
             */
            argv?: string[] | null;
            /**
             * @description End the stream at once and keep the output for `GET /command/{id}/logs`.
             * @default false
             */
            background?: boolean;
            /** @description Shell text, run by `bash -c`, or `sh -c` where there is no bash. */
            command?: string | null;
            /** @description Working directory; `~` and `$NAME` are expanded. Default: the sandbox's. */
            cwd?: string | null;
            /** @description Environment on top of the sandbox's. */
            envs?: {
                [key: string]: string;
            } | null;
            /**
             * Format: int32
             * @description Group id to run as; needs `uid`. Default: the user's own group.
             */
            gid?: number | null;
            /**
             * @description Give the command a standard input that `POST /command/{id}/stdin` writes and closes; otherwise it is empty
             *     (an extension).
             * @default false
             */
            stdin?: boolean;
            /**
             * Format: int64
             * @description Milliseconds after which the command's process group is killed; 0 or absent means never.
             */
            timeout?: number | null;
            /**
             * Format: int32
             * @description User id to run as. Default: the sandbox's user.
             */
            uid?: number | null;
        };
        /** @description Shell text to run in a session. */
        RunInSessionRequest: {
            /** @description The text. `exit N` in it ends this run, not the session. */
            command: string;
            /**
             * @description Directory to change to first; must exist. A relative one counts from where the shell is. The session stays
             *     where the run ends.
             */
            cwd?: string | null;
            /** @description Environment of this run alone (an extension). */
            envs?: {
                [key: string]: string;
            } | null;
            /**
             * Format: int64
             * @description Milliseconds after which everything this run started is killed; 0 or absent means after 24 hours.
             */
            timeout?: number | null;
        };
        /**
         * @description Kinds of [`ServerFrame`].
         * @enum {string}
         */
        ServerFrameKind: "connected" | "exit" | "error" | "pong";
        /**
         * @description One event of a stream: `data: {json}` followed by an empty line.
         *
         *     A command stream is `init`, `ping` (repeated every three seconds), output, then exactly one of
         *     `execution_complete` and `error`. Members that do not apply to a kind are absent.
         */
        ServerStreamEvent: {
            /** @description How the execution failed. */
            error?: components["schemas"]["ExecutionError"];
            /**
             * Format: int64
             * @description Number of this execution in its code context, from 1.
             */
            execution_count?: number;
            /**
             * Format: int64
             * @description Milliseconds the execution took.
             */
            execution_time?: number;
            /**
             * Format: int64
             * @description Where in the command's output, in bytes, this text ends; present on streams attached to later (an extension).
             */
            offset?: number;
            /** @description A value by MIME type; plain text is under `text`. */
            results?: Record<string, unknown>;
            /** @description Output text with its own line ends; the id of the command or context for `init`. */
            text?: string;
            /** @description Present and true when the time limit ended the command (an extension). */
            timed_out?: boolean;
            /**
             * Format: int64
             * @description When the event was made, in Unix milliseconds.
             */
            timestamp?: number;
            /** @description What happened. */
            type: components["schemas"]["EventKind"];
        };
        /** @description A session and the parameters it was made with. */
        SessionState: components["schemas"]["CreateIsolatedSessionRequest"] & {
            /**
             * Format: date-time
             * @description When it was made.
             */
            created_at: string;
            /**
             * Format: int64
             * @description Seconds until it is deleted if nothing runs; null when it has no time limit.
             */
            idle_remaining_seconds?: number | null;
            /**
             * Format: date-time
             * @description When its last run began or ended; when it was made if it had none.
             */
            last_run_at: string;
            /** @description Whether it takes runs. */
            status: components["schemas"]["IsolatedSessionStatus"];
        };
        /** @description What was written to a command's standard input (an extension). */
        StdinWritten: {
            /** @description Whether the standard input is closed now. */
            closed: boolean;
            /**
             * Format: int64
             * @description Bytes of this request that the command has, or will find in its pipe.
             */
            written: number;
        };
        /** @description Body of a 401: the access token is missing or wrong. */
        TokenRejected: {
            /** @description Why the request was refused. */
            error: string;
        };
        /**
         * @description How a session's identity comes about.
         * @enum {string}
         */
        UidMode: "setpriv" | "userns";
        /** @description Body of an upload: `metadata` and `file` parts in turn, as many pairs as there are files. */
        UploadForm: {
            /**
             * Format: binary
             * @description The file's content.
             */
            file?: string;
            /** @description A [`FileMetadata`] document as JSON. */
            metadata?: string;
        };
        /** @description One change in a watched directory, or what became of the watch. */
        WatchEvent: {
            /** @description Whether it is a directory. */
            directory?: boolean;
            /** @description Where it was before, for `moved`. */
            from?: string;
            /** @description Why the watch ended, for `error`. */
            message?: string;
            /** @description Where; empty for `ping`. */
            path?: string;
            /** @description What happened. */
            type: components["schemas"]["WatchEventKind"];
        };
        /**
         * @description Kind of a change.
         * @enum {string}
         */
        WatchEventKind: "created" | "modified" | "deleted" | "moved" | "overflow" | "ping" | "error";
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    runCode: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RunCodeRequest"];
            };
        };
        responses: {
            /** @description The code's events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ServerStreamEvent"];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description There is no such context */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many contexts, or too many runs waiting in this one */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    interruptCode: {
        parameters: {
            query: {
                /** @description Id of a context, or of a command. */
                id: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is told to stop */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description There is no such context or command */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The command had ended before */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    createCodeContext: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CodeContextRequest"];
            };
        };
        responses: {
            /** @description The new context */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CodeContext"];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Too many contexts, or too many runs waiting in this one */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    listContexts: {
        parameters: {
            query?: {
                /** @description Only contexts of this language. */
                language?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The contexts */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CodeContext"][];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    deleteContextsByLanguage: {
        parameters: {
            query: {
                /** @description The language whose contexts are deleted. */
                language: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getContext: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The context's id */
                context_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The context */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CodeContext"];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description There is no such context */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    deleteContext: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The context's id */
                context_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description There is no such context */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    listCommands: {
        parameters: {
            query?: {
                /** @description Only those that are running, or only those that have ended. Default: both. */
                running?: boolean;
                /** @description How many at most. Default: 100. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Running commands and remembered ones */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CommandSummary"][];
                };
            };
            /** @description A parameter is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
        };
    };
    runCommand: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RunCommandRequest"];
            };
        };
        responses: {
            /** @description The command's events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ServerStreamEvent"];
                };
            };
            /** @description The request is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Too many commands are running */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    interruptCommand: {
        parameters: {
            query: {
                /** @description The command's id. */
                id: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It has ended */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The id is missing */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such command */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It had ended before */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getCommandStatus: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The command's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The command's status */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CommandStatusResponse"];
                };
            };
            /** @description The id is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such command */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getBackgroundCommandLogs: {
        parameters: {
            query?: {
                /** @description Byte offset, as the previous answer's `EXECD-COMMANDS-TAIL-CURSOR` header gave it. Default: the beginning. */
                cursor?: number;
            };
            header?: never;
            path: {
                /** @description The command's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The output from the cursor on */
            200: {
                headers: {
                    /** @description Byte offset to ask for next */
                    "EXECD-COMMANDS-TAIL-CURSOR"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The cursor is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such background command */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The output cannot be read */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    writeCommandStdin: {
        parameters: {
            query?: {
                /** @description Close it, so that the command reads its end. Default: leave it open. */
                close?: boolean;
            };
            header?: never;
            path: {
                /** @description The command's id */
                id: string;
            };
            cookie?: never;
        };
        /** @description Bytes of any number */
        requestBody: {
            content: {
                "application/octet-stream": string;
            };
        };
        responses: {
            /** @description All bytes were written */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StdinWritten"];
                };
            };
            /** @description The request is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such command */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The body stopped coming */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description It has no standard input to write, it is closed, or the command has ended */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The command does not read */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    attachCommand: {
        parameters: {
            query?: {
                /** @description Bytes of output to leave out, because the client has them. Default: none. */
                offset?: number;
            };
            header?: never;
            path: {
                /** @description The command's id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The command's events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ServerStreamEvent"];
                };
            };
            /** @description The offset is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such command */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The output at this offset is not kept, or not there yet */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many clients are attached */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The output cannot be read */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    makeDirs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["Permission"];
                };
            };
        };
        responses: {
            /** @description They exist */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    removeDirs: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getDirectoryArchive: {
        parameters: {
            query: {
                /** @description Directory; `~` and `$NAME` are expanded. */
                path: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The archive; its names are relative to the directory */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-tar": components["schemas"]["ArchiveContent"];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    putDirectoryArchive: {
        parameters: {
            query: {
                /** @description Directory; `~` and `$NAME` are expanded. */
                path: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/x-tar": components["schemas"]["ArchiveContent"];
            };
        };
        responses: {
            /** @description All is unpacked */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ArchiveSummary"];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    listDirectory: {
        parameters: {
            query: {
                /** @description Directory; `~` and `$NAME` are expanded. */
                path: string;
                /** @description Levels to list: 1 is the directory's own entries, 0 nothing. */
                depth?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Parents before children, in order of their names */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileInfo"][];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    watchDirectory: {
        parameters: {
            query: {
                /** @description Directory; `~` and `$NAME` are expanded. */
                path: string;
                /** @description Whether directories in it are watched as well, those that come later included. */
                recursive?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Changes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["WatchEvent"];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description A limit on watches is reached; the message names it */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    removeFiles: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    downloadFile: {
        parameters: {
            query: {
                /** @description The file; `~` and `$NAME` are expanded. */
                path: string;
                /** @description First line to send, from 1. Not together with `Range`. */
                offset?: number;
                /** @description How many lines to send. Not together with `Range`. */
                limit?: number;
            };
            header?: {
                /** @description `bytes=first-last`; only the first range is served */
                Range?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file, or the lines asked for */
            200: {
                headers: {
                    /** @description Name to save the file under */
                    "Content-Disposition"?: string;
                    /** @description Bytes that follow */
                    "Content-Length"?: number;
                    /** @description Changes whenever the file does */
                    ETag?: string;
                    /** @description When the file last changed */
                    "Last-Modified"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["FileContent"];
                    "text/plain": string;
                };
            };
            /** @description The range asked for */
            206: {
                headers: {
                    /** @description Bytes that follow */
                    "Content-Length"?: number;
                    /** @description Where the bytes lie */
                    "Content-Range"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["FileContent"];
                };
            };
            /** @description The client's copy is current */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The file is not in the state the client expects */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The range lies outside the file, or (as plain text) is none */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                    "text/plain": string;
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getFilesInfo: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One entry a path */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: components["schemas"]["FileInfo"];
                    };
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    renameFiles: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RenameFileItem"][];
            };
        };
        responses: {
            /** @description All are moved */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    chmodFiles: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["Permission"];
                };
            };
        };
        responses: {
            /** @description All are set */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    replaceContent: {
        parameters: {
            query?: {
                /** @description Answer with the number of replacements for each file. */
                verbose?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["ReplaceFileContentItem"];
                };
            };
        };
        responses: {
            /** @description Empty, or with `verbose=true` the number of replacements in each file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: components["schemas"]["ReplaceFileContentResult"];
                    };
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    searchFiles: {
        parameters: {
            query: {
                /** @description Directory to search; `~` and `$NAME` are expanded. */
                path: string;
                /** @description Glob that the base name must match: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, `**`. */
                pattern?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Everything that matches and is not a directory */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileInfo"][];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    uploadFile: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["UploadForm"];
            };
        };
        responses: {
            /** @description All are written */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    handOver: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["HandOverRequest"];
            };
        };
        responses: {
            /** @description It belongs to the owner now */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is not acceptable, or the program cannot be started */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description It has an owner already, or never stood by for one */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The measurement */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Metrics"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The system gives no figures */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getPrometheusMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Prometheus text format */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The system gives no figures */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    watchMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Measurements */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["Metrics"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Too many clients watch */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system gives no figures */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getOpenApi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The OpenAPI document */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, unknown>;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
        };
    };
    ping: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The daemon is up */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
        };
    };
    localProxyGet: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyPut: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyPost: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyDelete: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyOptions: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyHead: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyPatch: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyGetPath: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
                /** @description Path to ask the program for; may hold slashes */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyPutPath: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
                /** @description Path to ask the program for; may hold slashes */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyPostPath: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
                /** @description Path to ask the program for; may hold slashes */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyDeletePath: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
                /** @description Path to ask the program for; may hold slashes */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyOptionsPath: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
                /** @description Path to ask the program for; may hold slashes */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyHeadPath: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
                /** @description Path to ask the program for; may hold slashes */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    localProxyPatchPath: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Port of the program, 1 to 65535 */
                port: string;
                /** @description Path to ask the program for; may hold slashes */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The port is not a number from 1 to 65535 */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Nothing accepts connections there, or it broke off */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The program did not answer in time */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description What the program answered */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    createPtySession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CreatePTYSessionRequest"] | null;
            };
        };
        responses: {
            /** @description The terminal */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatePTYSessionResponse"];
                };
            };
            /** @description The request is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Too many terminals */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Terminals are not supported here */
            501: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getPtySession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The terminal's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The terminal's status */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PTYSessionStatusResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such terminal */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Terminals are not supported here */
            501: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    deletePtySession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The terminal's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such terminal */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Terminals are not supported here */
            501: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    ptyWebSocket: {
        parameters: {
            query?: {
                /** @description `0` starts the program on pipes, with standard error apart; anything else on a terminal. */
                pty?: components["schemas"]["BinaryFlag"];
                /** @description Offset of the first output byte to replay. Default: all that is kept. */
                since?: number;
                /** @description `1` replaces the client that is attached. */
                takeover?: components["schemas"]["BinaryFlag"];
            };
            header?: never;
            path: {
                /** @description The terminal's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Attached */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not a WebSocket upgrade, or the query is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such terminal */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Another client is attached */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    createSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CreateSessionRequest"] | null;
            };
        };
        responses: {
            /** @description The session */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreateSessionResponse"];
                };
            };
            /** @description The request is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Too many sessions */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    deleteSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The id is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    runInSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RunInSessionRequest"];
            };
        };
        responses: {
            /** @description The run's events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ServerStreamEvent"];
                };
            };
            /** @description The request is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many runs are waiting */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The system refused */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityMakeDirs: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["Permission"];
                };
            };
        };
        responses: {
            /** @description They exist */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityRemoveDirs: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityListDirectory: {
        parameters: {
            query: {
                /** @description Directory; `~` and `$NAME` are expanded. */
                path: string;
                /** @description Levels to list: 1 is the directory's own entries, 0 nothing. */
                depth?: number;
            };
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Parents before children, in order of their names */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileInfo"][];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityRemoveFiles: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityDownloadFile: {
        parameters: {
            query: {
                /** @description The file; `~` and `$NAME` are expanded. */
                path: string;
                /** @description First line to send, from 1. Not together with `Range`. */
                offset?: number;
                /** @description How many lines to send. Not together with `Range`. */
                limit?: number;
            };
            header?: {
                /** @description `bytes=first-last`; only the first range is served */
                Range?: string | null;
            };
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file, or the lines asked for */
            200: {
                headers: {
                    /** @description Name to save the file under */
                    "Content-Disposition"?: string;
                    /** @description Bytes that follow */
                    "Content-Length"?: number;
                    /** @description Changes whenever the file does */
                    ETag?: string;
                    /** @description When the file last changed */
                    "Last-Modified"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["FileContent"];
                    "text/plain": string;
                };
            };
            /** @description The range asked for */
            206: {
                headers: {
                    /** @description Bytes that follow */
                    "Content-Length"?: number;
                    /** @description Where the bytes lie */
                    "Content-Range"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["FileContent"];
                };
            };
            /** @description The client's copy is current */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The file is not in the state the client expects */
            412: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The range lies outside the file, or (as plain text) is none */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                    "text/plain": string;
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityGetFilesInfo: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One entry a path */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: components["schemas"]["FileInfo"];
                    };
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityRenameFiles: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RenameFileItem"][];
            };
        };
        responses: {
            /** @description All are moved */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityChmodFiles: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["Permission"];
                };
            };
        };
        responses: {
            /** @description All are set */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityReplaceContent: {
        parameters: {
            query?: {
                /** @description Answer with the number of replacements for each file. */
                verbose?: boolean;
            };
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["ReplaceFileContentItem"];
                };
            };
        };
        responses: {
            /** @description Empty, or with `verbose=true` the number of replacements in each file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: components["schemas"]["ReplaceFileContentResult"];
                    };
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identitySearchFiles: {
        parameters: {
            query: {
                /** @description Directory to search; `~` and `$NAME` are expanded. */
                path: string;
                /** @description Glob that the base name must match: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, `**`. */
                pattern?: string;
            };
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Everything that matches and is not a directory */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileInfo"][];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such file or directory */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    identityUploadFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description User number; the groups that `/etc/group` gives this user count as well. */
                uid: number;
                /** @description Group number. */
                gid: number;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["UploadForm"];
            };
        };
        responses: {
            /** @description All are written */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The sandbox's permissions forbid it */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedCapabilities: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What there is */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CapabilitiesResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
        };
    };
    createIsolatedSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateIsolatedSessionRequest"];
            };
        };
        responses: {
            /** @description The session */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IsolatedCreateSessionResponse"];
                };
            };
            /** @description The request is not acceptable; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description Too many sessions */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getIsolatedSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The session */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionState"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    deleteIsolatedSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedSessionCommit: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are written */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IsolatedCommitResponse"];
                };
            };
            /** @description The session has no overlay that is kept */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedSessionDiff: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The archive */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/gzip": components["schemas"]["FileContent"];
                };
            };
            /** @description The session has no overlay that is kept */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The changes are too large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedMakeDirs: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["Permission"];
                };
            };
        };
        responses: {
            /** @description They exist */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedRemoveDirs: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedListDirectory: {
        parameters: {
            query: {
                /** @description Directory; `~` and `$NAME` are expanded. */
                path: string;
                /** @description Levels to list: 1 is the directory's own entries, 0 nothing. */
                depth?: number;
            };
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Parents before children, in order of their names */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileInfo"][];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedRemoveFiles: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They are gone */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedDownloadFile: {
        parameters: {
            query: {
                /** @description The file; `~` and `$NAME` are expanded. */
                path: string;
                /** @description First line to send, from 1. Not together with `Range`. */
                offset?: number;
                /** @description How many lines to send. Not together with `Range`. */
                limit?: number;
            };
            header?: {
                /** @description `bytes=first-last`; only the first range is served */
                Range?: string | null;
            };
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file, or the lines asked for */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["FileContent"];
                    "text/plain": string;
                };
            };
            /** @description The range asked for */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": components["schemas"]["FileContent"];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The range lies outside the file, or is none */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedGetFilesInfo: {
        parameters: {
            query: {
                /** @description Path, repeated for several; `~` and `$NAME` are expanded. */
                path: string[];
            };
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One entry a path */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: components["schemas"]["FileInfo"];
                    };
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedRenameFiles: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RenameFileItem"][];
            };
        };
        responses: {
            /** @description They are moved */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedChmodFiles: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["Permission"];
                };
            };
        };
        responses: {
            /** @description They are set */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedReplaceContent: {
        parameters: {
            query?: {
                /** @description Answer with the number of replacements for each file. */
                verbose?: boolean;
            };
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    [key: string]: components["schemas"]["ReplaceFileContentItem"];
                };
            };
        };
        responses: {
            /** @description Done; the counts if asked for */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: components["schemas"]["ReplaceFileContentResult"];
                    };
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedSearchFiles: {
        parameters: {
            query: {
                /** @description Directory to search; `~` and `$NAME` are expanded. */
                path: string;
                /** @description Glob that the base name must match: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, `**`. */
                pattern?: string;
            };
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Everything that matches and is not a directory */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileInfo"][];
                };
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    isolatedUploadFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["UploadForm"];
            };
        };
        responses: {
            /** @description They are written */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is wrong; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The session may not change that */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description There is no such session, file or directory, or the session has ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    runInIsolatedSession: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["IsolatedRunRequest"];
            };
        };
        responses: {
            /** @description The run's events */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": components["schemas"]["ServerStreamEvent"];
                };
            };
            /** @description The background run */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IsolatedBackgroundRunResponse"];
                };
            };
            /** @description The request is not acceptable; the message says what and where */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session, or its processes have ended */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Too many runs */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getIsolatedRunStatus: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
                /** @description The run's id */
                runId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The run */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["IsolatedRunStatus"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session or run */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    getIsolatedRunLogs: {
        parameters: {
            query?: {
                /** @description Byte offset, as the previous answer's `EXECD-ISOLATED-TAIL-CURSOR` header gave it. Default: the beginning. */
                cursor?: number;
            };
            header?: never;
            path: {
                /** @description The session's id */
                sessionId: string;
                /** @description The run's id */
                runId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The output from the cursor on */
            200: {
                headers: {
                    /** @description Byte offset to ask for next */
                    "EXECD-ISOLATED-TAIL-CURSOR"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            /** @description The cursor is not acceptable */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description No such session or run */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
        };
    };
    listIsolatedSessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The sessions */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListIsolatedSessionsResponse"];
                };
            };
            /** @description Token refused */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRejected"];
                };
            };
            /** @description The operation failed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorResponse"];
                };
            };
            /** @description This machine cannot isolate; the message names what is missing */
            503: {
                headers: {
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
  runCode: ["POST", "/code"],
  interruptCode: ["DELETE", "/code"],
  createCodeContext: ["POST", "/code/context"],
  listContexts: ["GET", "/code/contexts"],
  deleteContextsByLanguage: ["DELETE", "/code/contexts"],
  getContext: ["GET", "/code/contexts/{context_id}"],
  deleteContext: ["DELETE", "/code/contexts/{context_id}"],
  listCommands: ["GET", "/command"],
  runCommand: ["POST", "/command"],
  interruptCommand: ["DELETE", "/command"],
  getCommandStatus: ["GET", "/command/status/{id}"],
  getBackgroundCommandLogs: ["GET", "/command/{id}/logs"],
  writeCommandStdin: ["POST", "/command/{id}/stdin"],
  attachCommand: ["GET", "/command/{id}/stream"],
  makeDirs: ["POST", "/directories"],
  removeDirs: ["DELETE", "/directories"],
  getDirectoryArchive: ["GET", "/directories/archive"],
  putDirectoryArchive: ["PUT", "/directories/archive"],
  listDirectory: ["GET", "/directories/list"],
  watchDirectory: ["GET", "/directories/watch"],
  removeFiles: ["DELETE", "/files"],
  downloadFile: ["GET", "/files/download"],
  getFilesInfo: ["GET", "/files/info"],
  renameFiles: ["POST", "/files/mv"],
  chmodFiles: ["POST", "/files/permissions"],
  replaceContent: ["POST", "/files/replace"],
  searchFiles: ["GET", "/files/search"],
  uploadFile: ["POST", "/files/upload"],
  handOver: ["POST", "/handover"],
  getMetrics: ["GET", "/metrics"],
  getPrometheusMetrics: ["GET", "/metrics/prometheus"],
  watchMetrics: ["GET", "/metrics/watch"],
  getOpenApi: ["GET", "/openapi.json"],
  ping: ["GET", "/ping"],
  localProxyGet: ["GET", "/proxy/{port}"],
  localProxyPut: ["PUT", "/proxy/{port}"],
  localProxyPost: ["POST", "/proxy/{port}"],
  localProxyDelete: ["DELETE", "/proxy/{port}"],
  localProxyOptions: ["OPTIONS", "/proxy/{port}"],
  localProxyHead: ["HEAD", "/proxy/{port}"],
  localProxyPatch: ["PATCH", "/proxy/{port}"],
  localProxyGetPath: ["GET", "/proxy/{port}/{path}"],
  localProxyPutPath: ["PUT", "/proxy/{port}/{path}"],
  localProxyPostPath: ["POST", "/proxy/{port}/{path}"],
  localProxyDeletePath: ["DELETE", "/proxy/{port}/{path}"],
  localProxyOptionsPath: ["OPTIONS", "/proxy/{port}/{path}"],
  localProxyHeadPath: ["HEAD", "/proxy/{port}/{path}"],
  localProxyPatchPath: ["PATCH", "/proxy/{port}/{path}"],
  createPtySession: ["POST", "/pty"],
  getPtySession: ["GET", "/pty/{sessionId}"],
  deletePtySession: ["DELETE", "/pty/{sessionId}"],
  ptyWebSocket: ["GET", "/pty/{sessionId}/ws"],
  createSession: ["POST", "/session"],
  deleteSession: ["DELETE", "/session/{sessionId}"],
  runInSession: ["POST", "/session/{sessionId}/run"],
  identityMakeDirs: ["POST", "/v1/filesystem/{uid}/{gid}/directories"],
  identityRemoveDirs: ["DELETE", "/v1/filesystem/{uid}/{gid}/directories"],
  identityListDirectory: ["GET", "/v1/filesystem/{uid}/{gid}/directories/list"],
  identityRemoveFiles: ["DELETE", "/v1/filesystem/{uid}/{gid}/files"],
  identityDownloadFile: ["GET", "/v1/filesystem/{uid}/{gid}/files/download"],
  identityGetFilesInfo: ["GET", "/v1/filesystem/{uid}/{gid}/files/info"],
  identityRenameFiles: ["POST", "/v1/filesystem/{uid}/{gid}/files/mv"],
  identityChmodFiles: ["POST", "/v1/filesystem/{uid}/{gid}/files/permissions"],
  identityReplaceContent: ["POST", "/v1/filesystem/{uid}/{gid}/files/replace"],
  identitySearchFiles: ["GET", "/v1/filesystem/{uid}/{gid}/files/search"],
  identityUploadFile: ["POST", "/v1/filesystem/{uid}/{gid}/files/upload"],
  isolatedCapabilities: ["GET", "/v1/isolated/capabilities"],
  createIsolatedSession: ["POST", "/v1/isolated/session"],
  getIsolatedSession: ["GET", "/v1/isolated/session/{sessionId}"],
  deleteIsolatedSession: ["DELETE", "/v1/isolated/session/{sessionId}"],
  isolatedSessionCommit: ["POST", "/v1/isolated/session/{sessionId}/commit"],
  isolatedSessionDiff: ["GET", "/v1/isolated/session/{sessionId}/diff"],
  isolatedMakeDirs: ["POST", "/v1/isolated/session/{sessionId}/directories"],
  isolatedRemoveDirs: ["DELETE", "/v1/isolated/session/{sessionId}/directories"],
  isolatedListDirectory: ["GET", "/v1/isolated/session/{sessionId}/directories/list"],
  isolatedRemoveFiles: ["DELETE", "/v1/isolated/session/{sessionId}/files"],
  isolatedDownloadFile: ["GET", "/v1/isolated/session/{sessionId}/files/download"],
  isolatedGetFilesInfo: ["GET", "/v1/isolated/session/{sessionId}/files/info"],
  isolatedRenameFiles: ["POST", "/v1/isolated/session/{sessionId}/files/mv"],
  isolatedChmodFiles: ["POST", "/v1/isolated/session/{sessionId}/files/permissions"],
  isolatedReplaceContent: ["POST", "/v1/isolated/session/{sessionId}/files/replace"],
  isolatedSearchFiles: ["GET", "/v1/isolated/session/{sessionId}/files/search"],
  isolatedUploadFile: ["POST", "/v1/isolated/session/{sessionId}/files/upload"],
  runInIsolatedSession: ["POST", "/v1/isolated/session/{sessionId}/run"],
  getIsolatedRunStatus: ["GET", "/v1/isolated/session/{sessionId}/runs/{runId}"],
  getIsolatedRunLogs: ["GET", "/v1/isolated/session/{sessionId}/runs/{runId}/logs"],
  listIsolatedSessions: ["GET", "/v1/isolated/sessions"],
} as const;
