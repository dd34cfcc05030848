import type { Event, Context } from "relay";

export default function (event: Event, ctx: Context) {
  return {
    kind: event.type,
    level: event.level,
    title: `${event.title} (${event.project?.name})`,
    text: event.description,
    by: event.actor?.name,
    issue: { id: event.issue?.id, status: event.issue?.status },
    links: [{ text: "Review", url: event.link }],
    language: ctx.language,
    number: event.data.number, posted: event.data.posted,
  };
}
