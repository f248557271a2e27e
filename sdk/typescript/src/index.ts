/** Sandboxes for AI agents: commands, code, files and ports of throw-away Linux computers. */

export { Client, type ClientOptions } from "./client.js";
export type {
  AuditEntry,
  AuditList,
  BindingInfo,
  Credential,
  CredentialBinding,
  CredentialInfo,
  VaultChange,
  VaultContent,
  VaultState,
} from "./egress.js";
export * from "./errors.js";
export { Code, CodeContext, type CodeOptions, type Language } from "./execd/code.js";
export {
  BackgroundCommand,
  type CommandLine,
  type CommandLogs,
  type CommandOptions,
  type CommandStatus,
  type CommandSummary,
  Commands,
  type RunOptions,
  type StreamOptions,
} from "./execd/commands.js";
export { Daemon, type DaemonMetrics } from "./execd/daemon.js";
export type { ExecutionEvent, ExecutionFailure } from "./execd/events.js";
export { Execution, type Listeners } from "./execd/execution.js";
export {
  type FileInfo,
  Files,
  type NewFile,
  type Permissions,
  type ReadOptions,
  type WatchEvent,
} from "./execd/files.js";
export {
  type IsolatedRunOptions,
  type IsolatedRunStatus,
  IsolatedSession,
  type IsolatedSessionState,
  type IsolatedSessionSummary,
  Isolated,
  type IsolationCapabilities,
  type NewIsolatedSession,
} from "./execd/isolated.js";
export {
  type AttachOptions,
  Terminal,
  TerminalConnection,
  type TerminalEvent,
  type TerminalSignal,
  type TerminalStatus,
  Terminals,
} from "./execd/pty.js";
export { RichResult } from "./execd/rich.js";
export { SandboxFiles, type TreeOptions, type TreeProgress } from "./execd/sandbox-files.js";
export { type SessionRunOptions, Sessions, ShellSession } from "./execd/sessions.js";
export { ExecutionStream } from "./execd/stream.js";
export type { NewTreeEntry, TreeEntry, TreeEntryInfo } from "./execd/tar.js";
export { Network, type NetworkPolicy, type NetworkRule, type PolicyStatus, Vault } from "./network.js";
export type { NewSandbox, ReachOptions, Volume } from "./options.js";
export type { EndpointOptions, PortRequest, Ports } from "./ports.js";
export { Diagnostics, type Diagnosis, type LogOptions } from "./resources/diagnostics.js";
export type { EventFilter, SandboxEvent } from "./resources/events.js";
export { type Image, Images } from "./resources/images.js";
export type { Page } from "./resources/pages.js";
export { type NewPool, type Pool, type PoolCapacity, Pools } from "./resources/pools.js";
export { type SandboxFilter, type SandboxRecord, Sandboxes } from "./resources/sandboxes.js";
export { type Snapshot, type SnapshotFilter, Snapshots } from "./resources/snapshots.js";
export { type NewTemplate, type Template, type TemplateFilter, Templates } from "./resources/templates.js";
export { Sandbox } from "./sandbox.js";
export type { Data } from "./transport/data.js";
export type { CallOptions } from "./transport/http.js";
export type { Timeouts } from "./transport/limits.js";
export { Tunnel } from "./tunnel.js";
export { VERSION } from "./version.js";
export type { Schemas as ExecdSchemas } from "./execd/wire.js";
export type { Schemas as LifecycleSchemas } from "./wire.js";
