// What people read when an issue waits for their approval. Every provider turns
// it into its own best form. See it: relay preview --type issue.approval_requested
import { formatTime, mention, message, truncate, type Context, type Event } from "relay";

export default function (event: Event, ctx: Context) {
  const who = event.actor ? mention(event.actor) : "Somebody";
  const called = ctx.direct ? "" : (event.recipients ?? []).map(mention).filter(Boolean).join(" ");
  return message({
    title: `Please review: ${truncate(event.title, 200)}`,
    level: event.level,
    link: event.link,
    // Markdown. A direct message reaches its reader without being called.
    text: [called, `${who} asks for ${ctx.direct ? "your" : "an"} approval.`, event.description].filter(Boolean).join("\n\n"),
    fields: [
      { name: "Project", value: event.project?.name, short: true }, // what has no value is left out
      { name: "Issue", value: event.issue?.name, short: true },
    ],
    actions: [{ text: "Review", url: event.link }],
    footer: formatTime(event.time),
  });
}
