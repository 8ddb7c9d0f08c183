// Requests to the server. An answer that is an error becomes an exception with the server's sentence.

/** A name of this page: its newer questions overtake its older ones. */
const PAGE = crypto.getRandomValues(new Uint32Array(4)).join("-");

export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer; start `bench serve` again.", 0);
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let sentence = text;
  try {
    sentence = JSON.parse(text).error;
  } catch { /* not JSON */ }
  throw new Refused(sentence || `error ${answer.status}`, answer.status);
}

const json = async (path, options) => (await request(path, options)).json();
const post = (body, signal) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });

export const getState = () => json("/api/state");
export const getSamples = (first, count) => json(`/api/samples?first=${first}&count=${count}`);
export const getPicture = (id, changes, signal) => json(`/api/pictures/${encodeURIComponent(id)}?${query(changes)}`, { signal });
export const predict = (question, signal) => json("/api/predict", post({ page: PAGE, ...question }, signal));
export const maskPng = async (rle) => (await request("/api/png", post(rle))).blob();
export const upload = (file) => json("/api/pictures", { method: "POST", headers: { "content-type": "application/octet-stream", "x-name": encodeURIComponent(file.name || "") }, body: file });

/** Return changes as a query: only those that are not at their default. */
export function query(changes) {
  return new URLSearchParams(changes).toString();
}

export const tileAddress = (id, changes, level, column, row) => `/api/tiles/${encodeURIComponent(id)}/${level}/${column}/${row}?${query(changes)}`;
