// How messages to __NAME__ look. Put the templates directory into relay's, or name
// this file with template:; without it relay's own templates are used.
import { message, type Event, type Context } from "relay";

export default function (event: Event, ctx: Context) {
  return message({
    title: event.title,
    text: event.description,
    level: event.level,
    link: event.link,
  });
}
