// Requests to the admin API. The token lives in this tab's sessionStorage and nowhere else.

const KEY = "serin-token";

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

export function keepToken(value: string | null): void {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** What the API refused, in its own words. Status 0: nobody answered. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export async function read<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, signal ? { signal } : {});
  return (await response.json()) as T;
}

/** A change. `revision` is what the person has seen: somebody else's change in between refuses this one. */
export async function change<T>(
  method: "POST" | "PUT",
  path: string,
  body: unknown,
  revision: number | null,
  asOperator: string | null,
): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (revision !== null) headers["if-match"] = `"r${revision}"`;
  if (method === "POST") headers["idempotency-key"] = unique();
  const response = await send(path, { method, headers, body: JSON.stringify(body) }, asOperator);
  return (await response.json()) as T;
}

export async function send(path: string, init: RequestInit, as?: string | null): Promise<Response> {
  const headers = new Headers(init.headers);
  const bearer = as ?? token();
  if (bearer) headers.set("authorization", `Bearer ${bearer}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, credentials: "omit", cache: "no-store" });
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === "AbortError") throw fault;
    throw new Refused(0, "Serin does not answer.");
  }
  if (!response.ok) throw new Refused(response.status, await detail(response));
  return response;
}

async function detail(response: Response): Promise<string> {
  try {
    const problem = (await response.json()) as { detail?: string; title?: string };
    return problem.detail ?? problem.title ?? `status ${response.status}`;
  } catch {
    return `status ${response.status}`;
  }
}

/** `crypto.randomUUID` is missing where the page does not come over TLS or from loopback. */
function unique(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
