// Calls of our REST API: every answer has the same envelope, so every caller gets the same shape.

function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

/** @returns {Promise<{ok: boolean, status: number, data: any, message: string, errors: {field: string, message: string}[]}>} */
export async function call(method, path, body) {
  const headers = { Accept: "application/json", "X-CSRF-Token": csrfToken() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    return { ok: false, status: 0, data: null, message: "Farwatch does not answer. Is the connection alright?", errors: [] };
  }
  if (response.status === 401) location.assign("/sign-in?next=" + encodeURIComponent(location.pathname + location.search));
  const envelope = await response.json().catch(() => ({ data: null, message: "The answer could not be read." }));
  return {
    ok: response.ok,
    status: response.status,
    data: envelope.data,
    message: envelope.message ?? "",
    errors: envelope.data?.errors ?? [],
  };
}

export const get = (path) => call("GET", path);
