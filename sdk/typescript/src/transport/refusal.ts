import { type ApiError, type Refusal, apiError } from "../errors.js";

/** Longer than this is no message for people. */
const MAX_MESSAGE = 4096;

/** Reads what the server said about a request it refused. */
export async function refusal(response: Response): Promise<ApiError> {
  // A body that cannot be read leaves the status, which says the most already.
  const body = await response.text().catch(() => "");
  const { headers, status } = response;
  const retryAfter = Number(headers.get("retry-after") ?? Number.NaN);
  return apiError({
    ...explain(status, body),
    requestId: headers.get("x-request-id") ?? undefined,
    retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined,
  });
}

/** Understands `{code, message}`, execd's `{error}`, other servers' `{detail}` and plain text. */
export function explain(status: number, body: string): Refusal {
  const said = parse(body);
  const detail = said?.message ?? said?.error ?? said?.detail ?? (said === undefined ? body.trim() : "");
  const message = typeof detail === "string" ? detail : JSON.stringify(detail);
  return {
    status,
    code: typeof said?.code === "string" ? said.code : `HTTP_${status}`,
    message: message.slice(0, MAX_MESSAGE),
  };
}

function parse(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
