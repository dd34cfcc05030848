// What the default templates share: one look for every event.
import { escape, formatTime, mention, message, t, truncate, type Context, type Event, type Field } from "relay";

/** What a template adds to the common look. */
export interface Extra {
  /** What happened, in the reader's language; it leads the title. */
  what?: string;
  /** The key of what a direct message says instead, to its reader; "<key>.nameless" to one without a name. */
  direct?: string;
  /** The actor's part in it; default: "Actor". */
  actor?: string;
  /** Shown after project and issue. */
  fields?: Field[];
  /** Calls the recipients, in a channel. A direct message reaches its reader anyway. */
  call?: boolean;
  /** Shown where the event has no description. */
  text?: string;
}

// More people than this are not called by name in one message.
const maxCalled = 20;
// A longer name is cut: the title is about what happened.
const maxName = 60;

export function eventMessage(event: Event, ctx: Context, extra: Extra) {
  return message({
    title: headline(lead(ctx, extra), event.title),
    text: body(event, ctx, extra),
    level: event.level,
    link: event.link,
    fields: [
      { name: t("project"), value: show(event.project), short: true },
      { name: t("issue"), value: show(event.issue), short: true },
      ...(extra.fields ?? []),
      { name: extra.actor ?? t("actor"), value: show(event.actor) ?? show(event.actor?.email), short: true },
    ],
    actions: [{ text: t("open"), url: event.link }],
    footer: t("footer", { source: event.source, time: formatTime(event.time) }),
  });
}

/**
 * What can be shown of a value: senders write a thing as its name, as its id,
 * or as an object that has one of them.
 */
export function show(value: any): string | undefined {
  if (typeof value === "object" && value !== null) return show(value.name || value.title || value.id);
  return value === undefined || value === null || value === "" ? undefined : String(value);
}

/** A status in the reader's language, else as it came. */
export function status(value: unknown): string | undefined {
  const raw = show(value);
  return raw && translated("status." + raw.toLowerCase(), raw);
}

/** What happened, more exactly where there is a text for this value. */
export function exactly(key: string, value: unknown): string {
  return translated(`${key}.${show(value)?.toLowerCase()}`, t(key));
}

function translated(key: string, otherwise: string): string {
  const text = t(key);
  return text === key ? otherwise : text;
}

// What leads the title. A title is no Markdown: a name is safe in it as it is.
function lead(ctx: Context, extra: Extra): string | undefined {
  if (!ctx.direct || !extra.direct) return extra.what;
  const name = truncate(show(ctx.recipient?.name)?.trim(), maxName);
  return name ? t(extra.direct, { name }) : t(extra.direct + ".nameless");
}

// Some senders' titles begin with what happened; saying it twice helps nobody.
function headline(what: string | undefined, title: string): string {
  const short = truncate(title, 250);
  const said = !what || title.toLowerCase().startsWith(what.toLowerCase());
  return said ? short : t("headline", { what, title: short });
}

function body(event: Event, ctx: Context, extra: Extra): string {
  const parts = [];
  if (extra.call && !ctx.direct && event.recipients) {
    parts.push(event.recipients.slice(0, maxCalled).map(mention).filter(Boolean).join(" "));
  }
  parts.push(event.description || escape(extra.text));
  return parts.filter(Boolean).join("\n\n");
}
