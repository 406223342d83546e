// What somebody pasted, as monitors to be: a web address, host:port, or a host that may be asked in two ways.

const MOST = 100;

function isAddress(host) {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) || /^\[?[0-9a-f:]+\]?$/i.test(host);
}

/** @returns {{text: string, choices: {label: string, body: object}[]} | null} */
export function recognise(text) {
  if (/^https?:\/\//i.test(text)) return { text, choices: [{ label: "HTTP", body: { type: "http", url: text, name: nameOf(text) } }] };
  const withPort = /^(\[[0-9a-f:]+\]|[^\s/:]+):(\d{1,5})$/i.exec(text);
  if (withPort) {
    const [, host, port] = withPort;
    const bare = host.replace(/^\[|\]$/g, "");
    return { text, choices: [{ label: "TCP port", body: { type: "port", host: bare, port: Number(port), name: text } }, web("https", text), web("http", text)] };
  }
  if (/^[^\s/]+\/\S*$/.test(text)) return { text, choices: [web("https", text), web("http", text)] };
  if (!/^[^\s/@?#\\]+$/.test(text)) return null;
  const ping = { label: "Ping", body: { type: "ping", host: text.replace(/^\[|\]$/g, ""), name: text } };
  const webs = [web("https", text), web("http", text)];
  return { text, choices: isAddress(text) ? [ping, ...webs] : [...webs, ping] };
}

function web(scheme, text) {
  return { label: scheme.toUpperCase(), body: { type: "http", url: `${scheme}://${text}`, name: nameOf(text) } };
}

function nameOf(url) {
  return url.replace(/^https?:\/\//i, "").replace(/\/$/, "").slice(0, 200);
}

export function recogniseAll(text) {
  const words = [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
  return words.slice(0, MOST).map((word) => recognise(word) ?? { text: word, choices: [] });
}
