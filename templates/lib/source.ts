// What the source scripts share: senders type loosely, events do not.
import { escape, truncate, type Person, type Request } from "relay";

// Characters that surely fit into an event, whatever the script.
const maxTitle = 1000;
const maxText = 16000;

/** The body as a JSON object, also where a form carries it as its payload. */
export function payload(request: Request): Record<string, any> {
  let body: any;
  if (/^\s*payload=/.test(request.body)) {
    const encoded = request.body.trim().split("&")[0].slice("payload=".length);
    body = request.json(decodeURIComponent(encoded.replace(/\+/g, " ")));
  } else body = request.json();
  if (!isObject(body)) throw new TypeError("the body must be a JSON object");
  return body;
}

export function isObject(v: any): v is Record<string, any> {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}

export function given(v: unknown): boolean {
  return v !== undefined && v !== null && v !== "";
}

export function list(v: any): any[] {
  return Array.isArray(v) ? v : [];
}

/** A scalar as text; nothing for anything else. */
export function text(v: any): string {
  return typeof v === "string" || typeof v === "number" || typeof v === "boolean" ? String(v) : "";
}

export function lower(v: unknown): string {
  return text(v).toLowerCase();
}

/** The first of some values that says something, on one line and short enough for a title. */
export function title(...values: any[]): string {
  for (const v of values) {
    const line = text(v).replace(/\s+/g, " ").trim();
    if (line) return truncate(line, maxTitle);
  }
  return "";
}

/** A description of Markdown, or nothing. */
export function markdown(v: any): string | undefined {
  return truncate(text(v).trim(), maxText) || undefined;
}

/** Text on one line that Markdown shows as it is. */
export function line(v: any, characters = 200): string {
  return escape(truncate(text(v).replace(/\s+/g, " ").trim(), characters));
}

/** A link in Markdown, or its words alone. */
export function linked(words: string, to: any): string {
  const url = link(to);
  return url ? `[${line(words)}](<${url.replace(/[<>]/g, encodeURIComponent)}>)` : line(words);
}

/** Ids are kept as they came, as long as they are ids. */
export function id(v: any): string | number | undefined {
  return typeof v === "number" || (typeof v === "string" && v !== "") ? v : undefined;
}

/** What an event may have as its link. */
export function link(v: any): string | undefined {
  return /^https?:\/\/[^\s\/:]\S*$/i.test(text(v)) ? text(v) : undefined;
}

/** RFC 3339 of a date as senders write it, or of Unix seconds. */
export function time(v: any): string | undefined {
  const spelled = text(v).replace(/^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ?(?:UTC|Z)$/, "$1T$2Z").replace(/(\d) ([+-]\d\d):?(\d\d)$/, "$1$2:$3").replace(/^(\d{4}-\d\d-\d\d) /, "$1T");
  const at = typeof v === "number" || /^\d+(\.\d+)?$/.test(spelled) ? new Date(Number(v) * 1000) : new Date(spelled);
  const ms = at.getTime();
  return ms > 0 && ms < Date.UTC(9999, 0) ? at.toISOString() : undefined;
}

/** The object without what is empty, or nothing where all of it is. */
export function kept<T extends Record<string, any>>(o: T): T | undefined {
  const entries = Object.entries(o).filter(([, v]) => given(v));
  return entries.length > 0 ? (Object.fromEntries(entries) as T) : undefined;
}

/** Everybody once, and nobody of those who are left out. */
export function everybody(people: (Person | undefined)[], but?: Person): Person[] | undefined {
  const seen: string[] = but?.id === undefined ? [] : [String(but.id)];
  const out: Person[] = [];
  for (const p of people) {
    if (!p || (p.id !== undefined && seen.includes(String(p.id)))) continue;
    seen.push(String(p.id));
    out.push(p);
  }
  return out.length > 0 ? out.slice(0, 50) : undefined;
}

/** A sender's word in characters that the type of an event may have. */
export function typed(word: unknown, otherwise: string): string {
  const clean = text(word)
    .replace(/[^A-Za-z0-9._\/-]/g, "_")
    .replace(/[.\/]*\/[.\/]*/g, "/")
    .replace(/\.{2,}/g, ".")
    .slice(0, 190)
    .replace(/^[.\/]+|[.\/]+$/g, "");
  return clean || otherwise;
}

export function plural(n: number, one: string): string {
  return `${n} ${one}${n === 1 ? "" : "s"}`;
}
