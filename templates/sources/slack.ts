// The shape of Slack's incoming webhooks: whatever app can post to Slack can
// post to relay. ?type=… in the URL gives its events a type of their own; the
// payload stays with the event as data.payload.
import { type Answer, type Level, type Outcome, type Request, type SourceResult } from "relay";
import { isObject, link, list, lower, markdown, payload, text, time, title, typed } from "../lib/source";

export default function (request: Request): SourceResult {
  const body = payload(request);
  const attachments = list(body.attachments).filter(isObject);
  const blocks = [...list(body.blocks), ...attachments.flatMap((a) => list(a.blocks))].filter(isObject);
  const first = attachments[0] ?? {};

  const header = blocks.find((b) => b.type === "header");
  const sections = blocks.filter((b) => b !== header).map(block).filter(Boolean);
  // With blocks, the text is only what a notification shows.
  const words = sections.length > 0 ? "" : text(body.text);
  const [head, ...tail] = words.trim().split("\n");

  const event: any = { type: typed(request.query.type ?? body.metadata?.event_type, "message.posted") };
  if (event.type.startsWith("relay.")) event.type = "message." + event.type;
  const named = plain(header?.text?.text) || plain(head) || plain(first.title) || plain(first.pretext) || plain(body.text) || plain(first.fallback);
  event.title = title(named, plain(sections[0]?.split("\n")[0]), plain(first.text));
  if (!event.title) throw new TypeError("no_text: the message has no text, block or attachment with words");
  event.level = level(body, attachments, event.title);
  // What the title says whole need not be said again.
  const rest = attachments.map((a) => attachment(a, event.title)).filter(Boolean);
  const lead = header?.text?.text || plain(head) !== event.title ? words : tail.join("\n");
  event.description = markdown([commonMark(lead), ...sections.filter((s) => plain(s) !== event.title), ...rest.filter((s) => plain(s) !== event.title)].filter((s) => s.trim()).join("\n\n"));
  if (event.description === undefined) delete event.description;
  const to = link(first.title_link) ?? button(blocks, attachments) ?? link(/<(https?:[^|>\s]+)/.exec(JSON.stringify([body.text, sections]))?.[1]);
  if (to) event.link = to;
  const at = time(first.ts);
  if (at) event.time = at;
  if (text(body.username)) event.actor = { name: title(plain(body.username)) };
  event.data = { payload: body };
  return event;
}

// Slack answers in words, and so does relay.
export function answer(result: Outcome): Answer {
  const failed = result.status >= 300;
  return { status: failed ? result.status : 200, body: failed ? (result.error ?? "") : "ok" };
}

function block(b: Record<string, any>): string {
  const elements = list(b.elements).filter(isObject);
  switch (b.type) {
    case "section":
      return [composed(b.text), ...list(b.fields).map(composed)].filter(Boolean).join("\n\n");
    case "header":
      return `**${composed(b.text)}**`;
    case "context":
      return elements.map((e) => (e.type === "image" ? "" : composed(e))).filter(Boolean).join(" · ");
    case "image":
      return link(b.image_url) ? `[${plain(b.title?.text) || plain(b.alt_text) || "image"}](<${b.image_url}>)` : "";
    case "markdown":
      return text(b.text);
    case "rich_text":
      return elements.map(rich).join("\n");
    case "divider":
      return "";
  }
  return "";
}

function rich(e: Record<string, any>): string {
  const inner = list(e.elements).filter(isObject);
  switch (e.type) {
    case "rich_text_list":
      return inner.map((item, i) => (e.style === "ordered" ? `${i + 1}. ` : "- ") + rich(item)).join("\n");
    case "rich_text_quote":
      return "> " + inner.map(rich).join("");
    case "rich_text_preformatted":
      return "```\n" + inner.map((part) => text(part.text)).join("") + "\n```";
    case "text": {
      const mark = e.style?.code ? "`" : (e.style?.bold ? "**" : "") + (e.style?.italic ? "*" : "");
      return mark + text(e.text) + [...mark].reverse().join("");
    }
    case "link":
      return link(e.url) ? `[${text(e.text) || e.url}](<${e.url}>)` : text(e.text);
    case "user":
      return "@" + text(e.user_id);
    case "channel":
      return "#" + text(e.channel_id);
    case "broadcast":
      return "@" + text(e.range);
    case "emoji":
      return `:${text(e.name)}:`;
  }
  return inner.map(rich).join("");
}

// A text object of Block Kit.
function composed(t: any): string {
  if (!isObject(t)) return "";
  return t.type === "plain_text" ? unescaped(text(t.text)) : commonMark(text(t.text));
}

