// Signs in with the authorization server that this server's tokens come from: the code
// flow with PKCE, as a public client (RFC 6749, 7636, 7591, 8414, 9207, 9728). Where that
// server gives a refresh token, a token that has expired is renewed (RFC 6749, section 6).
"use strict";
window.openclawSignIn = (() => {
  const store = "openclaw-mcp-sign-in", renewals = "openclaw-mcp-renewal";
  const redirect = () => location.origin + location.pathname;

  async function json(url, options) {
    let response;
    try {
      response = await fetch(url, { credentials: "omit", cache: "no-store", ...options });
    } catch {
      throw new Error(`${new URL(url, location.href).host} can’t be asked from this page: it is not reachable, or does not allow ${location.origin} (CORS).`);
    }
    const body = await response.json().catch(() => ({}));
    if (!response.ok) {
      const error = new Error(`${new URL(url, location.href).host} answers ${response.status}: ${body.error_description ?? body.error ?? "no reason given"}.`);
      error.status = response.status;
      throw error;
    }
    return body;
  }

  async function metadata(issuer) {
    const at = new URL(issuer);
    const path = at.pathname.replace(/\/$/, "");
    let failure;
    for (const url of [`${at.origin}/.well-known/oauth-authorization-server${path}`, `${at.origin}/.well-known/openid-configuration${path}`, `${at.origin}${path}/.well-known/openid-configuration`]) {
      try {
        const found = await json(url);
        if (found.authorization_endpoint && found.token_endpoint) return found;
        failure = new Error(`${at.host} does not say where to sign in.`);
      } catch (error) {
        failure = error;
        if (error.status === undefined) throw error;
      }
    }
    throw failure;
  }

  const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

  async function register(server) {
    const own = document.getElementById("console").dataset.client;
    if (own) return own;
    if (!server.registration_endpoint) throw new Error("The authorization server registers no clients by itself. Whoever runs this server can name one (OPENCLAW_MCP_OAUTH_CLIENT_ID).");
    const { client_id } = await json(server.registration_endpoint, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        client_name: "openclaw-mcp console", redirect_uris: [redirect()], grant_types: ["authorization_code", "refresh_token"], response_types: ["code"], token_endpoint_auth_method: "none",
      }),
    });
    return client_id;
  }

  async function begin() {
    if (!globalThis.crypto?.subtle) throw new Error("Browsers sign in only over https, or on this machine.");
    const resource = await json(".well-known/oauth-protected-resource");
    const issuer = resource.authorization_servers[0];
    const server = await metadata(issuer);
    const { client: own, origins } = document.getElementById("console").dataset; // of the page's Content-Security-Policy
    for (const at of [server.token_endpoint, own ? "" : server.registration_endpoint]) {
      if (at && ![location.origin, ...origins.split(" ")].includes(new URL(at).origin)) throw new Error(`${new URL(at).host}, where the authorization server gives tokens or registers clients, can’t be asked from this page, which may ask ${origins} alone. Load it again.`);
    }
    const client = await register(server);
    const verifier = random(), state = random();
    sessionStorage.setItem(store, JSON.stringify({ issuer: server.issuer ?? issuer, token: server.token_endpoint, client, verifier, state, resource: resource.resource }));
    const url = new URL(server.authorization_endpoint);
    const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
    const scopes = [...(resource.scopes_supported ?? []), ...(server.scopes_supported?.includes("offline_access") ? ["offline_access"] : [])];
    for (const [name, value] of Object.entries({
      response_type: "code", client_id: client, redirect_uri: redirect(), state, code_challenge: challenge, code_challenge_method: "S256",
      resource: resource.resource, ...(scopes.length ? { scope: scopes.join(" ") } : {}),
    })) url.searchParams.set(name, value);
    if (!/^https?:$/.test(url.protocol)) throw new Error(`The authorization server names ${url.protocol} as the place to sign in, which is no web address.`);
    location.assign(url);
  }

  /** Gives the token where this page is what the authorization server sent the browser back to, else "". */
  async function end() {
    const answer = new URLSearchParams(location.search);
    const begun = JSON.parse(sessionStorage.getItem(store) ?? "null");
    if (!begun || !answer.has("state")) return "";
    sessionStorage.removeItem(store);
    history.replaceState(null, "", redirect());
    if (answer.get("state") !== begun.state || (answer.has("iss") && answer.get("iss") !== begun.issuer)) throw new Error("This sign-in was not begun here: sign in again.");
    if (answer.has("error")) throw new Error(`You were not signed in: ${answer.get("error_description") ?? answer.get("error")}.`);
    return await token(begun, { grant_type: "authorization_code", code: answer.get("code") ?? "", redirect_uri: redirect(), code_verifier: begun.verifier });
  }

  /** Asks for a token, and keeps what renews it. */
  async function token(at, grant) {
    const given = await json(at.token, {
      method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ ...grant, client_id: at.client, resource: at.resource }),
    });
    if (!given.access_token) throw new Error("The authorization server gave no token.");
    const refresh = given.refresh_token ?? grant.refresh_token;
    if (refresh) {
      const next = JSON.stringify({ token: at.token, client: at.client, resource: at.resource, refresh });
      sessionStorage.setItem(renewals, next);
      tabs.postMessage({ was: grant.refresh_token, next, token: given.access_token });
    }
    return given.access_token;
  }

  // A tab that was opened from this one has a copy of what renews the sign-in, which is
  // good once: the tabs renew one after the other, and each tells the others.
  const tabs = new BroadcastChannel(renewals);
  const kept = () => JSON.parse(sessionStorage.getItem(renewals) ?? "null");
  let told = "", heard = () => {};
  tabs.onmessage = ({ data }) => {
    if (!data.was || kept()?.refresh !== data.was) return;
    sessionStorage.setItem(renewals, data.next);
    told = data.token;
    heard(told);
  };
  const alone = (renewal) => (navigator.locks ? navigator.locks.request(renewals, renewal) : renewal());

  let renewing;

  /** Gives a new token where one has expired, "" where the person has to sign in again. */
  function renew() {
    if (!renewing) told = "";
    renewing ??= alone(async () => {
      await new Promise((go) => setTimeout(go, 100)); // for what the tab before has told
      const at = kept();
      if (told || !at) return told;
      try {
        return await token(at, { grant_type: "refresh_token", refresh_token: at.refresh });
      } catch {
        forget();
        return "";
      }
    }).finally(() => (renewing = undefined));
    return renewing;
  }

  const forget = () => sessionStorage.removeItem(renewals);

  /** Has f called with the token that another tab got. */
  const onRenewed = (f) => (heard = f);

  return { begin, end, renew, forget, onRenewed };
})();
