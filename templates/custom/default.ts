// The formats of the custom provider are shapes of the event itself, so the
// message says exactly what the event says.
import { message, type Event } from "relay";

export default function (event: Event) {
  return message({ title: event.title, text: event.description, level: event.level, link: event.link });
}
