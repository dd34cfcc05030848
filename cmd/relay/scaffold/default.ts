// A sample of how messages to __NAME__ look. Nothing is built from it: as
// templates/__NAME__/default.ts beside relay.yaml it takes the place of relay's own
// templates, and is live whenever it is saved.
import { message, type Event, type Context } from "relay";

export default function (event: Event, ctx: Context) {
  return message({
    title: event.title,
    text: event.description,
    level: event.level,
    link: event.link,
  });
}
