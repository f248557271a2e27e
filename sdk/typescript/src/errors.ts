/** Everything this package throws on its own account. */
export class SandkeepError extends Error {
  override name = "SandkeepError";
}

/** A setting or an argument that cannot work; nothing was sent. */
export class ConfigError extends SandkeepError {
  override name = "ConfigError";
}

/** The server could not be reached, or the connection broke. `cause` says how. */
export class ConnectionError extends SandkeepError {
  override name = "ConnectionError";
}

/** A wait reached its limit. */
export class TimeoutError extends SandkeepError {
  override name = "TimeoutError";

  constructor(
    what: string,
    /** The limit, in milliseconds. */
    readonly limitMs: number,
  ) {
    super(`${what} took longer than ${limitMs} ms`);
  }
}

/** A stream ended, or said something, that its format does not allow. */
export class StreamError extends SandkeepError {
  override name = "StreamError";
}

/** What is known of a refused request. */
export interface Refusal {
  /** HTTP status; 500 for a failure that a stream reported after its beginning. */
  status: number;
  /** The server's code for the reason, such as `SANDBOX::NOT_FOUND`; `HTTP_404` where it names none. */
  code: string;
  message: string;
  /** Names the request in the server's log. */
  requestId?: string | undefined;
  /** Seconds after which the server suggests to try again. */
  retryAfter?: number | undefined;
}

/** The server refused a request. */
export class ApiError extends SandkeepError {
  override name = "ApiError";
  /** HTTP status. */
  readonly status: number;
  /** Stable identifier of the kind of error, such as `SANDBOX::NOT_FOUND`. */
  readonly code: string;
  /** The request's name in the server's log. */
  readonly requestId: string | undefined;
  /** Seconds after which to ask again, where the server says so. */
  readonly retryAfter: number | undefined;

  constructor(refusal: Refusal) {
    const { status, code, message, requestId } = refusal;
    super(`${message || "no reason given"} (${code}, status ${status}${requestId ? `, request ${requestId}` : ""})`);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.retryAfter = refusal.retryAfter;
  }
}

/** 400, 413, 422: the request is wrong. */
export class InvalidRequestError extends ApiError {
  override name = "InvalidRequestError";
}

/** 401: the API key or token is missing or wrong. */
export class AuthenticationError extends ApiError {
  override name = "AuthenticationError";
}

/** 403: the caller may not do this, or a quota is used up. */
export class PermissionDeniedError extends ApiError {
  override name = "PermissionDeniedError";
}

/** 404: there is no such thing. */
export class NotFoundError extends ApiError {
  override name = "NotFoundError";
}

/** 409: the thing is in a state that does not allow it. */
export class ConflictError extends ApiError {
  override name = "ConflictError";
}

/** 429: no room now; `retryAfter` says when to try again. */
export class CapacityError extends ApiError {
  override name = "CapacityError";
}

/** 5xx: the server, or what stands behind it, failed or is not there. */
export class ServerError extends ApiError {
  override name = "ServerError";
}

const BY_STATUS: Record<number, typeof ApiError> = {
  400: InvalidRequestError,
  401: AuthenticationError,
  403: PermissionDeniedError,
  404: NotFoundError,
  409: ConflictError,
  413: InvalidRequestError,
  422: InvalidRequestError,
  429: CapacityError,
};

/** The class of error that stands for a status. */
export function apiError(refusal: Refusal): ApiError {
  const known = BY_STATUS[refusal.status] ?? (refusal.status >= 500 ? ServerError : ApiError);
  return new known(refusal);
}

/** A command or piece of code failed, and `check` was asked for. */
export class ExecutionFailedError<Result> extends SandkeepError {
  override name = "ExecutionFailedError";

  constructor(
    message: string,
    readonly result: Result,
  ) {
    super(message);
  }
}
