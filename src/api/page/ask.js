// Requests: reading, and asking for a change.
import { at, put } from "/page/text.js";

// Every request, with the token when there is one.
export function ask(method, path, body) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

// Asks for a change and tells how it went.
export async function order(what, method, path, body) {
  put(at("outcome"), `${what} ...`);
  try {
    const answer = await ask(method, path, body);
    const told = await answer.json();
    const waiting = (told.restart_needed || []).join(", ");
    put(at("outcome"), answer.ok
      ? `${what}: done${waiting ? `; at the next start: ${waiting}` : ""}`
      : `${what}: ${told.error.message}; ${told.error.hint}`);
    return answer.ok;
  } catch {
    put(at("outcome"), `${what}: no answer`);
    return false;
  }
}

// Whether its owner wants this, knowing what comes of it. Escape is a no, and the focus goes back to where it was.
export function confirmed(what, consequence) {
  const dialog = at("confirm");
  put(at("confirm-title"), `${what}?`);
  put(at("confirm-text"), consequence);
  put(at("confirm-yes"), what);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
