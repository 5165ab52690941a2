// Calls of the server, as docs/serving.md has them. What the browser keeps, it keeps only with consent.
const root = new URL("../", import.meta.url); // `static/` lies beside `v1/`
const BROWSER = "tacit.browser", RENEW_MS = 60_000;

export const address = (path) => new URL(path, root).href;
export const optedOut = () => navigator.globalPrivacyControl === true;

export class Refusal extends Error {
  constructor(status, message, retry) {
    super(message);
    Object.assign(this, { status, retry });
  }
}

function stored(where, name) {
  try { return globalThis[where].getItem(name); } catch { return null; }
}

function store(where, name, value) {
  try {
    if (value === null) globalThis[where].removeItem(name);
    else globalThis[where].setItem(name, value);
  } catch { /* forbidden or full: this tab remembers */ }
}

export const keep = {
  browser: () => stored("localStorage", BROWSER),
  tab: () => JSON.parse(stored("sessionStorage", "tacit.chat") ?? "null"),
  saveTab: (value) => store("sessionStorage", "tacit.chat", value && JSON.stringify(value)),
  // "tacit" is what capture.js has not sent yet.
  forgetTab: () => ["tacit.chat", "tacit"].forEach((name) => store("sessionStorage", name, null)),
};

export async function call(path, options = {}) {
  const got = await fetch(address(path), options);
  if (got.ok) return got;
  const said = await got.json().catch(() => null);
  throw new Refusal(got.status, said?.error?.message ?? got.statusText, Number(got.headers.get("Retry-After")) || null);
}

/** A tab's session: its token, renewed before it ends, and what the person agreed to. */
export class Session {
  /** `before`: what an earlier load of this tab kept (`token`, `session_id`), to go on in the same session. */
  static async open(before = null) {
    const self = new Session();
    self.browser = keep.browser();
    try {
      await self.renew(before);
    } catch (fault) {
      if (!before || !(fault instanceof Refusal)) throw fault;
      await self.renew();
    }
    return self;
  }

  async renew(before = null) {
    const headers = {};
    if (this.browser) headers["X-Tacit-Browser"] = this.browser;
    if (before) Object.assign(headers, { "X-Tacit-Session": before.session_id, Authorization: `Bearer ${before.token}` });
    Object.assign(this, await (await call("v1/session", { headers })).json());
    this.remember();
  }

  /** The secret of this browser outlives the tab only for those who agreed. */
  remember() {
    store("localStorage", BROWSER, this.consent ? this.browser : null);
  }

  /** Renews a token that is about to end. */
  async fresh() {
    if (Date.now() > this.expires_ms - RENEW_MS) await this.renew(this);
  }

  async authorised(path, options = {}) {
    await this.fresh();
    const type = options.body ? { "Content-Type": "application/json" } : {};
    const ask = () => call(path, { ...options, headers: { ...type, Authorization: `Bearer ${this.token}` } });
    try {
      return await ask();
    } catch (fault) {
      if (fault.status !== 401) throw fault;
      await this.renew(); // a server with new keys knows no old token
      return ask();
    }
  }

  async agree(consent) {
    const body = JSON.stringify({ consent: consent === "train" && optedOut() ? "store" : consent });
    const got = await (await this.authorised("v1/consent", { method: "POST", body })).json();
    this.consent = got.consent;
    this.remember();
  }

  async item(id) {
    return (await this.authorised(`v1/items/${encodeURIComponent(id)}`)).json();
  }

  async data() {
    return (await this.authorised(`v1/users/${encodeURIComponent(this.user)}`)).json();
  }

  async erase() {
    await this.authorised(`v1/users/${encodeURIComponent(this.user)}`, { method: "DELETE" });
    this.consent = null;
    this.remember();
    keep.forgetTab();
  }

  /** Streams a reply: `onText` gets each piece; returns the text and `recommendations` of a whole one. */
  async reply(model, messages, onText, signal) {
    const body = JSON.stringify({ model, messages, stream: true });
    const got = await this.authorised("v1/chat/completions", { method: "POST", body, signal });
    let text = "", recommendations = null;
    for await (const data of lines(got.body)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Refusal(500, chunk.error.message, null);
      const piece = chunk.choices[0]?.delta?.content;
      if (piece) onText(piece, (text += piece));
      recommendations = chunk.recommendations ?? recommendations;
    }
    if (!recommendations) throw new Refusal(500, "", null); // cut off: what came is no answer
    return { text, recommendations };
  }
}

/** What stands after `data:` in a stream of server-sent events. */
async function* lines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r?\n/);
      rest = parts.pop();
      for (const line of parts) if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