function attachment(a: Record<string, any>, said: string): string {
  const fields = list(a.fields).filter(isObject).map((f) => [f.title && `**${plain(f.title)}**`, commonMark(text(f.value))].filter(Boolean).join(": "));
  const name = plain(a.title);
  const heading = name && name !== said && (link(a.title_link) ? `[${name}](<${a.title_link}>)` : `**${name}**`);
  const body = [commonMark(text(a.pretext)), plain(a.author_name), heading, commonMark(text(a.text)), fields.join("\n"), plain(a.footer)].filter(Boolean);
  return body.length > 0 || list(a.blocks).length > 0 ? body.join("\n") : commonMark(text(a.fallback));
}

function button(blocks: Record<string, any>[], attachments: Record<string, any>[]): string | undefined {
  const all = [...blocks.flatMap((b) => [...list(b.elements), b.accessory]), ...attachments.flatMap((a) => list(a.actions))];
  return all.map((e) => link(e?.url)).find((u) => u !== undefined);
}

// Slack's own markup as CommonMark; code stays as it is.
function commonMark(s: string): string {
  return s
    .split(/(```[\s\S]*?```|`[^`\n]+`)/)
    .map((part, i) => {
      if (i % 2 === 1) return unescaped(part);
      return part
        .replace(/<(https?:[^|>]+|mailto:[^|>]+)\|([^>]*)>/g, "[$2](<$1>)")
        .replace(/<([@#!][^>]*)>/g, (_, ref) => called(ref))
        .replace(/<[^\s|>]+\|([^>]+)>/g, (whole, label) => (/^<(https?|mailto):/.test(whole) ? whole : label))
        .replace(/(^|[^*\w])\*([^*\n]+)\*(?![*\w])/g, "$1**$2**")
        .replace(/(^|[^~\w])~([^~\n]+)~(?![~\w])/g, "$1~~$2~~");
    })
    .join("");
}

// <@U1|ann>, <#C1|general>, <!here>, <!date^…|today>.
function called(ref: string): string {
  const [what, label] = [ref.split("|")[0], ref.split("|")[1]];
  if (ref[0] === "!" && label) return label;
  if (ref[0] === "!") return "@" + what.slice(1).replace(/^subteam\^/, "");
  return ref[0] + (label || what.slice(1));
}

function plain(s: any): string {
  const bare = text(s)
    .replace(/\[([^\]]*)\]\(<[^>]*>\)/g, "$1")
    .replace(/<(?:https?:|mailto:)[^|>]+\|([^>]*)>/g, "$1")
    .replace(/<((?:https?|mailto):[^>]+)>/g, "$1")
    .replace(/<([@#!][^>]*)>/g, (_, ref) => called(ref))
    .replace(/\*\*([^*]+)\*\*/g, "$1")
    .replace(/(^|\W)[*_~`]+([^*_~`\n]+)[*_~`]+(?!\w)/g, "$1$2");
  return unescaped(bare).replace(/\s+/g, " ").trim();
}

function unescaped(s: string): string {
  return s.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

// A colour says how bad it is, else a sign at the beginning does.
function level(body: Record<string, any>, attachments: Record<string, any>[], name: string): Level {
  const found = attachments.map((a) => byColor(lower(a.color))).filter((l) => l !== undefined);
  for (const l of ["error", "warn", "success"] as Level[]) if (found.includes(l)) return l;
  const sign = text(body.text) + " " + name;
  if (/:(x|rotating_light|fire|exclamation|bangbang|red_circle|no_entry):|[❌🚨🔥❗🔴⛔]/u.test(sign)) return "error";
  if (/:warning:|⚠/.test(sign)) return "warn";
  if (/:(white_check_mark|heavy_check_mark|tada|large_green_circle):|[✅🎉🟢]/u.test(sign)) return "success";
  return "info";
}

function byColor(color: string): Level | undefined {
  const named: Record<string, Level> = { good: "success", warning: "warn", danger: "error" };
  const hex = /^#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/.exec(color);
  if (!hex) return Object.hasOwn(named, color) ? named[color] : undefined;
  const [r, g, b] = hex.slice(1).map((part) => parseInt(part, 16));
  const [high, low] = [Math.max(r, g, b), Math.min(r, g, b)];
  if (high - low < 60) return undefined; // grey
  let hue = 60 * (high === r ? (g - b) / (high - low) : high === g ? 2 + (b - r) / (high - low) : 4 + (r - g) / (high - low));
  if (hue < 0) hue += 360;
  if (hue < 20 || hue > 330) return "error";
  return hue < 70 ? "warn" : hue < 170 ? "success" : undefined;
}
